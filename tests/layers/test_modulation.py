"""Normalization, its modulation by the style, and gated noise, against their formulas."""

import keras
import numpy as np
import pytest

from keras_uai.layers import GatedNoise, Modulation, make_normalization
from tests.testing import (
    array,
    noise,
    run_layer_test,
    run_precision_test,
    run_serialization_test,
    same_bits,
)

STYLED = [(3, 5, 4), (6,)]


def test_modulation_is_affine_in_the_style():
    layer, x, style = Modulation(), noise(2, 3, 5, 4), noise(2, 6, seed=1)
    layer.build(x.shape, style.shape)
    layer.affine.bias.assign(noise(8, seed=2))
    affine = style @ array(layer.affine.kernel) + array(layer.affine.bias)
    gamma, beta = affine[:, None, None, :4], affine[:, None, None, 4:]
    np.testing.assert_allclose(layer(x, style), x * (1 + gamma) + beta, atol=1e-5)
    same_bits(Modulation()(x, np.zeros((2, 6), "float32")), x)


def test_a_shift_adds_the_style():
    layer, x, style = Modulation("shift"), noise(2, 3, 5, 4), noise(2, 6, seed=1)
    moved = np.array(layer(x, style)) - x
    expected = style @ array(layer.affine.kernel) + array(layer.affine.bias)
    np.testing.assert_allclose(moved, np.broadcast_to(expected[:, None, None], x.shape), atol=1e-5)
    assert 0 < np.abs(expected).max() < 0.5  # near nothing at the start, but not out of reach


def test_gated_noise():
    layer, x, features = GatedNoise(), noise(2, 3, 5, 4), noise(2, 3, 5, 6, seed=1)
    field = noise(2, 3, 5, 2, seed=2)
    layer.build(x.shape, features.shape, field.shape)
    layer.gate.bias.assign(noise(4, seed=3))
    gate = features @ array(layer.gate.kernel)[0, 0] + array(layer.gate.bias)
    expected = x + (1 + gate) * (field @ array(layer.project.kernel)[0, 0])
    np.testing.assert_allclose(layer(x, features, field), expected, atol=1e-5)
    same_bits(layer(x, features, np.zeros_like(field)), x)


@pytest.mark.parametrize(
    ("cls", "arguments", "shapes", "weights", "changed"),
    [
        (Modulation, {}, STYLED, 2, {"kind": "shift"}),
        (Modulation, {"kind": "shift"}, STYLED, 2, {"kind": "shift"}),
        (GatedNoise, {}, [(3, 5, 4), (3, 5, 6), (3, 5, 2)], 3, {}),
    ],
)
def test_layers(cls, arguments, shapes, weights, changed):
    run_layer_test(cls, arguments, shapes, (3, 5, 4), trainable=weights)
    run_precision_test(cls, arguments, shapes)
    run_serialization_test(cls, changed)


@pytest.mark.parametrize(
    ("channels", "groups"), [(8, 1), (16, 1), (48, 3), (64, 4), (40, 2), (17, 1)]
)
def test_group_norm(channels, groups):
    x = 3 + 2 * noise(2, 5, 4, channels)
    layer = make_normalization("group", channels, "norm")
    assert layer.groups == groups
    grouped = x.reshape(2, 20, groups, channels // groups).astype("float64")
    mean, variance = grouped.mean((1, 3), keepdims=True), grouped.var((1, 3), keepdims=True)
    expected = ((grouped - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    np.testing.assert_allclose(layer(x), expected, atol=1e-4)
    np.testing.assert_allclose(layer(x[:1]), expected[:1], atol=1e-4)  # images do not mix


@pytest.mark.parametrize(("kind", "weights"), [("batch", 4), ("group", 2), (None, 0)])
def test_weights_of_a_normalization(kind, weights):
    for affine in (True, False):
        layer = make_normalization(kind, 8, "norm", affine)
        layer.build((None, None, None, 8))
        assert layer.name == "norm"
        assert len(layer.weights) == weights - 2 * (kind is not None and not affine)
        assert bool(layer.trainable_weights) == (kind is not None and affine)


@pytest.mark.parametrize("kind", ["batch", "group"])
def test_statistics_are_float32_under_mixed_precision(kind):
    """Values whose squares float16 cannot hold are still normalized."""
    keras.config.set_dtype_policy("mixed_float16")
    layer, options = make_normalization(kind, 16, "norm"), {}
    if kind == "batch":
        options["training"] = True
    out = np.array(layer(1000 * noise(4, 8, 8, 16), **options), "float32")
    assert np.isfinite(out).all()
    assert out.std() == pytest.approx(1.0, abs=0.02)


def test_errors():
    with pytest.raises(ValueError, match="Received: normalization='layer'"):
        make_normalization("layer", 8, "norm")
    with pytest.raises(ValueError, match="Received: kind='scale'"):
        Modulation("scale")
