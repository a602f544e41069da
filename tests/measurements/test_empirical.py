"""Empirical: the bank is the distribution, travels in the config, and shapes what `split` hides."""

import json

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_uai import random
from keras_uai.measurements import DropPixel, Empirical
from tests.testing import observations

BANK = np.random.default_rng(0).integers(0, 2, (5, 6, 9))
#: Masks of several sizes.
MIXED = [np.random.default_rng(i).integers(0, 2, size) for i, size in enumerate([(6, 9), (11, 7)])]


def test_draws_the_masks_of_the_bank_equally_often():
    drawn = np.array(Empirical(BANK).masks(np.arange(4000), 6, 9))[..., 0]
    which = (drawn[:, None] == BANK[None]).all((2, 3))
    assert (which.sum(1) == 1).all()
    assert scipy.stats.chisquare(which.sum(0)).pvalue > 1e-3


@pytest.mark.parametrize(
    "masks", [BANK, BANK[..., None], BANK.astype(bool), BANK.astype("float32"), list(BANK)]
)
def test_banks_of_any_kind(masks):
    assert Empirical(masks) == Empirical(BANK)
    Empirical(masks).check(500, None)


# -- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_windows_lie_anywhere_in_any_mask_equally_often(channels):
    bank = [np.random.default_rng(i).integers(0, 2, (4 + i, 6, channels)) for i in range(2)]
    drawn = np.array(Empirical(bank).masks(np.arange(3000), 4, 5))
    windows = [m[i : i + 4, j : j + 5] for m in bank for i in range(len(m) - 3) for j in range(2)]
    which = (drawn[:, None] == np.array(windows)[None]).all((2, 3, 4))
    assert (which.sum(1) == 1).all()
    expected = [3000 / 4] * 2 + [3000 / 8] * 4
    assert scipy.stats.chisquare(which.sum(0), expected).pvalue > 1e-3


def test_a_smaller_mask_is_continued_by_reflection():
    """From any phase, equally often; a size of one direction does not change the other."""
    mask = np.random.default_rng(0).integers(0, 2, (3, 9))
    drawn = np.array(Empirical([mask]).masks(np.arange(600), 10, 9))[..., 0]
    endless = np.pad(mask, ((0, 30), (0, 0)), mode="symmetric")
    which = (drawn[:, None] == np.array([endless[i : i + 10] for i in range(6)])[None]).all((2, 3))
    assert (which.sum(1) == 1).all()
    assert scipy.stats.chisquare(which.sum(0)).pvalue > 1e-3


# -- the config -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bank",
    [
        *(np.random.default_rng(1).integers(0, 2, size) for size in [(3, 7, 5), (64, 32, 32)]),
        np.ones((1, 1, 1)),
        np.random.default_rng(1).integers(0, 2, (3, 7, 5, 4)),
        MIXED,
    ],
    ids=lambda bank: str(np.shape(bank[0])),
)
def test_the_bank_travels_in_the_config(bank):
    measurement = Empirical(bank, tau=0.5)
    text = json.dumps(keras.saving.serialize_keras_object(measurement))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    for got, mask in zip(copy.bank, bank, strict=True):
        assert got.dtype == np.uint8
        assert (got == np.reshape(mask, got.shape)).all()
    assert copy == Empirical.from_config(measurement.get_config()) == measurement
    assert repr(copy) == repr(measurement)
    assert len(repr(copy)) < 80
    assert hash(copy) == hash(measurement)
    assert copy.tau == 0.5
    assert len(text) < sum(np.size(mask) for mask in bank) / 4 + 500


def test_a_config_of_version_0_1():
    bank = np.random.default_rng(0).integers(0, 2, (7, 16, 24))[:3, :4, :5]
    text = "c-muTfB+UK%?hO-N96q1i1#}H02NFGNB"
    assert Empirical.from_config({"masks": text, "tau": 0.0}) == Empirical(bank)


# -- from_masks and from_dataset ------------------------------------------------------------------


def test_from_a_dataset_of_observations():
    y, mask = observations(DropPixel(0.6), 10)
    dataset = tf.data.Dataset.from_tensor_slices(y).batch(4)
    assert Empirical.from_dataset(dataset) == Empirical(mask)
    assert Empirical.from_dataset(dataset, max_masks=3) == Empirical(mask[:3])
    assert Empirical.from_dataset(dataset, max_pixels=3 * 256 + 9) == Empirical(mask[:3])
    dicts = dataset.map(lambda batch: {"observation": batch})
    assert Empirical.from_dataset(dicts) == Empirical.from_dataset(dataset)
    assert len(Empirical.from_dataset(dataset.repeat(), max_masks=12).bank) == 12
    assert Empirical.from_dataset([np.where(mask, y, -2.0)], tau=-2.0) == Empirical(mask, tau=-2.0)


