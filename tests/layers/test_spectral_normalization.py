"""W / sigma(W) against the SVD, its gradient, and updates of the power iteration."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.layers import (
    ResidualBlock,
    SelfAttention,
    SpectralConv2D,
    SpectralDense,
    advance_power_iterations,
    conv2d,
)
from tests.testing import (
    array,
    noise,
    run_layer_test,
    run_precision_test,
    run_serialization_test,
    same_bits,
)

LAYERS = [
    (SpectralConv2D, {"filters": 6, "kernel_size": 3}, (8, 8, 4)),
    (SpectralDense, {"units": 6}, (11,)),
]
parametrize = pytest.mark.parametrize(("cls", "arguments", "shape"), LAYERS, ids=["conv", "dense"])


def make(cls, arguments, shape, advances=0, **kwargs):
    layer = cls(**arguments, **kwargs)
    layer.build((None, *shape))
    for _ in range(advances):
        layer.advance_power_iteration()
    return layer


def singular_values(layer):
    kernel = array(layer.kernel, "float64")
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)


@parametrize
def test_layer(cls, arguments, shape):
    run_layer_test(cls, arguments, shape, (*shape[:-1], 6), trainable=2, non_trainable=1)
    run_layer_test(cls, {**arguments, "use_bias": False}, shape, (*shape[:-1], 6), 1, 1)
    run_precision_test(cls, arguments, shape)


def test_serialization():
    shared = {"use_bias": False, "kernel_initializer": keras.initializers.HeNormal(3)}
    run_serialization_test(SpectralConv2D, {"filters": 3, "kernel_size": 5, **shared})
    run_serialization_test(SpectralDense, {"units": 3, **shared})


@parametrize
def test_sigma_is_the_largest_singular_value(cls, arguments, shape):
    layer = make(cls, arguments, shape, advances=200)
    assert float(layer.sigma()) == pytest.approx(singular_values(layer)[0], rel=1e-5)
    normalized = array(layer.normalized_kernel(), "float64").reshape(-1, 6)
    assert np.linalg.svd(normalized, compute_uv=False)[0] == pytest.approx(1.0, rel=1e-5)


@parametrize
def test_sigma_never_exceeds_the_largest_singular_value_and_grows_to_it(cls, arguments, shape):
    layer, seen = make(cls, arguments, shape), []
    for _ in range(10):
        seen.append(float(layer.sigma()))
        layer.advance_power_iteration()
    assert seen == sorted(seen)
    assert seen[-1] <= singular_values(layer)[0] * (1 + 1e-6)


@parametrize
def test_the_scale_of_the_kernel_does_not_matter(cls, arguments, shape):
    layer = make(cls, arguments, shape, advances=50)
    before = array(layer.normalized_kernel())
    layer.kernel.assign(layer.kernel * 7.0)
    np.testing.assert_allclose(layer.normalized_kernel(), before, rtol=1e-5)


@parametrize
@pytest.mark.parametrize("advances", [0, 100])
def test_gradient_is_orthogonal_to_the_kernel(cls, arguments, shape, advances):
    """A function of W / sigma(W) does not change along W: Keras's own layer has cos = 0.6 here."""
    layer = make(cls, arguments, shape, advances)
    x = noise(4, *shape)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(x) - 1.0))
    gradient = array(tape.gradient(loss, layer.kernel.value), "float64").ravel()
    kernel = array(layer.kernel, "float64").ravel()
    cosine = gradient @ kernel / np.linalg.norm(gradient) / np.linalg.norm(kernel)
    assert abs(cosine) < 1e-5
    assert np.linalg.norm(gradient) > 1e-3


