"""Against Keras's layer; what is held stays to the last bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_uai.layers import BatchNormalization, statistics_held
from tests.testing import array, same_bits


@pytest.fixture
def layers():
    arguments = {"momentum": 0.9, "epsilon": 1e-5}
    pair = BatchNormalization(**arguments), keras.layers.BatchNormalization(**arguments)
    for layer in pair:
        layer.build((None, 4, 4, 3))
    return pair


def batch(seed):
    return ops.convert_to_tensor(
        np.random.default_rng(seed).normal(2.0, 3.0, (5, 4, 4, 3)).astype("float32")
    )


def close(a, b, atol=1e-5):
    np.testing.assert_allclose(array(a), array(b), atol=atol)


def test_it_is_keras_layer(layers):
    ours, theirs = layers
    close(ours(batch(0), training=True), theirs(batch(0), training=True))
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        close(a, b)
    theirs.set_weights(ours.get_weights())
    same_bits(ours(batch(0), training=False), theirs(batch(0), training=False))
    assert ours.get_config() == {**theirs.get_config(), "name": ours.name}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_gradients_are_those_of_keras_layer(affine, jit_compile):
    """In a graph, with the number of images unknown."""
    results = []
    for cls in (BatchNormalization, keras.layers.BatchNormalization):
        layer = cls(momentum=0.9, epsilon=1e-5, center=affine, scale=affine)
        layer.build((None, 4, 4, 3))
        random = np.random.default_rng(3)
        layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        upstream = ops.convert_to_tensor(random.normal(size=(5, 4, 4, 3)).astype("float32"))

        @tf.function(
            input_signature=[tf.TensorSpec((None, 4, 4, 3))] * 2,
            jit_compile=jit_compile,
            autograph=False,
        )
        def step(x, upstream, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(layer(x, training=True) * upstream)
            return tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])

        gradients = step(batch(0), upstream)
        results.append([*gradients, *layer.get_weights()])
    for a, b in zip(*results, strict=True):
        close(a, b)
    assert np.abs(array(results[0][0])).max() > 0.1


def test_one_pixel_and_another_precision():
    """A single value has no variance; halves are summed as floats."""
    for dtype, shape, atol in (
        ("float32", (1, 1, 1, 3), 1e-6),
        ("mixed_float16", (5, 4, 4, 3), 2e-3),
    ):
        x = batch(0)[: shape[0], : shape[1], : shape[2]]
        found = []
        for cls in (BatchNormalization, keras.layers.BatchNormalization):
            layer = cls(momentum=0.9, epsilon=1e-5, dtype=dtype)
            y = layer(x, training=True)
            assert y.dtype == layer.compute_dtype
            found.append([y, *layer.get_weights()])
        for a, b in zip(*found, strict=True):
            close(a, b, atol)


@pytest.mark.parametrize(
    "arguments", [{"axis": 1}, {"renorm": True}, {"trainable": False}], ids=str
)
def test_what_the_operation_cannot_is_left_to_keras(arguments):
    found = []
    for cls in (BatchNormalization, keras.layers.BatchNormalization):
        layer = cls(**arguments)
        found.append([layer(batch(0), training=True), *layer.get_weights()])
    for a, b in zip(*found, strict=True):
        same_bits(a, b)


def test_held_statistics_stay_and_the_batch_is_normalised_by_its_own(layers):
    ours, theirs = layers
    before = ours.get_weights()
    with statistics_held():
        with statistics_held():
            held = ours(batch(1), training=True)
        ours(batch(2), training=True)
    for a, b in zip(ours.get_weights(), before, strict=True):
        same_bits(a, b)
    close(held, theirs(batch(1), training=True))
    ours(batch(1), training=True)
    assert np.abs(ours.get_weights()[2] - before[2]).max() > 0.05
    assert ours.get_config()["momentum"] == 0.9
