"""Self-attention against numpy, and the identity it starts as."""

import numpy as np
import pytest
import tensorflow as tf

from keras_uai.layers import SelfAttention
from tests.testing import (
    array,
    run_layer_test,
    run_precision_test,
    run_serialization_test,
    same_bits,
)


def made(spectral=False, channels=16, gamma=0.7):
    layer = SelfAttention(spectral)
    layer.build((None, 3, 5, channels))
    layer.gamma.assign(gamma)
    return layer


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


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


def test_narrow_inputs():
    assert SelfAttention()(noise(2, 4, 4, 3)).shape == (2, 4, 4, 3)


def test_layer():
    run_layer_test(SelfAttention, {"spectral": False}, (3, 5, 16), (3, 5, 16), trainable=5)
    run_layer_test(SelfAttention, {}, (3, 5, 16), (3, 5, 16), trainable=5, non_trainable=4)
    run_precision_test(SelfAttention, {}, (3, 5, 16))
    run_serialization_test(SelfAttention, {"spectral": False})


def test_half_precision_with_attention_switched_on():
    full, half = made(), SelfAttention(False, dtype="mixed_float16")
    half.build((None, 3, 5, 16))
    half.set_weights(full.get_weights())
    x = noise(2, 3, 5, 16) * 20  # logits in the hundreds: a softmax in float16 would be far off
    np.testing.assert_allclose(np.array(half(x), "float32"), full(x), rtol=2e-2, atol=0.2)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_has_the_same_output_and_gradients(jit_compile):
    """Against TensorFlow's own gradients of the pass that is not in training; logits far from 0."""
    layer, x, upstream = made(), 4 * noise(3, 3, 5, 16), noise(3, 3, 5, 16)[::-1]
    results = []
    for training in (False, True):

        @tf.function(jit_compile=jit_compile, autograph=False)
        def step(x, training=training):
            with tf.GradientTape() as tape:
                tape.watch(x)
                out = layer(x, training=training)
                loss = tf.reduce_sum(out * upstream)
            return out, *tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])

        results.append([array(v) for v in step(tf.constant(x))])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5 * max(1.0, np.abs(a).max()))
        assert np.abs(a).max() > 0.1