@parametrize
def test_gradient_equals_numerical_differences(cls, arguments, shape):
    """After convergence, against numerical differences of W / (largest singular value of W)."""
    layer = make(cls, arguments, shape, advances=300)
    kernel = array(layer.kernel, "float64")
    direction = np.random.default_rng(1).normal(size=kernel.shape)
    weights = np.random.default_rng(2).normal(size=kernel.shape)

    def f(k):
        sigma = np.linalg.svd(k.reshape(-1, 6), compute_uv=False)[0]
        return (weights * k / sigma).sum()

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer.normalized_kernel() * weights.astype("float32"))
    gradient = array(tape.gradient(value, layer.kernel.value), "float64")
    step = 1e-5
    numerical = (f(kernel + step * direction) - f(kernel - step * direction)) / (2 * step)
    assert (gradient * direction).sum() == pytest.approx(numerical, rel=1e-3)


@parametrize
def test_calls_move_no_weight_and_agree(cls, arguments, shape):
    layer, x = make(cls, arguments, shape), np.ones((2, *shape), "float32")
    before = layer.get_weights()
    outputs = [np.array(layer(x, training=training)) for training in (False, True, True, False)]
    for output in outputs[1:]:
        same_bits(output, outputs[0])
    for a, b in zip(before, layer.get_weights(), strict=True):
        same_bits(a, b)


@parametrize
def test_advancing_moves_u_alone(cls, arguments, shape):
    layer = make(cls, arguments, shape)
    before = {v.name: array(v) for v in layer.variables}
    layer.advance_power_iteration()
    moved = [v.name for v in layer.variables if (array(v) != before[v.name]).any()]
    assert moved == ["u"]
    assert np.linalg.norm(layer.u) == pytest.approx(1.0, abs=1e-6)
    assert [v.name for v in layer.trainable_variables] == ["kernel", "bias"]


def test_convolution_against_keras():
    layer = make(SpectralConv2D, {"filters": 6, "kernel_size": 3}, (8, 8, 4), advances=20)
    layer.bias.assign(np.arange(6, dtype="float32"))
    x = noise(2, 8, 8, 4)
    plain = conv2d(6, 3, spectral_normalization=False)
    plain.build((None, 8, 8, 4))
    plain.set_weights([array(layer.kernel) / float(layer.sigma()), array(layer.bias)])
    np.testing.assert_allclose(layer(x), plain(x), atol=1e-5)


def test_sigma_stays_float32_under_mixed_precision():
    layer = make(SpectralDense, {"units": 6}, (11,), dtype="mixed_float16")
    assert keras.backend.standardize_dtype(layer.sigma().dtype) == "float32"
    assert keras.backend.standardize_dtype(layer.normalized_kernel().dtype) == "float16"


def test_every_layer_of_a_model_advances_once():
    """In nested models and composite layers, too, and where a layer is used twice."""
    inputs, shared = keras.Input((None, None, 3)), conv2d(3, 3, True, name="shared")
    inner = keras.Sequential([shared, keras.layers.ReLU(), ResidualBlock(4, "down", name="block")])
    x = SelfAttention(name="attention")(inner(shared(inputs)))
    x = keras.layers.Dense(3, name="plain")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, SpectralDense(2, name="dense")(x))
    block, attention = inner.get_layer("block"), model.get_layer("attention")
    spectral = [shared, model.get_layer("dense"), *block.convs, block.shortcut]
    spectral += [attention.query, attention.key, attention.value, attention.out]
    assert len(spectral) == sum(v.name == "u" for v in model.variables)
    expected = []
    for layer in spectral:
        u = array(layer.u)
        matrix = array(layer.kernel, "float64").reshape(-1, len(u))
        u = matrix.T @ matrix @ u
        expected.append(u / np.linalg.norm(u))
    before = {v.path: array(v) for v in model.variables if v.name != "u"}
    advance_power_iterations(model)
    for layer, u in zip(spectral, expected, strict=True):
        np.testing.assert_allclose(array(layer.u), u, atol=1e-5)
    for v in model.variables:
        if v.name != "u":
            same_bits(v, before[v.path])


def test_in_a_graph():
    layer = make(SpectralDense, {"units": 6}, (11,))
    copy = make(SpectralDense, {"units": 6}, (11,))
    copy.set_weights(layer.get_weights())
    tf.function(layer.advance_power_iteration)()
    copy.advance_power_iteration()
    np.testing.assert_allclose(layer.u, copy.u, atol=1e-6)
