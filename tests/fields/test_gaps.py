"""Hiding of observed values by a stack's own gaps."""

import numpy as np
import pytest

from keras_uai.fields.gaps import LEAST, MOST, hide

RNG = np.random.default_rng(0)
ALL = np.ones((8, 30, 40, 1), bool)


def clouds():
    observed = ALL.copy()
    for t in range(8):
        top, left = RNG.integers(20, size=2)
        observed[t, top : top + 10, left : left + 15] = False
    return observed


CASES = {
    "clouds": clouds(),
    "no gap": ALL,
    "the same stripes in all": np.broadcast_to((np.arange(30) % 8 > 1)[:, None, None], ALL.shape),
    "one frame": clouds()[:1],
    "an empty frame": np.concatenate([clouds(), ~ALL[:1]]),
}


@pytest.mark.parametrize("name", CASES)
def test_hidden_values_are_observed_and_leave_enough(name):
    observed = CASES[name]
    fillable = np.ones(observed.shape, bool)
    for seed in range(5):
        hidden = hide(observed, fillable, seed)
        assert not (hidden & ~observed).any()
        for t in np.flatnonzero(observed.any(axis=(1, 2, 3))):
            assert LEAST <= hidden[t].sum() / observed[t].sum() <= MOST
        np.testing.assert_array_equal(hidden, hide(observed, fillable, seed))
    assert (hide(observed, fillable, 1) != hide(observed, fillable, 2)).any()


def test_hidden_values_have_the_shape_of_gaps():
    """Of stripes two pixels high, what is hidden is two pixels high."""
    observed = CASES["the same stripes in all"]
    hidden = hide(observed, np.ones(observed.shape, bool), 0)
    heights = hidden[..., 0].any(axis=2).sum(axis=1)
    assert (heights <= 2 * 4).all()


def test_share_is_that_of_the_frames():
    hidden = hide(clouds(), ALL, 0, 0.25)
    assert hidden.any(axis=(1, 2, 3)).sum() == 2


def test_land_is_no_gap():
    observed = ALL.copy()
    observed[:, :10] = False  # never observed, never filled
    fillable = observed.copy()
    observed[:4, 20:25, 5:20] = False
    hidden = hide(observed, fillable, 0)
    assert hidden.any()
    assert not (hidden & ~observed).any()
