"""Batch normalization against Keras's layer; frozen statistics stay bit-equal."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.layers import BatchNormalization, freeze_batch_statistics
from tests.testing import array, noise, run_layer_test, run_serialization_test, same_bits


def pair(shape=(5, 4, 6, 3), affine=True, **kwargs):
    """Our layer and Keras's with the same random weights."""
    ours = BatchNormalization(affine=affine, **kwargs)
    theirs = keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, center=affine, scale=affine, **kwargs
    )
    for layer in (ours, theirs):
        layer.build((None, *shape[1:]))
        random = np.random.default_rng(3)
        layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return ours, theirs


def batch(seed=0, shape=(5, 4, 6, 3)):
    return tf.constant(2 + 3 * noise(*shape, seed=seed))


def close(a, b, atol=1e-5):
    np.testing.assert_allclose(array(a), array(b), atol=atol)


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize(
    ("dtype", "shape", "atol"),
    [
        ("float32", (5, 4, 6, 3), 1e-5),
        ("float32", (8, 3), 1e-5),
        ("float32", (1, 1, 1, 3), 1e-4),  # a single value has no variance
        ("mixed_float16", (5, 4, 6, 3), 5e-3),
    ],
)
def test_it_equals_keras_layer(dtype, shape, atol, trainable):
    layers = pair(shape, dtype=dtype, trainable=trainable)
    for training in (True, False):
        ours, theirs = (layer(batch(shape=shape), training=training) for layer in layers)
        assert ours.dtype == layers[0].compute_dtype
        close(ours, theirs, atol)
        for a, b in zip(*(layer.get_weights() for layer in layers), strict=True):
            close(a, b)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_gradients_equal_those_of_keras_layer(affine, jit_compile):
    """In a graph of unknown sizes."""
    upstream = tf.constant(noise(5, 4, 6, 3, seed=1))
    results = []
    for layer in pair(affine=affine):

        @tf.function(
            input_signature=[tf.TensorSpec((None, None, None, 3))] * 2,
            jit_compile=jit_compile,
            autograph=False,
        )
        def step(x, upstream, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(layer(x, training=True) * upstream)
            return tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])

        results.append([*step(batch(), upstream), *layer.get_weights()])
    for a, b in zip(*results, strict=True):
        close(a, b)
    assert np.abs(array(results[0][0])).max() > 0.1


def test_frozen_statistics_stay_and_the_batch_is_normalized_by_its_own():
    ours, theirs = pair()
    before = ours.get_weights()
    with freeze_batch_statistics():
        with freeze_batch_statistics():
            frozen = ours(batch(1), training=True)
        ours(batch(2), training=True)
    for a, b in zip(ours.get_weights(), before, strict=True):
        same_bits(a, b)
    close(frozen, theirs(batch(1), training=True))
    ours(batch(1), training=True)
    assert np.abs(ours.get_weights()[2] - before[2]).max() > 0.05


def test_layer():
    for affine in (False, True):
        run_layer_test(BatchNormalization, {"affine": affine}, (3, 5, 4), (3, 5, 4), 2 * affine, 2)
    run_serialization_test(BatchNormalization, {"momentum": 0.5, "epsilon": 0.1, "affine": False})
