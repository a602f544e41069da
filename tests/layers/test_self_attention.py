"""Self-attention against NumPy; a fresh layer is the identity."""

import numpy as np
import pytest

from keras_uai.layers import SelfAttention
from tests.testing import (
    array,
    noise,
    run_layer_test,
    run_precision_test,
    run_serialization_test,
    same_bits,
)


def made(spectral=False, gamma=0.7, **kwargs):
    layer = SelfAttention(spectral, **kwargs)
    layer.build((None, None, None, 16))
    layer.gamma.assign(gamma)
    return layer


@pytest.mark.parametrize("spectral", [False, True])
def test_a_fresh_layer_is_the_identity(spectral):
    x = noise(2, 3, 5, 16)
    same_bits(SelfAttention(spectral)(x), x)


@pytest.mark.parametrize("spectral", [False, True])
def test_against_numpy(spectral):
    layer, x = made(spectral), noise(2, 3, 5, 16)
    maps = []
    for conv in (layer.query, layer.key, layer.value, layer.out):
        kernel = array(conv.kernel, "float64")[0, 0]
        maps.append(kernel / float(conv.sigma()) if spectral else kernel)
    assert [m.shape for m in maps] == [(16, 2), (16, 2), (16, 8), (8, 16)]
    positions = x.astype("float64").reshape(2, 15, 16)
    query, key, value = (positions @ m for m in maps[:3])
    logits = query @ key.transpose(0, 2, 1)
    attention = np.exp(logits - logits.max(-1, keepdims=True))
    attention /= attention.sum(-1, keepdims=True)
    expected = positions + 0.7 * (attention @ value) @ maps[3]
    np.testing.assert_allclose(layer(x), expected.reshape(x.shape), atol=1e-5)


def test_positions_are_a_set():
    """Attention knows no neighbourhood: shuffled positions give the shuffled output."""
    layer, x = made(), noise(1, 3, 5, 16).reshape(1, 15, 16)
    order = np.random.default_rng(1).permutation(15)
    shuffled = layer(x[:, order].reshape(1, 3, 5, 16))
    expected = np.array(layer(x.reshape(1, 3, 5, 16))).reshape(1, 15, 16)[:, order]
    np.testing.assert_allclose(np.reshape(shuffled, (1, 15, 16)), expected, atol=1e-5)


def test_layer():
    run_layer_test(SelfAttention, {}, (3, 5, 16), (3, 5, 16), trainable=5, non_trainable=4)
    plain = {"spectral_normalization": False}
    run_layer_test(SelfAttention, plain, (4, 4, 3), (4, 4, 3), trainable=5)  # C < 8
    run_precision_test(SelfAttention, {}, (3, 5, 16))
    run_serialization_test(SelfAttention, plain)


def test_half_precision_with_attention_switched_on():
    full, half = made(), made(dtype="mixed_float16")
    half.set_weights(full.get_weights())
    x = noise(2, 3, 5, 16) * 20  # logits in the hundreds: a softmax in float16 would be far off
    np.testing.assert_allclose(np.array(half(x), "float32"), full(x), rtol=2e-2, atol=0.2)


def test_power_iterations_advance_in_every_convolution():
    layer = made(spectral=True)
    convs = (layer.query, layer.key, layer.value, layer.out)
    before = [array(conv.u) for conv in convs]
    layer.advance_power_iteration()
    assert all((array(conv.u) != u).any() for conv, u in zip(convs, before, strict=True))
