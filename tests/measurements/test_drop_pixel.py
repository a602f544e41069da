"""DropPixel(p): exact counts, and every set of pixels alike."""

import numpy as np
import pytest
import scipy.stats
from keras import ops

from keras_uai import random
from keras_uai.measurements import DropPixel


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("size", [(16, 16), (32, 32), (20, 28), (128, 128), (7, 200)])
def test_drops_exactly_round_p_h_w(p, size):
    height, width = size
    mask = np.array(DropPixel(p).masks(np.arange(4), height, width))
    assert ((mask == 0).sum((1, 2, 3)) == round(p * height * width)).all()


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.6, 0.9])
@pytest.mark.parametrize("values", [1, 3, 2**24])
def test_drops_the_lowest_uniforms_and_of_equal_ones_the_first(p, values, monkeypatch):
    u = np.random.default_rng(0).integers(0, values, (20, 256)) / 2.0**24
    monkeypatch.setattr(random, "uniform", lambda keys, shape: ops.convert_to_tensor(u, "float32"))
    mask = np.array(DropPixel(p).masks(np.arange(20), 16, 16)).reshape(20, 256)
    expected = np.ones_like(mask)
    for row, dropped in zip(expected, np.argsort(u, axis=1, kind="stable"), strict=True):
        row[dropped[: round(p * 256)]] = 0
    assert (mask == expected).all()


def test_every_pixel_is_dropped_equally_often_and_independently_of_its_neighbour():
    p, count = 0.75, 8000
    missing = 1 - np.array(DropPixel(p).masks(np.arange(count), 8, 8))[..., 0]
    # Sums of hypergeometric draws: variance p (1 - p) an image and pixel, covariance negative.
    expected = count * p
    statistic = ((missing.sum(0) - expected) ** 2).sum() / (count * p * (1 - p)) * 63 / 64
    assert scipy.stats.chi2.sf(statistic, 63) > 1e-3
    together = (missing[:, :, 1:] * missing[:, :, :-1]).mean()
    expected = 48 / 64 * 47 / 63  # drawn without replacement
    assert abs(together - expected) < 4 * np.sqrt(expected * (1 - expected) / (count * 56))


@pytest.mark.parametrize("p", [-0.1, 1, 1.0, 1.5, float("nan"), "0.5", None, True])
def test_p_must_be_a_fraction(p):
    with pytest.raises(ValueError, match=r"in \[0, 1\)\. Received: p="):
        DropPixel(p)


def test_something_must_be_left():
    with pytest.raises(ValueError, match=r"must leave a pixel of 4 x 4.*Received: p=0\.99"):
        DropPixel(0.99).masks([0], 4, 4)
    for size in ((16, 16), (None, 4), (4, None)):
        DropPixel(0.99).check(*size)
