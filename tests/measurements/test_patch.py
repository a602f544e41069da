"""Patch(n, k): where patches lie, and what they cover together, in closed form."""

import numpy as np
import pytest
import scipy.stats

from keras_uai import random
from keras_uai.measurements import Patch


def cover_probability(n, k, border, height, width):
    """P(a pixel is kept), `(height, width)`: 1 - (1 - p_r p_c)^n, with p_r and p_c the shares of
    the top left corners whose patch covers the row or the column.
    """

    def share(size):
        corners = np.arange(border, size - border - k + 1)
        positions = np.arange(size)[:, None]
        return ((positions >= corners) & (positions < corners + k)).mean(1)

    return 1 - (1 - np.outer(share(height), share(width))) ** n


@pytest.mark.parametrize(
    ("n", "k", "border", "size"),
    [(1, 5, 2, (16, 16)), (6, 4, 4, (20, 28)), (90, 3, 4, (32, 32)), (3, 1, 0, (8, 8))],
)
def test_kept_fraction_is_the_closed_form_at_every_pixel(n, k, border, size):
    count = 4000
    mask = np.array(Patch(n, k, border).masks(np.arange(count), *size))[..., 0]
    expected = cover_probability(n, k, border, *size)
    standard_error = np.sqrt(expected * (1 - expected) / count)
    z = (mask.mean(0) - expected)[standard_error > 0] / standard_error[standard_error > 0]
    assert np.abs(z).max() < 5
    assert abs(z.mean()) < 0.5
    assert (mask.mean(0) == expected)[standard_error == 0].all()


@pytest.mark.parametrize(("n", "border"), [(50, 4), (200, 1), (7, 0)])
def test_the_border_is_never_sampled(n, border):
    mask = np.array(Patch(n, 3, border).masks(np.arange(300), 16, 20))[..., 0]
    inner = mask[:, border : 16 - border, border : 20 - border]
    assert inner.sum() == mask.sum()
    # while its inner edge is reached on all four sides
    for edge in (inner[:, 0], inner[:, -1], inner[:, :, 0], inner[:, :, -1]):
        assert edge.any()


def test_one_patch_is_a_square_with_a_uniform_corner():
    count, k, border = 6000, 5, 1
    mask = np.array(Patch(1, k, border).masks(np.arange(count), 12, 14))[..., 0]
    tops, lefts = mask.any(2).argmax(1), mask.any(1).argmax(1)
    for i in range(0, count, 97):
        square = np.zeros((12, 14))
        square[tops[i] : tops[i] + k, lefts[i] : lefts[i] + k] = 1
        assert (mask[i] == square).all()
    assert (mask.sum((1, 2)) == k * k).all()
    counts = np.zeros((6, 8))
    np.add.at(counts, (tops - border, lefts - border), 1)
    assert scipy.stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_split_hides_squares():
    """What is hidden of a fully observed image are squares of the patches' side."""
    patch, keys = Patch(20, 4, border=0), random.key(1, np.arange(500))
    hidden = 1 - np.array(patch.split(np.ones((500, 16, 16, 1), "float32"), keys, 0.05))[..., 0]
    one = hidden[hidden.sum((1, 2)) == 16]
    assert len(one) > 100
    for image in one:
        assert image.any(1).sum() == image.any(0).sum() == 4


@pytest.mark.parametrize("patch", [Patch(5000, 1), Patch(3, 1), Patch(8, 56, 4), Patch(1, 64, 0)])
def test_split_at_the_extremes(patch):
    """Tiny patches do not need thousands of squares, nor do large ones hide everything at once."""
    keys = random.key(1, np.arange(60))
    mask = np.array(patch.masks(np.arange(60), 64, 64))
    hidden = 1 - np.array(patch.split(mask, keys, 0.3)).sum((1, 2, 3)) / mask.sum((1, 2, 3))
    assert abs(hidden.mean() - 0.3) < 4 * hidden.std() / np.sqrt(60) + 0.04


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5), "`n` must be an integer of at least 1. Received: n=0"),
        ((3, 0), "`k` must be an integer of at least 1. Received: k=0"),
        ((3, 2.5), "Received: k=2.5"),
        ((True, 5), "Received: n=True"),
        ((3, 5, -1), "`border` must be an integer of at least 0. Received: border=-1"),
        (("3", 5), "Received: n='3'"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=f"Patch: .*{message}"):
        Patch(*arguments)


@pytest.mark.parametrize("size", [(31, 64), (64, 31)])
def test_a_patch_larger_than_the_image(size):
    Patch(1, 24).check(32, 32)
    Patch(1, 24).check(None, None)
    with pytest.raises(ValueError, match=r"Received: k=24, border=4, image size \d\d x \d\d"):
        Patch(1, 24).masks([0], *size)
