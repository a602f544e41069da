"""Which pixels are hidden: against fresh masks drawn one after the other from the same keys."""

import numpy as np
import pytest

from keras_uai import measurements, random, rng_streams
from keras_uai.measurements import Empirical, check_split, split_mask
from tests.measurements.cases import MORE
from tests.testing import array, same_bits

COUNT, RATIO = 40, (0.1, 0.5)
HALVES = np.stack([np.rot90(np.repeat([0, 1], 8)[:, None] * np.ones(16), k) for k in range(4)])
SCRATCHED = np.ones((12, 16, 16))
SCRATCHED[np.arange(12), np.arange(12)] = 0  # one row of 16: less than `low`
SCRATCHED[9:, :8] = SCRATCHED[9:, :1] = 1


def case(measurement):
    measurement = measurements.get(measurement)
    mask = array(measurement.masks(np.arange(COUNT), 16, 16))
    mask[0] = 0  # nothing was observed: nothing can be hidden
    return measurement, mask, random.key(0, rng_streams.TRAINING, 0, np.arange(COUNT))


def by_hand(measurement, mask, keys, share):
    """`(mask_seen, number of images split by a fresh mask)`, one image and mask at a time."""
    low, _ = RATIO
    seen, by_mask = array(split_mask(measurement, mask, keys, RATIO)), 0
    u = array(random.uniform(random.fold_in(keys, rng_streams.SPLIT_CHOICE), ()))
    keys = random.fold_in(keys, rng_streams.SPLIT_BY_MEASUREMENT)
    tries = [
        array(measurement.sample(random.fold_in(keys, attempt), *mask.shape[1:3])) * mask
        for attempt in range(8)
    ]
    for i in np.flatnonzero(u < share):
        hidden = [1 - both[i].sum() / max(1, mask[i].sum()) for both in tries]
        fitting = [j for j in range(8) if low <= hidden[j] <= 0.75]
        slight = [j for j in range(8) if 0 < hidden[j] < low]
        if fitting or slight:
            best = fitting[0] if fitting else max(slight, key=lambda j: (hidden[j], -j))
            seen[i], by_mask = tries[best][i], by_mask + 1
    return seen, by_mask


@pytest.mark.parametrize(
    ("measurement", "share", "expected"),
    [
        ("Patch(9, 4, border=1)", 1.0, 39),
        ("Patch(9, 4, border=1)", 0.5, 18),
        ("Patch(1, 4, border=1)", 1.0, 32),  # two single patches often miss each other
        ("DropPixel(0.9)", 1.0, 6),  # nor do few pixels
        (Empirical(HALVES), 1.0, 39),  # one half hides itself not at all, its opposite wholly
        (Empirical(SCRATCHED), 1.0, 39),  # less than `low` is hidden, and as it is
    ],
    ids=str,
)
def test_a_fresh_mask_hides_all_that_it_misses(measurement, share, expected):
    measurement, mask, keys = case(measurement)
    seen, by_mask = by_hand(measurement, mask, keys, share)
    same_bits(split_mask(measurement, mask, keys, RATIO, by_measurement=share), seen)
    assert by_mask == expected


def test_the_share_is_uniform_in_its_range():
    """Of 32 x 32 single pixels: the binomial's spread is small beside that of the range."""
    measurement, _, _ = case("DropPixel(0)")
    mask, keys = np.ones((1000, 32, 32, 1), "float32"), random.key(0, np.arange(1000))
    hidden = 1 - array(split_mask(measurement, mask, keys, (0.2, 0.6))).mean((1, 2, 3))
    assert hidden.mean() == pytest.approx(0.4, abs=4 * 0.4 / np.sqrt(12 * 1000))
    assert np.quantile(hidden, [0.25, 0.5, 0.75]) == pytest.approx([0.3, 0.4, 0.5], abs=0.02)
    assert hidden.min() > 0.15
    assert hidden.max() < 0.65


def test_context_dropout_hides_everything():
    measurement, mask, keys = case("DropPixel(0.5)")
    without = array(split_mask(measurement, mask, keys, RATIO))
    seen = array(split_mask(measurement, mask, keys, RATIO, context_dropout=0.3))
    u = array(random.uniform(random.fold_in(keys, rng_streams.CONTEXT_DROPOUT), ()))
    same_bits(seen, np.where(u[:, None, None, None] < 0.3, np.float32(0), without))
    assert not array(split_mask(measurement, mask, keys, context_dropout=1.0)).any()


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (24, 40)])
@pytest.mark.parametrize("measurement", MORE, ids=lambda m: str(m)[:12])
def test_crops_of_any_size(measurement, size):
    """Also where all, or nothing, of a crop is observed; and an image alone is split the same."""
    mask = np.ones((9, *size, measurement.mask_channels), "float32")
    mask[3:6] = array(Empirical(np.eye(5)[None]).masks([0, 1, 2], *size))
    mask[6:] = 0
    keys = random.key(3, np.arange(9))
    too_small = size[0] < 9 and not isinstance(measurement, Empirical)  # to draw a mask
    for by_measurement in (0.0,) if too_small else (0.0, 1.0):
        seen = array(split_mask(measurement, mask, keys, RATIO, by_measurement))
        assert seen.shape == mask.shape
        assert set(np.unique(seen)) <= {0.0, 1.0}
        assert (seen <= mask).all()
        same_bits(split_mask(measurement, mask[4:5], keys[4:5], RATIO, by_measurement), seen[4:5])


@pytest.mark.parametrize("measurement", MORE, ids=lambda m: str(m)[:12])
def test_channels_are_hidden_together_unless_they_are_missing_independently(measurement):
    mask = np.ones((30, 16, 24, 3), "float32")
    mask[:, :8, :, 1] = 0
    hidden = mask - array(split_mask(measurement, mask, random.key(0, np.arange(30)), RATIO))
    together = (hidden[..., 0] == hidden[..., 2]).all()
    assert together == (measurement.mask_channels == 1)
    assert not hidden[:, :8, :, 1].any()
    assert hidden.any((0, 1, 2)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5,), r"`split_ratio` must be \(low, high\).*Received: split_ratio=0.5"),
        (((0.0, 0.5),), "Received: split_ratio=\\(0.0, 0.5\\)"),
        (((0.5, 0.2),), "0 < low <= high < 1"),
        (((0.5, 1.0),), "0 < low <= high < 1"),
        (((0.1, 0.5), 1.5), "`split_by_measurement` must be a probability.*Received: .*=1.5"),
        (((0.1, 0.5), 0.0, "no"), "`context_dropout` must be a probability.*Received: .*='no'"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        check_split(*arguments)
    assert check_split([0.1, 0.5], 1) == ((0.1, 0.5), 1.0, 0.0)