def test_batches_of_several_sizes():
    batches = [{"observation": mask[None, ..., None], "mask": mask[None]} for mask in MIXED]
    assert Empirical.from_dataset(batches) == Empirical(MIXED)


def test_a_first_mask_that_is_too_large_is_cropped_to_its_centre():
    mask = np.random.default_rng(0).integers(0, 2, (40, 80))
    assert Empirical.from_masks([mask, mask], max_pixels=800) == Empirical([mask[10:30, 20:60]])


# -- split ----------------------------------------------------------------------------------------


def hidden_by_split(bank, mask, fraction, count=400):
    mask = np.broadcast_to(mask.astype("float32"), (count, *np.shape(mask)))[..., None]
    seen = Empirical(bank).split(mask, random.key(0, np.arange(count)), fraction)
    return (mask - np.array(seen))[..., 0]


def test_holes_that_fit_are_hidden_whole():
    """Each image misses one hole of 3 x 5: the network has to learn to fill exactly such holes."""
    bank = np.ones((4, 16, 16))
    for i, (top, left) in enumerate([(0, 0), (2, 9), (10, 3), (12, 11)]):
        bank[i, top : top + 3, left : left + 5] = 0
    hidden = hidden_by_split(bank, np.ones((16, 16)), 0.3)
    assert all((hidden == 1 - hole).all((1, 2)).any() for hole in bank)
    assert all((image == 1 - bank).all((1, 2)).any() for image in hidden)


def test_crops_get_holes_although_most_windows_have_none():
    """Cells are hidden only where none of 8 windows meets the stripe that is missing."""
    mask = np.ones((40, 200))
    mask[:, 100:104] = 0
    hidden = hidden_by_split([mask], np.ones((16, 16)), 0.3)
    stripes = hidden.any((1, 2)) & (hidden.min(1) == hidden.max(1)).all(1)  # all rows alike
    # A window of 16 meets the stripe from 19 of its 185 places.
    expected = 1 - (1 - 19 / 185) ** 8
    assert abs(stripes.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / 400) + 0.01
    assert set(hidden[stripes][:, 0].sum(1)) == {1, 2, 3, 4}


def test_of_large_holes_a_part_is_hidden():
    bank = np.stack([np.tile([1.0] * 8 + [0.0] * 8, (16, 1))] * 2)
    hidden = hidden_by_split(bank, np.ones((16, 16)), 0.25)
    assert not hidden[:, :, :8].any()
    share = hidden[:, :, 8:].mean((1, 2))
    assert abs(share.mean() - 0.5) < 4 * share.std() / np.sqrt(len(share))
    whole = hidden_by_split(bank, np.ones((16, 16)), 0.5)
    assert whole[:, :, 8:].all()


def test_damage_that_never_changes_still_hides_something():
    """A sensor's dead pixels are the same in all images: other masks say nothing of this one."""
    bank = np.ones((3, 16, 16))
    bank[:, 5] = 0
    hidden = hidden_by_split(bank, bank[0], 0.4)
    share = hidden.sum((1, 2)) / bank[0].sum()
    assert abs(share.mean() - 0.4) < 4 * share.std() / np.sqrt(len(share))
    assert not hidden[:, 5].any()


def test_channels_are_hidden_where_another_mask_misses_them():
    bank = np.ones((3, 8, 8, 3))
    for channel in range(3):
        bank[channel, 2 * channel : 2 * channel + 2, :, channel] = 0
    mask = np.ones((200, 8, 8, 3), "float32")
    hidden = mask - np.array(Empirical(bank).split(mask, random.key(0, np.arange(200)), 0.9))
    which = (hidden[:, None] == 1 - bank[None]).all((2, 3, 4))
    assert (which.sum(1) == 1).all()
    assert which.any(0).all()


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.ones((4, 4)), r"array \(M, H, W\) or .*Received: masks of shapes \[\(4,\)\]"),
        (np.ones((0, 4, 4)), r"non-empty.*Received: masks of shapes \[\]"),
        ([np.ones((4, 4)), np.ones((2, 4, 4))], r"the same C.*\[\(2, 4, 4\), \(4, 4\)\]"),
        ([np.ones((4, 0))], r"Received: masks of shapes \[\(4, 0\)\]"),
        (np.full((2, 4, 4), 255), "Received: values from 255 to 255"),
        (np.full((2, 4, 4), np.nan), "Received: values from nan to nan"),
        (np.zeros((2, 4, 4)), "must hold an observed pixel"),
        ("garbage", "no packed bank of masks. Received: 'garbage'"),
        ("", "no packed bank of masks"),
        ("c-muTfB+UK%?hO-N96q1", "no packed bank of masks"),
    ],
)
def test_banks_that_cannot_be(masks, message):
    with pytest.raises(ValueError, match=f"Empirical: .*{message}"):
        Empirical(masks)
