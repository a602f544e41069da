"""F and T(y) exactly, one mask per image index wherever it is drawn, and how they are written."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_uai import measurements, random
from keras_uai.measurements import DropPixel, Empirical, Measurement, Patch, split_mask
from tests.measurements.cases import ALL, CHANNELS, checksum
from tests.testing import images, run_serialization_test, same_bits

ids = [str(m)[:12] for m in ALL]


def masks(measurement, count=64, seed=0):
    return np.array(measurement.masks(np.arange(count), 16, 24, seed))


# -- F and T --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", [0.0, -1.0, 0.3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("measurement", ALL, ids=ids)
def test_observed_pixels_stay_bit_equal_and_the_others_become_tau(measurement, channels, tau):
    measurement.tau, mask = tau, masks(measurement, 5)
    x = images(5, (16, 24, channels))
    y = np.array(measurement(ops.convert_to_tensor(x), mask))
    seen = np.broadcast_to(mask == 1, x.shape)
    same_bits(y[seen], x[seen])
    same_bits(y[~seen], np.full_like(y[~seen], tau))
    measurement.tau = 0.0


def test_f_is_a_selection_that_lets_nothing_through():
    x = ops.convert_to_tensor(np.array([np.nan, np.inf, -0.25, 0.5], "float32").reshape(1, 2, 2, 1))
    mask = np.array([0, 0, 0, 1], "float32").reshape(1, 2, 2, 1)
    expected = np.array([0, 0, 0, 0.5], "float32").reshape(1, 2, 2, 1)
    for kind in ("float32", "float16", "int32", "uint8", "bool"):
        same_bits(DropPixel(0.5)(x, mask.astype(kind)), expected)
        same_bits(DropPixel(0.5)(x, tf.constant(mask.astype(kind))), expected)


def test_recovers_the_mask_of_every_8_bit_value():
    v = np.arange(256)
    x = (v / 127.5 - 1).astype("float32").reshape(1, 16, 16, 1)
    assert (x != 0).all()
    measurement = DropPixel(0.5)
    for index in range(20):
        mask = measurement.masks([index], 16, 16)
        same_bits(measurement.recover(measurement(ops.convert_to_tensor(x), mask)), mask)


def test_a_pixel_is_missing_where_all_its_channels_are_tau():
    y = np.full((1, 1, 3, 3), 0.3, "float32")
    y[0, 0, 1, 2] = 0.5
    y[0, 0, 2] = 0.0
    assert np.array(Measurement(tau=0.3).recover(y)).ravel().tolist() == [0, 1, 1]
    assert np.array(Measurement().recover(y)).ravel().tolist() == [1, 1, 0]


def test_channels_that_are_missing_independently():
    """With C mask channels, F and T work value by value."""
    measurement, x = Empirical(CHANNELS), images(64, (16, 24, 3))
    mask = masks(measurement)
    assert measurement.mask_channels == 3
    assert mask.shape == (64, 16, 24, 3)
    y = np.array(measurement(ops.convert_to_tensor(x), mask))
    same_bits(y, np.where(mask == 1, x, np.float32(0)))
    same_bits(measurement.recover(y), mask)
    assert (mask.min(-1) != mask.max(-1)).any()


# -- one index, one mask --------------------------------------------------------------------------


@pytest.mark.parametrize("measurement", ALL, ids=ids)
def test_a_mask_depends_on_its_index_and_seed_alone(measurement):
    together = masks(measurement)
    assert together.shape == (64, 16, 24, 1)
    assert together.dtype == np.float32
    assert set(np.unique(together)) <= {0.0, 1.0}
    order = [63, 0, 17, 17]
    same_bits(measurement.masks(order, 16, 24), together[order])
    same_bits(measurement.masks(tf.constant([5], tf.int64), 16, 24), together[5:6])
    same_bits(measurement.masks(5, 16, 24), together[5:6])
    assert measurement.masks([], 16, 24).shape == (0, 16, 24, 1)
    same_bits(measurement.masks(np.arange(64), 16, 24, seed=0), together)
    assert (masks(measurement, seed=1) != together).any()
    assert len(np.unique(together, axis=0)) > 5


#: Of 64 masks: their checksum, what `split(0.3)` leaves of them, and what `split_mask` leaves.
PINNED = [
    (0x58D190FF, 5181, 4980, 2562),
    (0xA7ECCF11, 2999, 2881, 1641),
    (0xE6814540, 3944, 3886, 2097),
    (0x4E5D7FE3, None, None, None),
]


@pytest.mark.parametrize(("measurement", "pinned"), list(zip(ALL, PINNED, strict=True)), ids=ids)
def test_seeds_give_the_numbers_of_version_0_1(measurement, pinned):
    """`None`: where the first fresh mask hid nothing, 0.1 hid cells, and 0.2 takes the next one."""
    crc, *left = pinned
    mask, keys = masks(measurement), random.key(1, np.arange(64))
    assert checksum(mask) == crc
    seen = [
        measurement.split(mask, keys, 0.3),
        split_mask(measurement, mask, keys),
        split_mask(measurement, mask, keys, by_measurement=0.5, context_dropout=0.2),
    ]
    for got, expected in zip(seen, left, strict=True):
        assert expected in (None, np.array(got).sum())


@pytest.mark.parametrize("measurement", ALL, ids=ids)
def test_split_hides_some_of_the_mask(measurement):
    """The same keys as the masks': what is hidden must not depend on what is missing."""
    keys = random.key(0, np.arange(400))
    mask = np.array(measurement.sample(keys, 16, 24))
    same_bits(measurement.split(mask, keys, 0.0), mask)
    fraction = np.where(np.arange(400) % 2, 0.15, 0.45).astype("float32")
    seen = np.array(measurement.split(mask, keys, fraction))
    assert seen.dtype == np.float32
    assert (seen <= mask).all()
    assert set(np.unique(seen)) <= {0.0, 1.0}
    hidden = 1 - seen.sum((1, 2, 3)) / mask.sum((1, 2, 3))
    for wanted in (0.15, 0.45):
        got = hidden[fraction == np.float32(wanted)]
        standard_error = got.std() / np.sqrt(len(got))
        assert abs(got.mean() - wanted) < 4 * standard_error + 0.07 * wanted, got.mean()
    same_bits(measurement.split(mask[7:9], keys[7:9], fraction[7:9]), seen[7:9])


