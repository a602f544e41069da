"""The fill against a slow second implementation and against cases with a known answer."""

import numpy as np
import pytest
import tensorflow as tf

from keras_uai.layers import Anchor, PushPull
from keras_uai.measurements import DropPixel, Patch
from tests.testing import array, images, observations, run_layer_test, same_bits


def fill(y, mask):
    return np.array(PushPull()(y, mask))


def bilinear_double(x):
    """Twice as large, half-pixel centres, edges repeated: weights 3/4 and 1/4, in float64."""
    for axis in (0, 1):
        n = x.shape[axis]
        before, after = (np.take(x, np.clip(np.arange(n) + d, 0, n - 1), axis) for d in (-1, 1))
        pair = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        x = pair.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1 :])
    return x


def slow_fill(y, mask):
    """One image: averages over what 2 x 2 cells hold, then missing cells from the coarser level."""
    if len(y) == 1:
        return y * mask
    cells = y.reshape(len(y) // 2, 2, len(y) // 2, 2, -1)
    held = mask.reshape(len(y) // 2, 2, len(y) // 2, 2, 1)
    count = held.sum((1, 3))
    coarse = (cells * held).sum((1, 3)) / np.maximum(count, 1)
    return mask * y + (1 - mask) * bilinear_double(slow_fill(coarse, (count > 0).astype(float)))


@pytest.mark.parametrize("measurement", [DropPixel(0.9), DropPixel(0.3), Patch(2, 5, 1)], ids=repr)
def test_against_the_slow_fill(measurement):
    y, mask = observations(measurement, 4)
    expected = [slow_fill(*pair) for pair in zip(y.astype("float64"), mask, strict=True)]
    np.testing.assert_allclose(fill(y, mask), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (24, 16), (20, 28), (13, 16), (9, 9)])
@pytest.mark.parametrize("channels", [1, 3])
def test_observed_pixels_are_kept_and_the_rest_lies_between_them(size, channels):
    y, mask = observations(DropPixel(0.8), 3, (*size, channels))
    filled = fill(y, mask)
    seen = np.broadcast_to(mask == 1, y.shape)
    same_bits(filled[seen], y[seen])
    for i in range(3):
        for c in range(channels):
            values = y[i, ..., c][mask[i, ..., 0] == 1]
            assert filled[i, ..., c].min() >= values.min() - 1e-5
            assert filled[i, ..., c].max() <= values.max() + 1e-5


def test_a_constant_image_is_recovered_from_a_single_pixel():
    y = np.zeros((3, 16, 16, 3), "float32")
    mask = np.zeros((3, 16, 16, 1), "float32")
    for i, (row, column) in enumerate([(0, 0), (7, 9), (15, 3)]):
        y[i, row, column], mask[i, row, column] = (0.3, -0.7, 1.0), 1
    np.testing.assert_allclose(fill(y, mask), np.broadcast_to([0.3, -0.7, 1.0], y.shape), atol=1e-6)


def test_closed_form():
    """4 x 4, the left columns 1 and the right ones 0 but for one known pixel of -1: by hand."""
    y = np.zeros((1, 4, 4, 1), "float32")
    y[0, :, :2], y[0, 0, 3] = 1.0, -1.0
    mask = np.zeros_like(y)
    mask[0, :, :2], mask[0, 0, 3] = 1, 1
    # level 2 x 2: [[1, -1], [1, ?]]; its mean (1 - 1 + 1) / 3 fills the unknown cell
    coarse = np.array([[1, -1], [1, 1 / 3]])
    expected = bilinear_double(coarse[..., None])
    expected[:, :2], expected[0, 3] = 1, -1
    np.testing.assert_allclose(fill(y, mask)[0], expected, atol=1e-6)


def test_nothing_observed_gives_grey_and_everything_gives_the_image():
    x = images(2)
    same_bits(fill(x, np.ones((2, 16, 16, 1), "float32")), x)
    assert (fill(np.zeros_like(x), np.zeros((2, 16, 16, 1), "float32")) == 0).all()


def test_what_lies_under_the_mask_does_not_matter():
    y, mask = observations(DropPixel(0.7), 2)
    same_bits(fill(y, mask), fill(np.where(mask == 1, y, np.float32(0.6)), mask))


def test_images_do_not_mix_and_gradients_flow():
    y, mask = observations(DropPixel(0.7), 2)
    same_bits(fill(y[:1], mask[:1]), fill(y, mask)[:1])
    with tf.GradientTape() as tape:
        watched = tf.constant(y)
        tape.watch(watched)
        total = tf.reduce_sum(PushPull()(watched, mask)[0])
    gradient = array(tape.gradient(total, watched))
    assert (gradient[1] == 0).all()
    assert (gradient[0][mask[0, ..., 0] == 0] == 0).all()
    # Every filled pixel is an average of observed ones: its weights sum to 1.
    assert gradient[0].sum() == pytest.approx(16 * 16 * 3, rel=1e-4)


def test_layer():
    run_layer_test(PushPull, {}, [(16, 16, 3), (16, 16, 1)], (16, 16, 3), trainable=0)
    y, mask = observations(DropPixel(0.7), 2)
    half = PushPull(dtype="mixed_float16")(y, mask)
    assert half.dtype == tf.float16
    np.testing.assert_allclose(half, fill(y, mask), atol=2e-3)


# -- Anchor -----------------------------------------------------------------------------------------


def test_an_anchored_residual_is_0_where_observed_and_untouched_where_nothing_is():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(3, 8, 8, 2)).astype("float32")
    mask = (generator.normal(size=(3, 8, 8, 1)) > 0).astype("float32")
    mask[0] = 0
    mask[1] = 1
    got = np.array(Anchor()(x, mask))
    np.testing.assert_allclose(got * mask, 0, atol=1e-6)
    np.testing.assert_allclose(got, x - np.array(PushPull()(x, mask)), atol=1e-6)
    np.testing.assert_allclose(got[0], x[0], atol=1e-6)
    assert not got[1].any()


def test_an_anchor_fades_in_around_an_observed_pixel():
    """Of a constant nothing is left; of a slope, more the farther from what was observed."""
    mask = np.zeros((1, 8, 8, 1), "float32")
    mask[0, 0, 0] = 1
    assert np.abs(np.array(Anchor()(np.full((1, 8, 8, 1), 3.0, "float32"), mask))).max() < 1e-6
    slope = np.broadcast_to(np.arange(8, dtype="float32")[None, None, :, None], (1, 8, 8, 1))
    row = np.array(Anchor()(slope, mask))[0, 0, :, 0]
    assert row[0] == 0
    assert (np.diff(row) > 0).all()


def test_anchor_as_a_layer():
    run_layer_test(Anchor, {}, [(8, 8, 3), (8, 8, 1)], (8, 8, 3), trainable=0)
