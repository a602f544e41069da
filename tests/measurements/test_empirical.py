"""Empirical: the bank is the distribution, travels in the config, and shapes what `thin` hides."""

import json

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_uai import random
from keras_uai.measurements import DropPixel, Empirical
from tests.testing import images, observations, run_serialization_test, same_bits

BANK = np.random.default_rng(0).integers(0, 2, (5, 6, 9))


def test_draws_the_masks_of_the_bank_equally_often():
    drawn = np.array(Empirical(BANK).masks(np.arange(4000), 6, 9))[..., 0]
    which = (drawn[:, None] == BANK[None]).all((2, 3))
    assert (which.sum(1) == 1).all()
    assert scipy.stats.chisquare(which.sum(0)).pvalue > 1e-3


@pytest.mark.parametrize(
    "masks", [BANK, BANK[..., None], BANK.astype(bool), BANK.astype("float32")]
)
def test_banks_of_any_kind(masks):
    assert Empirical(masks) == Empirical(BANK)


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 7, 5), (64, 32, 32), (2, 128, 128)])
def test_the_bank_travels_in_the_config(size):
    bank = np.random.default_rng(1).integers(0, 2, size)
    bank.flat[0] = 1
    measurement = Empirical(bank, tau=0.5)
    text = json.dumps(keras.saving.serialize_keras_object(measurement))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    same_bits(copy.bank, bank.astype("uint8"))
    assert copy == measurement
    assert copy.tau == 0.5
    assert len(text) < bank.size / 4 + 500


def test_serialization():
    read_bank = {"masks": lambda measurement: measurement.bank}
    run_serialization_test(Empirical, {"masks": BANK, "tau": -0.5}, read_bank)


def test_repr_is_short():
    assert repr(Empirical(np.ones((3, 4, 6)))) == "Empirical(3 masks of 4 x 6, 100.0% observed)"


# -- from_dataset ---------------------------------------------------------------------------------


def test_from_a_dataset_of_observations():
    y, mask = observations(DropPixel(0.6), 10)
    dataset = tf.data.Dataset.from_tensor_slices(y).batch(4)
    same_bits(Empirical.from_dataset(dataset).bank, mask[..., 0].astype("uint8"))
    same_bits(Empirical.from_dataset(dataset, max_masks=3).bank, mask[:3, ..., 0].astype("uint8"))
    dicts = dataset.map(lambda batch: {"observation": batch})
    assert Empirical.from_dataset(dicts) == Empirical.from_dataset(dataset)


def test_an_explicit_mask_wins():
    y, mask = images(6), DropPixel(0.5).masks(np.arange(6), 16, 16)
    dataset = tf.data.Dataset.from_tensor_slices({"observation": y, "mask": mask}).batch(4)
    same_bits(Empirical.from_dataset(dataset).bank, np.array(mask)[..., 0].astype("uint8"))


def test_tau_of_a_dataset():
    measurement = DropPixel(0.5, tau=-2.0)
    y, mask = observations(measurement, 4)
    found = Empirical.from_dataset([y], tau=-2.0)
    same_bits(found.bank, mask[..., 0].astype("uint8"))
    assert found.tau == -2.0


def test_an_endless_dataset_ends():
    y, _ = observations(DropPixel(0.6), 4)
    dataset = tf.data.Dataset.from_tensor_slices(y).batch(2).repeat()
    assert len(Empirical.from_dataset(dataset, max_masks=9).bank) == 9


# -- thin -----------------------------------------------------------------------------------------


def hidden_by_thin(bank, mask, fraction, count=400):
    mask = np.broadcast_to(mask.astype("float32"), (count, *bank.shape[1:]))[..., None]
    seen = Empirical(bank).thin(mask, random.key(0, np.arange(count)), fraction)
    return (mask - np.array(seen))[..., 0]


def test_holes_that_fit_are_hidden_whole():
    """Each image misses one hole of 3 x 5: the network has to learn to fill exactly such holes."""
    bank = np.ones((4, 16, 16))
    for i, (top, left) in enumerate([(0, 0), (2, 9), (10, 3), (12, 11)]):
        bank[i, top : top + 3, left : left + 5] = 0
    hidden = hidden_by_thin(bank, np.ones((16, 16)), 0.3)
    assert all((hidden == 1 - hole).all((1, 2)).any() for hole in bank)
    assert all((image == 1 - bank).all((1, 2)).any() for image in hidden)


def test_of_large_holes_a_part_is_hidden():
    bank = np.stack([np.tile([1.0] * 8 + [0.0] * 8, (16, 1))] * 2)
    hidden = hidden_by_thin(bank, np.ones((16, 16)), 0.25)
    assert not hidden[:, :, :8].any()
    share = hidden[:, :, 8:].mean((1, 2))
    assert abs(share.mean() - 0.5) < 4 * share.std() / np.sqrt(len(share))
    whole = hidden_by_thin(bank, np.ones((16, 16)), 0.5)
    assert whole[:, :, 8:].all()


def test_damage_that_never_changes_still_hides_something():
    """A sensor's dead pixels are the same in all images: other masks say nothing of this one."""
    bank = np.ones((3, 16, 16))
    bank[:, 5] = 0
    hidden = hidden_by_thin(bank, bank[0], 0.4)
    share = hidden.sum((1, 2)) / bank[0].sum()
    assert abs(share.mean() - 0.4) < 4 * share.std() / np.sqrt(len(share))
    assert not hidden[:, 5].any()


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.ones((4, 4)), r"shape \(M, H, W\) or \(M, H, W, 1\).*Received: shape \(4, 4\)"),
        (np.ones((2, 4, 4, 3)), r"Received: shape \(2, 4, 4, 3\)"),
        (np.ones((0, 4, 4)), r"non-empty.*Received: shape \(0, 4, 4\)"),
        (np.full((2, 4, 4), 255), "Received: values from 255 to 255"),
        (np.full((2, 4, 4), np.nan), "Received: values from nan to nan"),
        (np.zeros((2, 4, 4)), "no mask observes a single pixel"),
        ("garbage", "not a packed bank of masks. Received: 'garbage'"),
        ("", "not a packed bank of masks"),
    ],
)
def test_banks_that_cannot_be(masks, message):
    with pytest.raises(ValueError, match=f"Empirical: .*{message}"):
        Empirical(masks)


def test_size_must_be_that_of_the_bank():
    with pytest.raises(ValueError, match=r"its masks are 6 x 9 .*Received: images of 6 x 6"):
        Empirical(BANK).masks([0], 6, 6)


def test_an_empty_dataset():
    with pytest.raises(ValueError, match="the data set is empty"):
        Empirical.from_dataset([])
