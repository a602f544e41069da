"""The fill against version 0.1's, a slow second implementation, and cases with a known answer."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_uai.layers import PushPull, ResidualConditioning
from tests.testing import array, noise, run_layer_test, run_serialization_test, same_bits


def damaged(share, size, channels=3, mask_channels=1, count=3):
    """`count` images and masks of which about `share` is missing; the first has one pixel only."""
    random = np.random.default_rng(0)
    mask = (random.random((count, *size, mask_channels)) > share).astype("float32")
    mask[0] = 0
    mask[0, size[0] // 2, size[1] // 3] = 1
    return noise(count, *size, channels) * mask, mask


def fill(y, mask, levels=8):
    return np.array(PushPull(levels)(y, mask))


def fill_of_version_0_1(y, mask):
    """For squares of a power of two: pools down to one pixel."""
    weighted, weight = ops.convert_to_tensor(y * mask), ops.convert_to_tensor(mask)
    levels, size = [(weighted, weight)], y.shape[1]
    while size > 1:
        weighted = ops.average_pool(weighted, (2, 2), strides=(2, 2))
        weight = ops.average_pool(weight, (2, 2), strides=(2, 2))
        share = ops.minimum(1.0, 4.0 * weight)
        weighted = weighted * (share / ops.maximum(weight, 1e-6))
        weight = share
        levels.append((weighted, weight))
        size //= 2
    filled, _ = levels.pop()
    for weighted, weight in reversed(levels):
        filled = ops.image.resize(filled, weighted.shape[1:3], interpolation="bilinear")
        filled = weighted + (1.0 - weight) * filled
    return array(filled)


def bilinear_double(x):
    """Twice as large, half-pixel centres, edges repeated: weights 3/4 and 1/4, in float64."""
    for axis in (0, 1):
        n = x.shape[axis]
        before, after = (np.take(x, np.clip(np.arange(n) + d, 0, n - 1), axis) for d in (-1, 1))
        pair = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        x = pair.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1 :])
    return x


def slow_fill(y, mask, levels=8):
    """One image of any size and one mask per channel: cells are padded as unobserved."""
    height, width, channels = y.shape
    if not levels:
        mean = (y * mask).sum((0, 1)) / np.maximum(mask.sum((0, 1)), 1)
        return np.where(mask == 1, y, mean)
    even = [(0, height % 2), (0, width % 2), (0, 0)]
    cells, held = (
        np.pad(v, even).reshape((height + 1) // 2, 2, (width + 1) // 2, 2, channels)
        for v in (y * mask, mask)
    )
    count = held.sum((1, 3))
    coarse = slow_fill(cells.sum((1, 3)) / np.maximum(count, 1), (count > 0) * 1.0, levels - 1)
    return np.where(mask == 1, y, bilinear_double(coarse)[:height, :width])


@pytest.mark.parametrize("size", [4, 16, 64, 256])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_squares_of_a_power_of_two_are_filled_as_in_version_0_1(share, size):
    y, mask = damaged(share, (size, size))
    np.testing.assert_allclose(fill(y, mask), fill_of_version_0_1(y, mask), atol=1e-6)


@pytest.mark.parametrize("mask_channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (24, 16), (13, 32), (9, 9), (1, 7), (67, 33)])
@pytest.mark.parametrize("levels", [2, 8])
def test_against_the_slow_fill(levels, size, mask_channels):
    y, mask = damaged(0.8, size, mask_channels=mask_channels)
    filled = fill(y, mask, levels)
    full = np.broadcast_to(mask, y.shape)
    expected = [slow_fill(*p, levels) for p in zip(y.astype("float64"), full, strict=True)]
    np.testing.assert_allclose(filled, expected, atol=1e-5)
    # In a graph of unknown sizes, too; and observed pixels keep their bits.
    specs = [tf.TensorSpec((None, None, None, n)) for n in (3, mask_channels)]
    graph = tf.function(PushPull(levels), input_signature=specs, autograph=False)
    np.testing.assert_allclose(graph(y, mask), filled, atol=1e-6)
    same_bits(filled[full == 1], y[full == 1])


def test_the_fill_lies_between_the_observed_values():
    y, mask = damaged(0.8, (20, 27))
    filled = fill(y, mask)
    for i in range(3):
        for c in range(3):
            values = y[i, ..., c][mask[i, ..., 0] == 1]
            assert filled[i, ..., c].min() >= values.min() - 1e-5
            assert filled[i, ..., c].max() <= values.max() + 1e-5


def test_a_constant_image_is_recovered_from_a_single_pixel():
    """Also where it is farther away than the coarsest level's cells are wide."""
    color = np.array([0.3, -0.7, 1.0], "float32")
    for size, pixel in (((15, 16), (0, 0)), ((15, 16), (14, 3)), ((3, 700), (1, 1))):
        mask = np.zeros((1, *size, 1), "float32")
        mask[0, *pixel] = 1
        filled = fill(color * mask, mask)
        np.testing.assert_allclose(filled, np.broadcast_to(color, filled.shape), atol=1e-6)


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


