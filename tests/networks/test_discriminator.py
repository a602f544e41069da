"""D: one logit an image, what it sees, and that E shares its stem."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.layers import PushPull
from keras_uai.measurements import DropPixel
from keras_uai.networks import Discriminator, Encoder
from tests.testing import TINY, array, observations, run_serialization_test, same_bits

SMALL = {**TINY, "normalization": "group", "attention_size": None}


def discriminator(shape=(16, 16, 3), **options):
    return Discriminator(shape, **{**SMALL, **options})


@pytest.mark.parametrize(
    ("side", "stem", "channels"), [(16, 1, 3), (32, 1, 1), (64, 2, 3), (128, 4, 1)]
)
@pytest.mark.parametrize("sees_mask", [False, True])
def test_shapes(side, stem, channels, sees_mask):
    d = discriminator((side, side, channels), stem=stem, sees_mask=sees_mask)
    y, mask = observations(DropPixel(0.5), 3, (side, side, channels))
    logits = d.score(y, mask)
    assert logits.shape == (3,)
    assert logits.dtype == tf.float32
    assert len(np.unique(logits)) == 3
    assert d.output.shape == (None,)


def test_sees_the_mask_where_told_to():
    y, mask = observations(DropPixel(0.5), 3)
    for sees in (False, True):
        d = discriminator(sees_mask=sees)
        moved = not np.array_equal(d.score(y, mask), d.score(y, np.ones_like(mask)))
        assert moved == sees


def test_images_do_not_mix_with_group_norm():
    d = discriminator(attention_size=8)
    y, mask = observations(DropPixel(0.5), 3)
    np.testing.assert_allclose(d.score(y[1:2], mask[1:2]), d.score(y, mask)[1:2], atol=1e-5)


def test_every_weight_gets_a_gradient():
    d = discriminator(sees_mask=True)
    y, mask = observations(DropPixel(0.5), 3)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(d.score(y, mask) * [1.0, -2.0, 0.5])
    for v, g in zip(
        d.trainable_variables,
        tape.gradient(total, [v.value for v in d.trainable_variables]),
        strict=True,
    ):
        assert (array(g) != 0).any(), v.path


def test_spectral_normalisation_reaches_every_kernel():
    names = {v.name for v in discriminator().non_trainable_variables}
    assert names == {"u"}
    kernels = [v for v in discriminator().trainable_variables if v.name == "kernel"]
    assert len(discriminator().non_trainable_variables) == len(kernels)
    assert not discriminator(spectral=False).non_trainable_variables


def test_serialization(tmp_path):
    copy = run_serialization_test(
        Discriminator,
        {
            "image_shape": (32, 32, 1),
            "width": 8,
            "max_width": 16,
            "depth": 2,
            "stem": 2,
            "normalization": "group",
            "spectral": False,
            "attention_size": 8,
            "lean": True,
            "fill": True,
            "sees_mask": True,
            "name": "d",
        },
    )
    y, mask = observations(DropPixel(0.5), 3, (32, 32, 1))
    copy.save(tmp_path / "d.keras")
    loaded = keras.saving.load_model(tmp_path / "d.keras")
    same_bits(loaded.score(y, mask), copy.score(y, mask))


def test_mixed_precision():
    y, mask = observations(DropPixel(0.5), 3)
    full = discriminator()
    keras.config.set_dtype_policy("mixed_float16")
    half = discriminator()
    half.set_weights(full.get_weights())
    assert half.score(y, mask).dtype == tf.float32
    np.testing.assert_allclose(half.score(y, mask), full.score(y, mask), atol=0.02)


def test_the_encoder_reads_observations_alike():
    y, mask = observations(DropPixel(0.5), 3)
    encoder = Encoder((16, 16, 3), 5, **TINY, sees_mask=True)
    assert [i.name for i in encoder.inputs] == [
        i.name for i in discriminator(sees_mask=True).inputs
    ]
    assert encoder.encode(y, mask)[0].shape == (3, 5)


def test_with_a_fill_it_judges_the_filled_observation():
    """The same weights without one, shown the fill, give the same score; missing pixels do not matter."""
    filled, plain = (discriminator(sees_mask=True, fill=fill) for fill in (True, False))
    plain.set_weights(filled.get_weights())
    y, mask = observations(DropPixel(0.5), 3)
    expected = plain.score(array(PushPull()(y, mask)), array(mask))
    np.testing.assert_allclose(filled.score(y, mask), expected, atol=1e-6)
    same_bits(filled.score(array(y) + 3 * (1 - array(mask)), array(mask)), filled.score(y, mask))


def test_a_fill_needs_the_mask():
    with pytest.raises(ValueError, match="Received: fill=True, sees_mask=False"):
        discriminator(fill=True)
