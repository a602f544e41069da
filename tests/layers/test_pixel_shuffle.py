"""Pixel shuffle and its inverse against the index formula."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.layers import PixelShuffle, PixelUnshuffle, SpectralConv2D, SubpixelInitializer
from tests.testing import (
    noise,
    run_layer_test,
    run_precision_test,
    run_serialization_test,
    same_bits,
)


def numbers(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


@pytest.mark.parametrize(("r", "channels"), [(2, 1), (2, 3), (3, 2), (1, 4)])
def test_index_formula(r, channels):
    x = numbers(2, 3, 5, r * r * channels)
    out = np.array(PixelShuffle(r)(x))
    assert out.shape == (2, 3 * r, 5 * r, channels)
    for n, h, w, i, j, c in itertools.product(*map(range, (2, 3, 5, r, r, channels))):
        assert out[n, r * h + i, r * w + j, c] == x[n, h, w, (i * r + j) * channels + c]
    same_bits(PixelUnshuffle(r)(out), x)


def test_they_equal_tensorflows_operations():
    x = numbers(2, 3, 5, 12)
    same_bits(PixelShuffle(2)(x), tf.nn.depth_to_space(x, 2))
    x = numbers(2, 4, 6, 3)
    same_bits(PixelUnshuffle(2)(x), tf.nn.space_to_depth(x, 2))


@pytest.mark.parametrize(
    ("cls", "shape", "output"),
    [(PixelShuffle, (3, 5, 12), (6, 10, 3)), (PixelUnshuffle, (6, 10, 3), (3, 5, 12))],
)
def test_layers(cls, shape, output):
    run_layer_test(cls, {"factor": 2}, shape, output, trainable=0)
    run_precision_test(cls, {"factor": 2}, shape)
    run_serialization_test(cls, {"factor": 4})


def test_errors():
    with pytest.raises(ValueError, match=r"multiple of 4 channels\. Received: .*\(1, 3, 5, 6\)"):
        PixelShuffle(2)(numbers(1, 3, 5, 6))
    for shape in ((1, 3, 4, 1), (1, 4, 3, 1)):
        with pytest.raises(ValueError, match=r"multiples of 2\. Received: "):
            PixelUnshuffle(2)(numbers(*shape))


@pytest.mark.parametrize("cls", [SpectralConv2D, keras.layers.Conv2D])
def test_a_fresh_subpixel_convolution_repeats(cls):
    conv = cls(12, 3, kernel_initializer=SubpixelInitializer(2))
    out = np.array(PixelShuffle(2)(conv(noise(2, 6, 6, 5))))
    np.testing.assert_allclose(out, out[:, ::2, ::2].repeat(2, 1).repeat(2, 2), atol=1e-6)
    assert out.std() > 0.1
    same = SubpixelInitializer.from_config(SubpixelInitializer(3, "he_normal").get_config())
    assert same.factor == 3
    assert isinstance(same.initializer, keras.initializers.HeNormal)