def test_nothing_observed_gives_0_and_everything_gives_the_image():
    for size in ((16, 16), (5, 9)):
        x, ones = noise(2, *size, 3), np.ones((2, *size, 1), "float32")
        same_bits(fill(x, ones), x)
        assert (fill(x, 0 * ones) == 0).all()


def test_values_under_the_mask_do_not_matter():
    y, mask = damaged(0.7, (16, 21))
    same_bits(fill(y, mask), fill(np.where(mask == 1, y, np.float32(0.6)), mask))


def test_images_do_not_mix_and_gradients_flow():
    y, mask = damaged(0.7, (9, 16))
    same_bits(fill(y[:1], mask[:1]), fill(y, mask)[:1])
    with tf.GradientTape() as tape:
        watched = tf.constant(y)
        tape.watch(watched)
        total = tf.reduce_sum(PushPull()(watched, mask)[0])
    gradient = array(tape.gradient(total, watched))
    assert (gradient[1:] == 0).all()
    assert (gradient[0][mask[0, ..., 0] == 0] == 0).all()
    # Every filled pixel is an average of observed ones: its weights sum to 1.
    assert gradient[0].sum() == pytest.approx(9 * 16 * 3, rel=1e-4)


def test_layer():
    run_layer_test(PushPull, {}, [(13, 16, 3), (13, 16, 1)], (13, 16, 3), trainable=0)
    run_serialization_test(PushPull, {"levels": 3})
    y, mask = damaged(0.7, (16, 16))
    half = PushPull(dtype="mixed_float16")(y, mask)
    assert half.dtype == tf.float16
    np.testing.assert_allclose(half, fill(y, mask), atol=5e-3)


# -- ResidualConditioning -------------------------------------------------------------------------


def test_a_residual_is_0_where_observed_and_untouched_where_nothing_is():
    x = noise(3, 8, 9, 2)
    mask = (noise(3, 8, 9, 1, seed=1) > 0).astype("float32")
    mask[0] = 0
    mask[1] = 1
    got = np.array(ResidualConditioning()(x, mask))
    np.testing.assert_allclose(got * mask, 0, atol=1e-6)
    np.testing.assert_allclose(got, x - fill(x * mask, mask), atol=1e-6)
    same_bits(got[0], x[0])
    assert not got[1].any()


def test_a_residual_fades_in_around_an_observed_pixel():
    """Of a constant nothing is left; of a slope, more the farther from the observed pixel."""
    mask = np.zeros((1, 8, 8, 1), "float32")
    mask[0, 0, 0] = 1
    layer = ResidualConditioning()
    assert np.abs(np.array(layer(np.full((1, 8, 8, 1), 3.0, "float32"), mask))).max() < 1e-6
    slope = np.broadcast_to(np.arange(8, dtype="float32")[None, None, :, None], (1, 8, 8, 1))
    row = np.array(layer(slope, mask))[0, 0, :, 0]
    assert row[0] == 0
    assert (np.diff(row) > 0).all()


def test_residual_conditioning_as_a_layer():
    run_layer_test(ResidualConditioning, {}, [(7, 8, 3), (7, 8, 1)], (7, 8, 3), trainable=0)
    run_serialization_test(
        ResidualConditioning,
        {"levels": 3, "dtype": "float64"},
        {"dtype": lambda layer: layer.dtype_policy.name},
    )
