"""D and E, which share a tower: outputs, the mask as input, a fill, and weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.layers import PushPull
from keras_uai.measurements import DropPixel
from keras_uai.networks import Discriminator
from tests.testing import array, observations, run_serialization_test, same_bits

SMALL = {"width": 8, "max_width": 16, "levels": 2, "normalization": "group"}


def small(image_shape=(None, None, 3), **options):
    return Discriminator(image_shape, **{**SMALL, **options})


def data(size=(12, 20), channels=3, count=3):
    return observations(DropPixel(0.5), count, (*size, channels))


@pytest.mark.parametrize(
    ("side", "weights", "arrays"),
    [(128, 4_859_651, 109), (64, 3_615_267, 95), (32, 2_417_075, 81)],
)
def test_weights_of_the_papers_networks(side, weights, arrays):
    """As in version 0.1."""
    d = Discriminator((side, side, 3))
    assert d.count_params() == weights
    assert len(d.weights) == arrays


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(
    ("size", "channels", "space_to_depth", "mask_channels"),
    [((2, 6), 3, 1, None), ((20, 12), 1, 2, 1), ((16, 8), 7, 4, 7)],
)
def test_shapes(size, channels, space_to_depth, mask_channels, fixed):
    d = small(
        (*(size if fixed else (None, None)), channels),
        space_to_depth=space_to_depth,
        mask_input=mask_channels is not None,
        mask_channels=mask_channels or 1,
    )
    y, mask = data(size, channels)
    logits = d.score(y, np.tile(mask, (1, 1, 1, mask_channels or 1)))
    assert logits.shape == (3,)
    assert logits.dtype == tf.float32
    assert len(np.unique(logits)) == 3
    assert d.output.shape == (None,)


def test_in_a_graph_of_unknown_sizes():
    d = small(mask_input=True, input_fill="push_pull", attention_level=1)
    specs = [tf.TensorSpec((None, None, None, channels)) for channels in (3, 1)]
    graph = tf.function(d.score, input_signature=specs, autograph=False)
    for size in ((12, 20), (6, 4)):
        np.testing.assert_allclose(graph(*data(size)), d.score(*data(size)), atol=1e-5)


def test_the_mask_is_an_input_on_request():
    y, mask = data()
    for given in (False, True):
        d = small(mask_input=given)
        moved = not np.array_equal(d.score(y, mask), d.score(y, np.ones_like(mask)))
        assert moved == given


def test_images_do_not_mix_with_group_norm():
    d, (y, mask) = small(attention_level=1), data()
    np.testing.assert_allclose(d.score(y[1:2], mask[1:2]), d.score(y, mask)[1:2], atol=1e-5)


def test_every_weight_gets_a_gradient():
    d = small(mask_input=True)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(d.score(*data()) * [1.0, -2.0, 0.5])
    variables = d.trainable_variables
    for v, g in zip(variables, tape.gradient(total, [v.value for v in variables]), strict=True):
        assert (array(g) != 0).any(), v.path


def test_spectral_normalization_reaches_every_kernel():
    d = small()
    kernels = [v for v in d.trainable_variables if v.name == "kernel"]
    assert [v.name for v in d.non_trainable_variables] == ["u"] * len(kernels)
    assert not small(spectral_normalization=False).non_trainable_variables


def test_a_fill_replaces_the_observation():
    """The same weights without one, shown the fill, give the same score."""
    filled, plain = (small(mask_input=True, input_fill=fill) for fill in ("push_pull", None))
    plain.set_weights(filled.get_weights())
    y, mask = data()
    expected = plain.score(array(PushPull()(y, mask)), mask)
    np.testing.assert_allclose(filled.score(y, mask), expected, atol=1e-6)
    same_bits(filled.score(y + 3 * (1 - mask), mask), filled.score(y, mask))
    with pytest.raises(ValueError, match="Received: input_fill='push_pull', mask_input=False"):
        small(input_fill="push_pull")


def test_serialization(tmp_path):
    copy = run_serialization_test(
        Discriminator,
        {
            "image_shape": (32, 48, 2),
            "mask_channels": 2,
            "width": 8,
            "max_width": 16,
            "levels": 2,
            "depth": 2,
            "space_to_depth": 2,
            "normalization": "group",
            "spectral_normalization": False,
            "attention_level": 1,
            "efficient_resampling": True,
            "input_fill": "push_pull",
            "mask_input": True,
            "name": "d",
        },
    )
    y, mask = data((32, 48), 2)
    mask = np.tile(mask, (1, 1, 1, 2))
    copy.save(tmp_path / "d.keras")
    loaded = keras.saving.load_model(tmp_path / "d.keras")
    same_bits(loaded.score(y, mask), copy.score(y, mask))


def test_mixed_precision():
    full = small()
    keras.config.set_dtype_policy("mixed_float16")
    half = small()
    half.set_weights(full.get_weights())
    assert half.score(*data()).dtype == tf.float32
    np.testing.assert_allclose(half.score(*data()), full.score(*data()), atol=0.02)
