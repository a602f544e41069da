"""G: shapes, what z reaches, one pass over y for many z, and what a fresh G returns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.layers import PushPull
from keras_uai.measurements import DropPixel
from keras_uai.networks import Generator
from tests.testing import TINY, array, observations, run_serialization_test, same_bits

SMALL = {**TINY, "latent_dim": 5, "normalization": "group", "noise_channels": 2}


def inputs(generator, count=2, seed=0):
    y, mask = observations(DropPixel(0.5), count, generator.image_shape, seed)
    z = np.random.default_rng(seed).normal(size=(count, generator.z_dim))
    return [tf.constant(v, tf.float32) for v in (y, mask, z)]


@pytest.mark.parametrize(
    ("side", "stem", "channels"),
    [(16, 1, 3), (32, 1, 1), (32, 2, 3), (64, 2, 1), (64, 4, 3), (128, 4, 1), (128, 4, 3)],
)
def test_shapes(side, stem, channels):
    generator = Generator((side, side, channels), **{**SMALL, "stem": stem})
    y, mask, z = inputs(generator)
    levels = [side // stem // 2**i for i in range(10) if side // stem // 2**i >= 4]
    assert z.shape == (2, 5 + 2 * sum(s * s for s in levels))
    image = generator([y, mask, z])
    assert image.shape == y.shape
    assert image.dtype == tf.float32
    assert [f.shape[1] for f in generator.observe(y, mask)] == levels
    assert generator.output.shape == (None, side, side, channels)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fill": True},
        {"predicts_mean": True},
        {"fill": True, "predicts_mean": True, "noise_channels": 0},
        {"attention_size": 8, "depth": 2},
        {"normalization": "batch", "spectral": False},
        {"normalization": None, "stem": 1},
        {"stem": 4},  # one level only
    ],
    ids=str,
)
def test_observe_and_decode_are_the_call(options):
    generator = Generator((16, 16, 3), **{**SMALL, **options})
    y, mask, z = inputs(generator)
    together = generator([y, mask, z])
    features = generator.observe(y, mask)
    np.testing.assert_allclose(generator.decode(features, z), together, atol=1e-6)
    # one pass over y, several z
    twice = [tf.repeat(f, 2, axis=0) for f in features]
    other = tf.concat([z[:1], -z[:1], z[1:], -z[1:]], axis=0)
    np.testing.assert_allclose(array(generator.decode(twice, other))[[0, 2]], together, atol=1e-5)


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("predicts_mean", [False, True])
def test_every_part_of_z_matters(fill, predicts_mean):
    """The global part changes pixels everywhere; each noise map has a gradient at every position."""
    options = {**SMALL, "stem": 1, "fill": fill, "predicts_mean": predicts_mean}
    generator = Generator((16, 16, 3), **options)
    y, mask, z = inputs(generator, 1)
    weights = np.random.default_rng(1).normal(size=y.shape).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(z)
        image = generator([y, mask, z])
        total = tf.reduce_sum(image * weights)
    gradient = array(tape.gradient(total, z))[0]
    assert (gradient[:5] != 0).all()
    start = 5
    for side in (16, 8, 4):
        part = slice(start, start + 2 * side * side)
        assert (gradient[part] != 0).mean() > 0.99, side
        moved = array(z)
        moved[:, part] += 1.0
        moved = tf.constant(moved)
        assert np.abs(array(generator([y, mask, moved])) - array(image)).max() > 1e-4
        start = part.stop
    assert start == generator.z_dim
    other = array(z)
    other[:, :5] += 1.0
    changed = np.abs(array(generator([y, mask, tf.constant(other)])) - array(image)).max(-1)
    assert (changed > 0).mean() > 0.99


def test_noise_maps_are_local():
    """A value of the finest map moves pixels near it, not the far corner."""
    generator = Generator(
        (32, 32, 1), **{**SMALL, "normalization": None, "stem": 1, "noise_channels": 1}
    )
    y, mask, z = inputs(generator, 1)
    moved = array(z)
    moved[0, 5] += 1.0  # the top left value of the 32 x 32 map
    moved = tf.constant(moved)
    change = np.abs(array(generator([y, mask, moved])) - array(generator([y, mask, z])))[0, ..., 0]
    assert change[:3, :3].max() > 1e-5
    assert change[16:, 16:].max() == 0


def test_a_fresh_g_returns_grey_or_its_fill():
    y, mask = observations(DropPixel(0.5), 4)
    grey = Generator((16, 16, 3), **SMALL)
    filled = Generator((16, 16, 3), **SMALL, fill=True)
    z = np.random.default_rng(0).normal(size=(4, grey.z_dim)).astype("float32")
    assert np.abs(array(grey([y, mask, z]))).std() < 0.5
    assert np.abs(array(grey([y, mask, z]))).max() <= 1.0
    residual = array(filled([y, mask, z])) - array(PushPull()(y, mask))
    assert residual.std() < 0.5


def test_the_mean_does_not_depend_on_z_and_samples_do_not_train_it():
    generator = Generator((16, 16, 3), **SMALL, fill=True, predicts_mean=True)
    y, mask, z = inputs(generator)
    with tf.GradientTape(persistent=True) as tape:
        *features, mean = generator.observe(y, mask)
        image = generator.decode([*features, mean], z)
        through_mean, through_samples = tf.reduce_sum(mean**2), tf.reduce_sum(image**2)
    assert mean.shape == y.shape
    head = [v for v in generator.trainable_variables if "mean_head_image" in v.path]
    assert len(head) == 2
    for variable in head:
        assert (array(tape.gradient(through_mean, variable.value)) != 0).any()
        assert tape.gradient(through_samples, variable.value) is None
    assert all(
        tape.gradient(through_mean, v.value) is None for v in generator.decoder.trainable_variables
    )


def test_images_do_not_mix_with_group_norm():
    generator = Generator((16, 16, 3), **SMALL, attention_size=8)
    y, mask, z = inputs(generator, 3)
    together = array(generator([y, mask, z]))
    np.testing.assert_allclose(generator([y[1:2], mask[1:2], z[1:2]]), together[1:2], atol=1e-5)


def test_every_weight_that_matters_gets_a_gradient():
    generator = Generator((16, 16, 3), **SMALL, attention_size=8, fill=True)
    y, mask, z = inputs(generator)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(generator([y, mask, z]) * y)
    variables = generator.trainable_variables
    for v, gradient in zip(
        variables, tape.gradient(total, [v.value for v in variables]), strict=True
    ):
        inside_attention = "_attention/" in v.path and "gamma" not in v.path  # gamma is 0
        assert (array(gradient) != 0).any() != inside_attention, v.path


def test_serialization():
    copy = run_serialization_test(
        Generator,
        {
            "image_shape": (32, 32, 1),
            "latent_dim": 5,
            "width": 8,
            "max_width": 16,
            "depth": 2,
            "stem": 2,
            "normalization": "group",
            "spectral": False,
            "attention_size": 8,
            "fill": True,
            "predicts_mean": True,
            "anchor": True,
            "noise_channels": 2,
            "noise_cell": 4,
            "modulation_scales": False,
            "conditional": False,
            "lean": True,
            "name": "g",
        },
    )
    same = Generator.from_config(copy.get_config())
    assert [v.path for v in same.weights] == [v.path for v in copy.weights]
    same.set_weights(copy.get_weights())
    arguments = list(inputs(copy))
    same_bits(same(arguments), copy(arguments))


@pytest.mark.parametrize("predicts_mean", [False, True])
def test_anchored_reconstructions_meet_the_observed_pixels(predicts_mean):
    generator = Generator((16, 16, 3), **SMALL, fill=True, anchor=True, predicts_mean=predicts_mean)
    y, mask, z = inputs(generator)
    features = generator.observe(y, mask)
    image, seen = array(generator.decode(features, z)), array(mask)[..., 0] > 0.5
    np.testing.assert_allclose(image[seen], array(y)[seen], atol=1e-6)
    np.testing.assert_allclose(array(features[-1])[seen], array(y)[seen], atol=1e-6)
    assert np.abs(image - array(features[-1]))[~seen].max() > 1e-3


@pytest.mark.parametrize(("noise_cell", "maps"), [(1, [8, 4]), (2, [8, 4]), (4, [4]), (8, [])])
def test_noise_maps_end_at_a_level(noise_cell, maps):
    generator = Generator((16, 16, 3), **SMALL, noise_cell=noise_cell)
    assert generator.z_dim == SMALL["latent_dim"] + sum(side * side * 2 for side in maps)
    names = {layer.name for layer in generator.decoder.layers}
    assert {f"decode_{side}_noise" for side in (8, 4)} & names == {
        f"decode_{side}_noise" for side in maps
    }


def test_saved_and_loaded(tmp_path):
    generator = Generator((16, 16, 3), **SMALL, fill=True, attention_size=8)
    arguments = list(inputs(generator))
    generator.save(tmp_path / "g.keras")
    same_bits(keras.saving.load_model(tmp_path / "g.keras")(arguments), generator(arguments))


def test_mixed_precision_returns_float32_and_is_about_right():
    full = Generator((16, 16, 3), **SMALL, fill=True, attention_size=8)
    keras.config.set_dtype_policy("mixed_float16")
    half = Generator((16, 16, 3), **SMALL, fill=True, attention_size=8)
    half.set_weights(full.get_weights())
    arguments = list(inputs(full))
    expected, got = array(full(arguments)), half(arguments)
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, expected, atol=0.02)
    assert half.observe(*arguments[:2])[0].dtype == tf.float16
    assert all(v.dtype == "float32" for v in half.trainable_variables)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"image_shape": (20, 20, 3)}, ValueError),
        ({"stem": 8}, ValueError),
        ({"width": 32, "max_width": 16}, ValueError),
        ({"normalization": "layer"}, ValueError),
        ({"widht": 8}, TypeError),
        ({"anchor": True}, ValueError),
    ],
)
def test_errors(arguments, error):
    with pytest.raises(error):
        Generator(**{"image_shape": (16, 16, 3), **SMALL, **arguments})