# -- how measurements are written -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patch(90, 10)", Patch(90, 10)),
        (" Patch(n=1, k=32, border=0) ", Patch(1, 32, border=0)),
        ("DropPixel(0.9)", DropPixel(0.9)),
        ("DropPixel(p=.5, tau=-1)", DropPixel(0.5, tau=-1)),
    ],
)
def test_get(text, expected):
    assert measurements.get(text) == expected
    assert measurements.get(expected) is expected
    assert measurements.get(keras.saving.serialize_keras_object(expected)) == expected
    assert measurements.get(repr(expected)) == expected


@pytest.mark.parametrize(
    "wrong",
    ["", "DropPixel", "Patch(90)", "Patch(1, 2, side=3)", "Dense(3)", "Patch(n, k)", "P("]
    + [None, 0.9, {}, {"class_name": "x"}, Patch],
)
def test_get_names_the_forms_it_accepts(wrong):
    with pytest.raises(ValueError, match=r"must be .*Patch\((n, k|90, 10)\).*Received: ") as caught:
        measurements.get(wrong)
    assert repr(wrong) in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [(DropPixel, {"p": 0.3}), (Patch, {"n": 3, "k": 5, "border": 2})],
)
def test_serialization(cls, arguments):
    copy = run_serialization_test(cls, {**arguments, "tau": -0.5})
    assert copy == cls(**arguments, tau=-0.5)


def test_equality_is_that_of_configs():
    assert Patch(3, 5) == Patch(3, 5)
    assert hash(Patch(3, 5)) == hash(Patch(3, 5))
    others = [Patch(3, 4), Patch(2, 5), Patch(3, 5, border=3), Patch(3, 5, tau=0.1), DropPixel(0.5)]
    assert all(Patch(3, 5) != other for other in others)
    assert len({Patch(3, 5), *others, Patch(3, 5)}) == 6


def test_errors():
    with pytest.raises(ValueError, match="Received: tau=nan"):
        DropPixel(0.5, tau=float("nan"))
    with pytest.raises(NotImplementedError, match="Measurement must implement `sample`"):
        Measurement().masks([0], 4, 4)
