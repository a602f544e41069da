"""Low-rank fills against data of a known rank."""

import numpy as np
import pytest

from keras_uai.fields.gaps import hide
from keras_uai.fields.low_rank import LowRank, choose_rank

RNG = np.random.default_rng(0)


def stack(rank, count=24, side=24, noise=0.05):
    """A stack of this rank with smooth scores in time, noise, and a sixth missing in blocks."""
    time = np.arange(count)
    scores = np.stack([np.sin(time / (2 + k)) for k in range(rank)], -1)
    loadings = RNG.normal(size=(side, side, rank))
    true = 1.0 + scores @ np.moveaxis(loadings, -1, 0).reshape(rank, -1)
    true = true.reshape(count, side, side, 1).astype("float32")
    seen = np.ones(true.shape, bool)
    for t in time:
        top, left = RNG.integers(side // 2, size=2)
        seen[t, top : top + 10, left : left + 10] = False
    return true, true + noise * RNG.normal(size=true.shape).astype("float32"), seen, time


def fills(found, count):
    return np.stack([found.frame(t) for t in range(count)])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_missing_values_of_the_right_rank_are_recovered(rank):
    true, values, seen, time = stack(rank)
    found = LowRank.fit(values, seen, time, rank)
    error = (fills(found, len(true)) - true)[~seen]
    assert np.sqrt(np.square(error).mean()) < 0.1 * true[~seen].std()


def test_missing_values_have_no_influence():
    _, values, seen, time = stack(2)
    found = LowRank.fit(values, seen, time, 2)
    other = LowRank.fit(np.where(seen, values, np.nan), seen, time, 2)
    np.testing.assert_array_equal(found.frame(3), other.frame(3))


def test_the_rank_is_chosen_by_hidden_values():
    _, values, seen, time = stack(2)
    rank = choose_rank(values, seen, time, lambda i: hide(seen, np.ones_like(seen), i, 0.3))
    assert rank == 2


def test_the_deviation_is_that_of_the_error():
    true, values, seen, time = stack(2, noise=0.3)
    found = LowRank.fit(values, seen, time, 2)
    errors = np.square(fills(found, len(true)) - values)[~seen].mean()
    told = np.square([found.deviation(t) for t in range(len(true))])[~seen].mean()
    assert 0.7 < np.sqrt(told / errors) < 1.4


def test_a_frame_without_a_value_is_interpolated_in_time():
    true, values, seen, time = stack(1)
    seen[10] = False
    found = LowRank.fit(values, seen, time, 1)
    mean = np.square(LowRank.fit(values, seen, time, 0).frame(10) - true[10]).mean()
    assert np.square(found.frame(10) - true[10]).mean() < 0.2 * mean


def test_pixels_never_seen_are_filled_in_space():
    smooth = np.tile(np.linspace(0, 1, 24, dtype="float32")[:, None, None], (6, 1, 24, 1))
    seen = np.ones(smooth.shape, bool)
    seen[:, 10:13, 10:13] = False
    found = LowRank.fit(smooth, seen, np.arange(6), 0)
    np.testing.assert_allclose(found.frame(0)[10:13, 10:13], smooth[0, 10:13, 10:13], atol=0.15)


def test_a_window_is_a_part_of_the_frame():
    _, values, seen, time = stack(2)
    found = LowRank.fit(values, seen, time, 2)
    window = (slice(3, 9), slice(5, 8))
    np.testing.assert_allclose(found.frame(4, window), found.frame(4)[window], atol=1e-6)
    np.testing.assert_allclose(found.deviation(4, window), found.deviation(4)[window], atol=1e-6)
