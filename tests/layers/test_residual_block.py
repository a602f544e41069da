"""The residual block against its formula, its shapes, and what resampling does to them."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_uai.layers import PixelShuffle, ResidualBlock
from tests.testing import (
    array,
    run_layer_test,
    run_precision_test,
    run_serialization_test,
    same_bits,
)

RESAMPLE = [None, "down", "up"]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pool(x):
    return np.asarray(x).reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean((2, 4))


@pytest.mark.parametrize("filters", [4, 6])
@pytest.mark.parametrize("resample", RESAMPLE)
@pytest.mark.parametrize("spectral", [False, True])
def test_the_formula(resample, filters, spectral):
    block = ResidualBlock(filters, resample, normalization=None, spectral=spectral)
    x = noise(2, 8, 8, 4)
    got = block(x)
    h = block.convs[0](ops.relu(x))
    h = PixelShuffle(2)(h) if resample == "up" else h
    h = np.array(block.convs[1](ops.relu(h)))
    short = x if block.shortcut is None else array(block.shortcut(x))
    if resample == "up":
        short = np.array(PixelShuffle(2)(short))
    expected = pool(h) + pool(short) if resample == "down" else h + short
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert (block.shortcut is None) == (filters == 4 and resample != "up")


@pytest.mark.parametrize("filters", [4, 6])
@pytest.mark.parametrize("resample", RESAMPLE)
def test_the_lean_formula(resample, filters):
    """Pooling between the convolutions, a 1x1 convolution before the pixel shuffle."""
    block = ResidualBlock(filters, resample, normalization=None, spectral=False, lean=True)
    x = noise(2, 8, 8, 4)
    got = block(x)
    h, short = block.convs[0](ops.relu(x)), x
    if resample == "down":
        h, short = pool(h), pool(x)
    short = short if block.shortcut is None else block.shortcut(short)
    if resample == "up":
        h, short = PixelShuffle(2)(h), PixelShuffle(2)(short)
    h = block.convs[1](ops.relu(h))
    np.testing.assert_allclose(got, np.array(h) + np.array(short), atol=1e-5)
    assert block.convs[0].kernel.shape[:2] == ((1, 1) if resample == "up" else (3, 3))


@pytest.mark.parametrize("filters", [4, 6])
@pytest.mark.parametrize(("resample", "side"), [(None, 8), ("down", 4), ("up", 16)])
@pytest.mark.parametrize("modulated", [False, True])
def test_layer(resample, side, filters, modulated):
    shapes = [(8, 8, 4), (5,)] if modulated else [(8, 8, 4)]
    shortcut = filters != 4 or resample == "up"
    arguments = {"filters": filters, "resample": resample, "modulated": modulated}
    convolutions = 2 + shortcut
    run_layer_test(
        ResidualBlock,
        {**arguments, "normalization": "group"},
        shapes,
        (side, side, filters),
        trainable=2 * convolutions + 4,  # norms scale and shift, or the style does
        non_trainable=convolutions,
    )
    plain = {**arguments, "normalization": None, "spectral": False}
    run_layer_test(
        ResidualBlock, plain, shapes, (side, side, filters), 2 * convolutions + 4 * modulated
    )
    run_precision_test(ResidualBlock, {**arguments, "normalization": "group"}, shapes)


def test_serialization():
    run_serialization_test(
        ResidualBlock,
        {
            "filters": 6,
            "resample": "up",
            "normalization": "group",
            "spectral": False,
            "modulated": True,
            "modulation_scales": False,
            "lean": True,
        },
    )


def test_batch_norm_moves_in_training_alone():
    block, x = ResidualBlock(4), 1 + noise(4, 8, 8, 4)
    block(x)
    before = [array(norm.moving_mean) for norm in block.norms]
    block(x, training=False)
    for norm, mean in zip(block.norms, before, strict=True):
        same_bits(norm.moving_mean, mean)
    block(x, training=True)
    assert all((array(n.moving_mean) != m).any() for n, m in zip(block.norms, before, strict=True))


def test_the_style_matters_and_gets_a_gradient():
    block, x, w = ResidualBlock(4, modulated=True), noise(2, 8, 8, 4), tf.constant(noise(2, 5))
    with tf.GradientTape() as tape:
        tape.watch(w)
        out = tf.reduce_sum(tf.square(block(x, w)))
    assert (np.abs(tape.gradient(out, w)) > 0).all()
    assert (np.array(block(x, w)) != np.array(block(x, w + 1))).any()


def test_a_constant_image_upsamples_without_checkerboard():
    """With a kernel that treats the four sub-pixels alike, away from the zero padding."""
    block = ResidualBlock(3, "up", normalization=None, spectral=False)
    block.build((None, 8, 8, 3))
    for conv in (block.convs[0], block.shortcut):
        kernel = array(conv.kernel)
        conv.kernel.assign(np.tile(kernel[..., :3], 4))
    inner = np.array(block(np.ones((1, 8, 8, 3), "float32")))[:, 4:-4, 4:-4]
    np.testing.assert_allclose(inner, np.broadcast_to(inner[:, :1, :1], inner.shape), atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="Received: resample='half'"):
        ResidualBlock(4, "half")
    with pytest.raises(ValueError, match="Received: x alone"):
        ResidualBlock(4, modulated=True)(noise(1, 8, 8, 4))
    with pytest.raises(ValueError, match="Received: normalization='layer'"):
        ResidualBlock(4, normalization="layer")(noise(1, 8, 8, 4))
