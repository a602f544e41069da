"""G: sizes, inputs, one pass over y for many samples, the reach of z, and a fresh G's output."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.layers import PushPull
from keras_uai.measurements import DropPixel
from keras_uai.networks import Generator
from tests.testing import array, noise, observations, run_serialization_test, same_bits

ANY = (None, None, 3)
#: Two levels, of strides 2 and 4.
SMALL = {
    "latent_dim": 5,
    "width": 8,
    "max_width": 16,
    "levels": 2,
    "space_to_depth": 2,
    "normalization": "group",
    "noise_channels": 2,
}


def small(**options):
    return Generator(**{"image_shape": ANY, **SMALL, **options})


def inputs(generator, size=(12, 20), count=2, seed=0):
    """Everything that G is called with, as tensors."""
    channels = generator.image_shape[-1]
    y, mask = observations(DropPixel(0.5), count, (*size, channels), seed)
    mask = np.tile(mask, (1, 1, 1, generator.mask_channels))
    fields = {
        s: tf.constant(noise(count, size[0] // s, size[1] // s, generator.noise_channels, seed=s))
        for s in generator.noise_strides
    }
    return {
        "observation": tf.constant(y),
        "mask": tf.constant(mask),
        "style": tf.constant(noise(count, generator.latent_dim, seed=seed)),
        "noise": fields,
    }


def observe(generator, batch, training=False):
    return generator.observe(batch["observation"], batch["mask"], training)


@pytest.mark.parametrize(
    ("side", "weights", "arrays"),
    [(128, 23_008_709, 308), (64, 16_973_829, 260), (32, 11_031_333, 212)],
)
def test_weights_of_the_papers_networks(side, weights, arrays):
    """As in version 0.1; a network for any size of as many levels has the same."""
    generator = Generator((side, side, 3))
    assert generator.count_params() == weights
    shapes = [v.shape for v in generator.weights]
    assert len(shapes) == arrays
    if side == 32:
        free = Generator(ANY, levels=4, attention_level=0)
        assert [v.shape for v in free.weights] == shapes


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(
    ("size", "channels", "levels", "space_to_depth"),
    [
        ((20, 36), 1, 3, 1),
        ((24, 8), 7, 2, 2),
        ((4, 20), 2, 1, 4),  # one level only
    ],
)
def test_shapes_and_names(size, channels, levels, space_to_depth, fixed):
    generator = small(
        image_shape=(*(size if fixed else (None, None)), channels),
        levels=levels,
        space_to_depth=space_to_depth,
    )
    strides = [space_to_depth * 2**i for i in range(levels)]
    assert (generator.stride, generator.noise_strides) == (strides[-1], strides)
    batch = inputs(generator, size)
    features = observe(generator, batch)
    assert list(features) == [*(f"stride_{s}" for s in strides), "base", "mask"]
    for stride in strides:
        assert features[f"stride_{stride}"].shape[:3] == (2, size[0] // stride, size[1] // stride)
    same_bits(features["base"], batch["observation"])
    image = generator(batch)
    assert image.shape == (2, *size, channels)
    assert image.dtype == tf.float32


OPTIONS = [
    {},
    {"input_fill": "push_pull"},
    {"predicts_mean": True},
    {"input_fill": "push_pull", "predicts_mean": True, "noise_channels": 0},
    {"attention_level": 0, "depth": 2},
    {"normalization": "batch", "spectral_normalization": False, "modulation": "shift"},
    {"normalization": None, "space_to_depth": 1, "efficient_resampling": True},
    {"input_fill": "push_pull", "residual_conditioning": True, "mask_channels": 3},
    {"image_shape": (12, 20, 3), "conditional": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_observe_and_decode_are_the_call(options):
    """Also with several samples per observation."""
    generator = small(**options)
    batch = inputs(generator)
    twice = {name: tf.repeat(v, 2, axis=0) for name, v in observe(generator, batch).items()}
    style, fields = (
        tf.nest.map_structure(lambda v: tf.concat([v[:1], -v[:1], v[1:], -v[1:]], 0), batch[name])
        for name in ("style", "noise")
    )
    samples = generator.decode(twice, style, fields)
    np.testing.assert_allclose(array(samples)[[0, 2]], generator(batch), atol=1e-5)


def test_in_a_graph_of_unknown_sizes():
    generator = small(
        attention_level=1, input_fill="push_pull", predicts_mean=True, residual_conditioning=True
    )
    batch = inputs(generator)
    signature = tf.nest.map_structure(
        lambda v: tf.TensorSpec((None,) * (len(v.shape) - 1) + v.shape[-1:]), batch
    )
    graph = tf.function(generator, input_signature=[signature], autograph=False)
    for case in (batch, inputs(generator, (16, 8), count=1)):
        np.testing.assert_allclose(graph(case), generator(case), atol=1e-5)


@pytest.mark.parametrize("input_fill", [None, "push_pull"])
@pytest.mark.parametrize("predicts_mean", [False, True])
def test_every_part_of_z_matters(input_fill, predicts_mean):
    """The style moves pixels everywhere; each noise field has a gradient at every position."""
    generator = small(
        levels=3, space_to_depth=1, input_fill=input_fill, predicts_mean=predicts_mean
    )
    batch = inputs(generator, (16, 20), count=1)
    z = [batch["style"], *batch["noise"].values()]
    with tf.GradientTape() as tape:
        tape.watch(z)
        image = generator(batch)
        total = tf.reduce_sum(image * noise(*image.shape, seed=1))
    style, *fields = tape.gradient(total, z)
    assert (array(style) != 0).all()
    assert len(fields) == 3
    for field in fields:
        assert (array(field) != 0).mean() > 0.99
    changed = array(generator({**batch, "style": batch["style"] + 1.0})) - array(image)
    assert (np.abs(changed).max(-1) > 0).mean() > 0.99
    for stride, field in batch["noise"].items():
        other = {**batch["noise"], stride: field + 1.0}
        assert np.abs(array(generator({**batch, "noise": other})) - array(image)).max() > 1e-4


@pytest.mark.parametrize(
    ("min_noise_stride", "strides"), [(1, [2, 4]), (2, [2, 4]), (3, [4]), (4, [4]), (8, [])]
)
def test_fine_levels_can_do_without_noise(min_noise_stride, strides):
    generator = small(min_noise_stride=min_noise_stride)
    assert generator.noise_strides == strides
    layers = {layer.name for layer in generator.decoder.layers}
    assert {s for s in (2, 4) if f"decode_{s}_noise" in layers} == set(strides)
    assert generator(inputs(generator)).shape == (2, 12, 20, 3)
    assert small(noise_channels=0).noise_strides == []


def test_a_fresh_g_returns_grey_or_its_fill():
    grey, filled = small(), small(input_fill="push_pull")
    batch = inputs(grey, count=4)
    assert array(grey(batch)).std() < 0.5
    assert np.abs(array(grey(batch))).max() <= 1.0
    fill = array(PushPull()(batch["observation"], batch["mask"]))
    assert (array(filled(batch)) - fill).std() < 0.5
    same_bits(observe(filled, batch)["base"], fill)


def test_the_mean_does_not_depend_on_z_and_samples_do_not_train_it():
    generator = small(input_fill="push_pull", predicts_mean=True)
    batch = inputs(generator)
    with tf.GradientTape(persistent=True) as tape:
        features = observe(generator, batch)
        image = generator.decode(features, batch["style"], batch["noise"])
        through_mean = tf.reduce_sum(features["mean"] ** 2)
        through_samples = tf.reduce_sum(image**2)
    assert features["mean"].shape == image.shape
    head = [v for v in generator.trainable_variables if "mean_head_image" in v.path]
    assert len(head) == 2
    for variable in head:
        assert (array(tape.gradient(through_mean, variable.value)) != 0).any()
    assert all(
        tape.gradient(through_samples, v.value) is None
        for v in generator.observer.trainable_variables
    )
    assert all(
        tape.gradient(through_mean, v.value) is None for v in generator.decoder.trainable_variables
    )


@pytest.mark.parametrize("mask_channels", [1, 3])
@pytest.mark.parametrize("predicts_mean", [False, True])
def test_conditioned_reconstructions_meet_the_observed_pixels(predicts_mean, mask_channels):
    generator = small(
        input_fill="push_pull",
        residual_conditioning=True,
        predicts_mean=predicts_mean,
        mask_channels=mask_channels,
    )
    batch = inputs(generator)
    if mask_channels == 3:
        batch["mask"] *= tf.constant([1.0, 0.0, 1.0])
        batch["observation"] *= batch["mask"]
    features = observe(generator, batch)
    image = array(generator.decode(features, batch["style"], batch["noise"]))
    origin = array(features["mean" if predicts_mean else "base"])
    seen = np.broadcast_to(array(batch["mask"]) == 1, image.shape)
    np.testing.assert_allclose(image[seen], array(batch["observation"])[seen], atol=1e-6)
    np.testing.assert_allclose(origin[seen], array(batch["observation"])[seen], atol=1e-6)
    assert np.abs(image - origin)[~seen].max() > 1e-3


def test_an_unconditional_g_sees_neither_y_nor_the_mask():
    generator = small(image_shape=(12, 20, 3), conditional=False)
    batch = inputs(generator)
    other = {**batch, "observation": -batch["observation"], "mask": 1 - batch["mask"]}
    same_bits(generator(batch), generator(other))
    assert np.ptp(array(generator(batch)), axis=0).max() > 1e-3  # but z


def test_images_do_not_mix_with_group_norm():
    generator = small(attention_level=1)
    batch = inputs(generator, count=3)
    one = tf.nest.map_structure(lambda v: v[1:2], batch)
    np.testing.assert_allclose(generator(one), array(generator(batch))[1:2], atol=1e-5)


def test_every_weight_that_matters_gets_a_gradient():
    generator = small(attention_level=0, input_fill="push_pull")
    batch = inputs(generator)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(generator(batch) * batch["observation"])
    variables = generator.trainable_variables
    gradients = tape.gradient(total, [v.value for v in variables])
    for v, gradient in zip(variables, gradients, strict=True):
        inside_attention = "_attention/" in v.path and "gamma" not in v.path  # gamma is 0
        assert (array(gradient) != 0).any() != inside_attention, v.path


ARGUMENTS = {
    "image_shape": (32, 48, 2),
    "mask_channels": 2,
    "latent_dim": 5,
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
    "predicts_mean": True,
    "residual_conditioning": True,
    "noise_channels": 2,
    "min_noise_stride": 4,
    "modulation": "shift",
    "conditional": False,
    "name": "g",
}


def test_serialization(tmp_path):
    copy = run_serialization_test(Generator, ARGUMENTS)
    same = Generator.from_config(copy.get_config())
    assert [v.path for v in same.weights] == [v.path for v in copy.weights]
    same.set_weights(copy.get_weights())
    batch = inputs(copy, (32, 48))
    same_bits(same(batch), copy(batch))
    copy.save(tmp_path / "g.keras")
    same_bits(keras.saving.load_model(tmp_path / "g.keras")(batch), copy(batch))


def test_mixed_precision_returns_float32_and_is_about_right():
    options = {"input_fill": "push_pull", "attention_level": 0, "predicts_mean": True}
    full = small(**options)
    keras.config.set_dtype_policy("mixed_float16")
    half = small(**options)
    half.set_weights(full.get_weights())
    batch = inputs(full)
    got = half(batch)
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, full(batch), atol=0.02)
    features = observe(half, batch)
    assert features["stride_4"].dtype == tf.float16
    assert features["mean"].dtype == tf.float32
    assert all(v.dtype == "float32" for v in half.trainable_variables)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (18, 20, 3)}, "Received: image_shape="),
        ({"space_to_depth": 8}, "Received: space_to_depth=8"),
        ({"width": 32}, "Received: width=32, max_width=16"),
        ({"normalization": "layer"}, "Received: normalization='layer'"),
        ({"input_fill": True}, "Received: input_fill=True"),
        ({"residual_conditioning": True}, "Received: input_fill=None"),
        ({"modulation": None}, "Received: modulation=None"),
        ({"conditional": False}, "Received: conditional=False, image_shape="),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)
