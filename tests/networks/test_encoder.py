"""E: mean and log-variance, standard normal spread at the start."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.measurements import DropPixel
from keras_uai.networks import Encoder
from tests.testing import TINY, array, observations, run_serialization_test, same_bits

SMALL = {**TINY, "latent_dim": 5, "normalization": "group"}


@pytest.mark.parametrize(
    ("side", "stem", "channels"), [(16, 1, 3), (32, 1, 1), (64, 2, 3), (128, 4, 1)]
)
@pytest.mark.parametrize("sees_mask", [False, True])
def test_shapes(side, stem, channels, sees_mask):
    encoder = Encoder((side, side, channels), **{**SMALL, "stem": stem, "sees_mask": sees_mask})
    y, mask = observations(DropPixel(0.5), 3, (side, side, channels))
    mean, log_variance = encoder.encode(y, mask)
    assert mean.shape == log_variance.shape == (3, 5)
    assert mean.dtype == log_variance.dtype == tf.float32
    assert len(np.unique(mean)) == 15


def test_a_fresh_e_has_variance_1():
    y, mask = observations(DropPixel(0.5), 3)
    _, log_variance = Encoder((16, 16, 3), **SMALL).encode(y, mask)
    assert (array(log_variance) == 0).all()


def test_no_spectral_normalisation():
    assert not Encoder((16, 16, 3), **SMALL).non_trainable_variables


def test_sees_the_mask_where_told_to():
    y, mask = observations(DropPixel(0.5), 3)
    for sees in (False, True):
        encoder = Encoder((16, 16, 3), **SMALL, sees_mask=sees)
        moved = not np.array_equal(encoder.encode(y, mask)[0], encoder.encode(y, 1 - mask)[0])
        assert moved == sees


def test_every_weight_gets_a_gradient():
    encoder = Encoder((16, 16, 3), **SMALL)
    y, mask = observations(DropPixel(0.5), 3)
    with tf.GradientTape() as tape:
        mean, log_variance = encoder.encode(y, mask)
        total = tf.reduce_sum(mean**2) + tf.reduce_sum(log_variance)
    variables = encoder.trainable_variables
    for v, g in zip(variables, tape.gradient(total, [v.value for v in variables]), strict=True):
        assert (array(g) != 0).any(), v.path


def test_serialization(tmp_path):
    copy = run_serialization_test(
        Encoder,
        {
            "image_shape": (32, 32, 1),
            "latent_dim": 5,
            "width": 8,
            "max_width": 16,
            "depth": 2,
            "stem": 2,
            "normalization": "group",
            "lean": True,
            "fill": True,
            "sees_mask": True,
            "name": "e",
        },
    )
    y, mask = observations(DropPixel(0.5), 3, (32, 32, 1))
    copy.save(tmp_path / "e.keras")
    loaded = keras.saving.load_model(tmp_path / "e.keras")
    for a, b in zip(loaded.encode(y, mask), copy.encode(y, mask), strict=True):
        same_bits(a, b)


def test_mixed_precision():
    y, mask = observations(DropPixel(0.5), 3)
    full = Encoder((16, 16, 3), **SMALL)
    keras.config.set_dtype_policy("mixed_float16")
    half = Encoder((16, 16, 3), **SMALL)
    half.set_weights(full.get_weights())
    for a, b in zip(half.encode(y, mask), full.encode(y, mask), strict=True):
        assert a.dtype == tf.float32
        np.testing.assert_allclose(a, b, atol=0.02)
