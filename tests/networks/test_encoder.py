"""E: mean and log-variance of the style; the tower that it shares with D is tested there."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.measurements import DropPixel
from keras_uai.networks import Discriminator, Encoder
from tests.testing import array, observations, run_serialization_test, same_bits

SMALL = {"latent_dim": 5, "width": 8, "max_width": 16, "levels": 2, "normalization": "group"}


def small(image_shape=(None, None, 3), **options):
    return Encoder(image_shape, **{**SMALL, **options})


def data(size=(12, 20), channels=3, count=3):
    return observations(DropPixel(0.5), count, (*size, channels))


@pytest.mark.parametrize("size", [(12, 20), (2, 2), (30, 16)])
def test_outputs(size):
    """Of any size, and in a graph that knows no size."""
    encoder = small(mask_input=True)
    mean, log_variance = encoder.encode(*data(size))
    assert mean.shape == log_variance.shape == (3, 5)
    assert mean.dtype == log_variance.dtype == tf.float32
    assert len(np.unique(mean)) == 15
    assert (array(log_variance) == 0).all()  # a fresh E has variance 1
    specs = [tf.TensorSpec((None, None, None, channels)) for channels in (3, 1)]
    graph = tf.function(encoder.encode, input_signature=specs, autograph=False)
    np.testing.assert_allclose(graph(*data(size))[0], mean, atol=1e-5)


def test_weights_of_the_papers_network():
    """D's without spectral normalization and attention, and two dense layers on pooled features."""
    e, d = Encoder((128, 128, 3)), Discriminator((128, 128, 3), attention_level=None)
    assert e.count_params() == 4_839_936
    tower = [tuple(v.shape) for v in d.weights if v.name != "u" and "head_logit" not in v.path]
    dense = [(256, 128), (128,)] * 2
    assert sorted(tuple(v.shape) for v in e.weights) == sorted([*tower, *dense])


def test_the_mask_is_an_input_on_request():
    y, mask = data()
    for given in (False, True):
        encoder = small(mask_input=given)
        moved = not np.array_equal(encoder.encode(y, mask)[0], encoder.encode(y, 1 - mask)[0])
        assert moved == given


def test_every_weight_gets_a_gradient():
    encoder = small()
    with tf.GradientTape() as tape:
        mean, log_variance = encoder.encode(*data())
        total = tf.reduce_sum(mean**2) + tf.reduce_sum(log_variance)
    variables = encoder.trainable_variables
    for v, g in zip(variables, tape.gradient(total, [v.value for v in variables]), strict=True):
        assert (array(g) != 0).any(), v.path


def test_serialization(tmp_path):
    copy = run_serialization_test(
        Encoder,
        {
            "image_shape": (32, 48, 2),
            "mask_channels": 2,
            "latent_dim": 5,
            "width": 8,
            "max_width": 16,
            "levels": 2,
            "depth": 2,
            "space_to_depth": 2,
            "normalization": "group",
            "efficient_resampling": True,
            "input_fill": "push_pull",
            "mask_input": True,
            "name": "e",
        },
    )
    y, mask = data((32, 48), 2)
    mask = np.tile(mask, (1, 1, 1, 2))
    copy.save(tmp_path / "e.keras")
    loaded = keras.saving.load_model(tmp_path / "e.keras")
    for a, b in zip(loaded.encode(y, mask), copy.encode(y, mask), strict=True):
        same_bits(a, b)


def test_mixed_precision():
    full = small()
    keras.config.set_dtype_policy("mixed_float16")
    half = small()
    half.set_weights(full.get_weights())
    for a, b in zip(half.encode(*data()), full.encode(*data()), strict=True):
        assert a.dtype == tf.float32
        np.testing.assert_allclose(a, b, atol=0.02)
