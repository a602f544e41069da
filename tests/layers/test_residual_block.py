"""The residual block against its formula, its shapes, and the effects of resampling."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_uai.layers import PixelShuffle, ResidualBlock
from tests.testing import (
    array,
    noise,
    run_layer_test,
    run_precision_test,
    run_serialization_test,
    same_bits,
)

RESAMPLE = [None, "down", "up"]
PLAIN = {"normalization": None, "spectral_normalization": False}


def pool(x):
    n, height, width, channels = x.shape
    return np.asarray(x).reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


@pytest.mark.parametrize("filters", [4, 6])
@pytest.mark.parametrize("resample", RESAMPLE)
@pytest.mark.parametrize("spectral", [False, True])
def test_the_formula(resample, filters, spectral):
    block = ResidualBlock(filters, resample, None, spectral)
    x = noise(2, 8, 10, 4)
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
def test_the_formula_of_efficient_resampling(resample, filters):
    """Pooling between the convolutions, a 1x1 convolution before the pixel shuffle."""
    block = ResidualBlock(filters, resample, efficient_resampling=True, **PLAIN)
    x = noise(2, 8, 10, 4)
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
@pytest.mark.parametrize(
    ("resample", "size"), [(None, (6, 10)), ("down", (3, 5)), ("up", (12, 20))]
)
@pytest.mark.parametrize("modulation", [None, "shift", "scale_shift"])
def test_layer(resample, size, filters, modulation):
    shapes = [(6, 10, 4), (5,)] if modulation else [(6, 10, 4)]
    arguments = {"filters": filters, "resample": resample, "modulation": modulation}
    convolutions = 2 + (filters != 4 or resample == "up")
    norms = 0 if modulation == "scale_shift" else 4  # the style scales and shifts in their place
    styles = 4 if modulation else 0
    run_layer_test(
        ResidualBlock,
        {**arguments, "normalization": "group"},
        shapes,
        (*size, filters),
        trainable=2 * convolutions + norms + styles,
        non_trainable=convolutions,
    )
    run_layer_test(
        ResidualBlock, {**arguments, **PLAIN}, shapes, (*size, filters), 2 * convolutions + styles
    )


@pytest.mark.parametrize("efficient", [False, True])
@pytest.mark.parametrize("resample", RESAMPLE)
def test_precision(resample, efficient):
    arguments = {
        "filters": 6,
        "resample": resample,
        "normalization": "group",
        "modulation": "scale_shift",
        "efficient_resampling": efficient,
    }
    run_precision_test(ResidualBlock, arguments, [(6, 10, 4), (5,)])


def test_serialization():
    run_serialization_test(
        ResidualBlock,
        {
            "filters": 6,
            "resample": "up",
            "normalization": "group",
            "spectral_normalization": False,
            "modulation": "shift",
            "efficient_resampling": True,
        },
    )


def test_the_order_of_weights_is_that_of_version_0_1():
    """Presets of 0.1 are converted by it: each list of layers in turn, the shortcut last."""
    block = ResidualBlock(6, "up", modulation="scale_shift")
    block.build((None, None, None, 4), (None, 5))
    layers = [*block.norms, *block.modulations, *block.convs, block.shortcut]
    assert [id(w) for w in block.weights] == [id(w) for layer in layers for w in layer.weights]


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
    block = ResidualBlock(4, modulation="scale_shift")
    x, style = noise(2, 8, 8, 4), tf.constant(noise(2, 5))
    with tf.GradientTape() as tape:
        tape.watch(style)
        out = tf.reduce_sum(tf.square(block(x, style)))
    assert (np.abs(tape.gradient(out, style)) > 0).all()
    assert (np.array(block(x, style)) != np.array(block(x, style + 1))).any()


def test_a_constant_image_upsamples_without_checkerboard():
    """With a kernel that treats the four sub-pixels alike, away from the zero padding."""
    block = ResidualBlock(3, "up", **PLAIN)
    inner = np.array(block(np.ones((1, 8, 8, 3), "float32")))[:, 4:-4, 4:-4]
    np.testing.assert_allclose(inner, np.broadcast_to(inner[:, :1, :1], inner.shape), atol=1e-5)


def test_power_iterations_advance_in_every_convolution():
    block = ResidualBlock(6, "up")
    block.build((None, None, None, 4))
    convs = [*block.convs, block.shortcut]
    before = [array(conv.u) for conv in convs]
    block.advance_power_iteration()
    assert all((array(conv.u) != u).any() for conv, u in zip(convs, before, strict=True))
    plain = ResidualBlock(4, **PLAIN)
    plain(noise(1, 4, 4, 4))
    plain.advance_power_iteration()  # nothing to do, no shortcut


def test_errors():
    with pytest.raises(ValueError, match="Received: resample='half'"):
        ResidualBlock(4, "half")
    with pytest.raises(ValueError, match="Received: modulation=True"):
        ResidualBlock(4, modulation=True)
    with pytest.raises(ValueError, match="Received: x alone"):
        ResidualBlock(4, modulation="shift")(noise(1, 8, 8, 4))
    with pytest.raises(ValueError, match="Received: normalization='layer'"):
        ResidualBlock(4, normalization="layer")(noise(1, 8, 8, 4))
