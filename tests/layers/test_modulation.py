"""Normalisation and its modulation by the latent."""

import keras
import numpy as np
import pytest

from keras_uai.layers import GatedNoise, Modulation, make_normalization
from tests.testing import (
    array,
    run_layer_test,
    run_precision_test,
    run_serialization_test,
    same_bits,
)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_modulation_is_affine_in_the_style():
    layer, x, w = Modulation(), noise(2, 3, 5, 4), noise(2, 6, seed=1)
    layer.build(x.shape, w.shape)
    layer.affine.bias.assign(noise(8, seed=2))
    affine = w @ array(layer.affine.kernel) + array(layer.affine.bias)
    gamma, beta = affine[:, None, None, :4], affine[:, None, None, 4:]
    np.testing.assert_allclose(layer(x, w), x * (1 + gamma) + beta, atol=1e-5)


def test_a_style_of_zeros_leaves_a_fresh_layer_the_identity():
    x = noise(2, 3, 5, 4)
    same_bits(Modulation()(x, np.zeros((2, 6), "float32")), x)


def test_layer():
    run_layer_test(Modulation, {}, [(3, 5, 4), (6,)], (3, 5, 4), trainable=2)
    run_precision_test(Modulation, {}, [(3, 5, 4), (6,)])
    run_serialization_test(Modulation, {"scales": False})


def test_without_scales_the_style_is_added():
    layer, x, w = Modulation(scales=False), noise(2, 3, 5, 4), noise(2, 6, seed=1)
    moved = np.array(layer(x, w)) - x
    expected = w @ array(layer.affine.kernel) + array(layer.affine.bias)
    np.testing.assert_allclose(moved, np.broadcast_to(expected[:, None, None], x.shape), atol=1e-5)
    assert 0 < np.abs(expected).max() < 0.5  # near nothing at the start, but not out of reach


def test_gated_noise():
    layer, x, features = GatedNoise(), noise(2, 3, 5, 4), noise(2, 3, 5, 6, seed=1)
    maps = noise(2, 3, 5, 2, seed=2)
    layer.build(x.shape, features.shape, maps.shape)
    layer.gate.bias.assign(noise(4, seed=3))
    gate = features @ array(layer.gate.kernel)[0, 0] + array(layer.gate.bias)
    expected = x + (1 + gate) * (maps @ array(layer.project.kernel)[0, 0])
    np.testing.assert_allclose(layer(x, features, maps), expected, atol=1e-5)
    same_bits(layer(x, features, np.zeros_like(maps)), x)
    shapes = [(3, 5, 4), (3, 5, 6), (3, 5, 2)]
    run_layer_test(GatedNoise, {}, shapes, (3, 5, 4), trainable=3)
    run_precision_test(GatedNoise, {}, shapes)
    run_serialization_test(GatedNoise, {})


@pytest.mark.parametrize(
    ("channels", "groups"), [(8, 1), (16, 1), (48, 3), (64, 4), (40, 2), (17, 1)]
)
def test_group_norm(channels, groups):
    x = 3 + 2 * noise(2, 4, 4, channels)
    layer = make_normalization("group", channels, "norm")
    assert layer.groups == groups
    grouped = x.reshape(2, 16, groups, channels // groups).astype("float64")
    mean, variance = grouped.mean((1, 3), keepdims=True), grouped.var((1, 3), keepdims=True)
    expected = ((grouped - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    np.testing.assert_allclose(layer(x), expected, atol=1e-4)
    np.testing.assert_allclose(layer(x[:1]), expected[:1], atol=1e-4)  # images do not mix


def test_batch_norm():
    x = 3 + 2 * noise(8, 4, 4, 5)
    layer = make_normalization("batch", 5, "norm")
    got = layer(x, training=True)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(got, (x - mean) / np.sqrt(variance + 1e-5), atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-4)


@pytest.mark.parametrize(("kind", "weights"), [("batch", 4), ("group", 2), (None, 0)])
def test_affine_and_names(kind, weights):
    layer = make_normalization(kind, 8, "norm")
    layer.build((None, 4, 4, 8))
    assert layer.name == "norm"
    assert len(layer.weights) == weights
    plain = make_normalization(kind, 8, "norm", affine=False)
    plain.build((None, 4, 4, 8))
    assert not plain.trainable_weights


def test_statistics_in_float32_under_mixed_precision():
    """Values whose squares float16 cannot hold must still be normalised."""
    x = (1000 * noise(4, 8, 8, 16)).astype("float32")
    for kind in ("batch", "group"):
        keras.config.set_dtype_policy("mixed_float16")
        layer = make_normalization(kind, 16, "norm")
        out = np.array(layer(x, training=True) if kind == "batch" else layer(x), "float32")
        assert np.isfinite(out).all()
        assert out.std() == pytest.approx(1.0, abs=0.02)


def test_error():
    with pytest.raises(ValueError, match="Received: normalization='layer'"):
        make_normalization("layer", 8, "norm")
