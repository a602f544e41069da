"""Samplers: two stages by hand, their arguments, and saving."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai import random, sampling
from keras_uai.sampling import OneStage, TwoStage
from tests.testing import array, observations, run_serialization_test, same_bits, tiny_uai

MEAN = {"input_fill": "push_pull", "residual_conditioning": True, "predicts_mean": True}


@pytest.fixture
def model():
    """A model with large weights at the end, so that samples differ."""
    keras.utils.set_random_seed(0)
    model = tiny_uai(generator=MEAN)
    for v in model.generator.weights:
        if v.path.endswith("head_image/kernel"):
            v.assign(v * 300.0)
    return model


def drawn(model, y, mask, keys):
    """Returns the mean and a sample of one stage of each image, composed by hand."""
    generator = model.generator
    features = generator.observe(y, mask)
    latents = sampling.draw_latents(generator, keys, *y.shape[1:3])
    return array(features["mean"]), array(generator.decode(features, *latents))


# -- a sample --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("eagerly")
def test_one_stage_is_a_decoded_sample(model):
    y, mask = observations(model.measurement, 4)
    keys = random.key(3, np.arange(4))
    _, image = drawn(model, y, mask, keys)
    wanted = np.where(mask == 1, y, np.clip(image, -1, 1))
    np.testing.assert_allclose(
        model.inference.reconstruct(y, mask, keys[:, None])[:, 0], wanted, atol=1e-5
    )


@pytest.mark.usefixtures("eagerly")
def test_two_stages_predict_the_mean_given_y_and_the_sampled_pixels(model):
    y, mask = observations(model.measurement, 4)
    keys = random.key(3, np.arange(4))
    mean, image = drawn(model, y, mask, keys)
    np.testing.assert_allclose(mean * mask, y * mask, atol=1e-6)  # residual conditioning
    model.sampler = TwoStage(4, 1.5)
    seen = np.maximum(mask, array(sampling.stratified_mask(keys, 4, 16, 16)))
    values = np.where(seen == 1, mean + 1.5 * (image - mean), 0).astype("float32")
    second = array(model.generator.observe(np.where(mask == 1, y, values), seen)["mean"])
    wanted = np.where(mask == 1, y, np.clip(second, -1, 1))
    np.testing.assert_allclose(
        model.inference.reconstruct(y, mask, keys[:, None])[:, 0], wanted, atol=1e-5
    )
    assert np.abs(wanted - np.clip(image, -1, 1)).max() > 0.1


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("sampler", [OneStage(), TwoStage(4, 1.5)])
def test_samples_differ_and_keep_the_observed_pixels(model, sampler):
    y, mask = observations(model.measurement, 4)
    model.sampler = sampler
    samples = model.inpaint(y, num_samples=3, seed=1)
    seen = np.broadcast_to(mask[:, None] == 1, samples.shape)
    same_bits(samples[seen], np.broadcast_to(y[:, None], samples.shape)[seen])
    assert samples.std(axis=1)[np.broadcast_to(mask == 0, y.shape)].mean() > 0.01
    alone = model.inpaint(y[2:3], num_samples=3, seed=3)
    np.testing.assert_allclose(alone, samples[2:3], atol=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_the_predicted_mean_does_not_depend_on_the_sampler(model):
    y, _ = observations(model.measurement, 3)
    before = model.predict_mean(y)
    model.sampler = TwoStage(4, 2.0)
    same_bits(model.predict_mean(y), before)


def test_another_sampler_takes_effect_at_once(model):
    """Also in functions that were compiled before."""
    y, _ = observations(model.measurement, 4)
    found = []
    for sampler in (None, TwoStage(4), TwoStage(4, 3.0), "TwoStage(2, 3.0)", OneStage()):
        model.sampler = sampler
        found.append((model.inpaint(y, num_samples=1), model.predict(y, verbose=0)))
    for kind in range(2):
        same_bits(found[0][kind], found[4][kind])
        for i in range(1, 4):
            assert not np.allclose(found[i][kind], found[i - 1][kind])


def test_a_served_graph_takes_any_number_of_samples(model):
    """The first samples do not depend on their number, which may be a tensor."""
    model.sampler = TwoStage(4, 1.5)
    y, mask = observations(model.measurement, 2)

    @tf.function(autograph=False)
    def sample(y, mask, count):
        return model.inference.sample(y, mask, tf.range(2), count)

    three = array(sample(y, mask, tf.constant(3)))
    assert three.shape == (2, 3, 16, 16, 3)
    np.testing.assert_allclose(sample(y, mask, tf.constant(1)), three[:, :1], atol=1e-5)
    np.testing.assert_allclose(model.inpaint(y, mask, num_samples=3), three, atol=1e-5)


# -- arguments and saving --------------------------------------------------------------------------


def test_samplers_are_serialized_and_compared():
    copy = run_serialization_test(TwoStage, {"stride": 8, "inflation": 1.25})
    assert copy == TwoStage(8, 1.25)
    assert hash(copy) == hash(TwoStage(8, 1.25))
    assert copy not in (TwoStage(8), TwoStage(4, 1.25), OneStage())
    assert run_serialization_test(OneStage, {"inflation": 1.5}) == OneStage(1.5)
    assert OneStage(1.5) != OneStage()


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (None, OneStage()),
        ("OneStage()", OneStage()),
        ("TwoStage(4, 1.2)", TwoStage(4, 1.2)),
        (" TwoStage(stride=8, inflation=2) ", TwoStage(8, 2.0)),
        (TwoStage(3), TwoStage(3, 1.0)),
        (
            json.loads(json.dumps(keras.saving.serialize_keras_object(TwoStage(2, 3.0)))),
            TwoStage(2, 3.0),
        ),
    ],
)
def test_samplers_from_text_and_configs(identifier, expected):
    assert sampling.get(identifier) == expected
    assert sampling.get(repr(expected)) == expected


@pytest.mark.parametrize(
    "identifier",
    [
        "TwoStages(4)",
        "TwoStage",
        "TwoStage(4, 1.2, 3)",
        "TwoStage(x)",
        "TwoStage(**4)",
        "__import__('os')",
        4,
        {},
    ],
)
def test_other_samplers_are_refused(identifier):
    with pytest.raises(ValueError, match=r"`sampler` must be OneStage.*Received: sampler="):
        sampling.get(identifier)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1.0), "stride=0"),
        ((2.0, 1.0), "stride=2.0"),
        ((4, 0.0), "inflation=0.0"),
        ((4, float("nan")), "inflation=nan"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        TwoStage(*arguments)


def test_two_stages_need_a_predicted_mean():
    with pytest.raises(
        ValueError, match=r"predicts_mean=True.*Received: sampler=TwoStage\(stride=4"
    ):
        tiny_uai(sampler=TwoStage(4))
    model = tiny_uai()
    for sampler in ("TwoStage(4)", "OneStage(1.2)"):
        with pytest.raises(ValueError, match="predicts_mean=True"):
            model.sampler = sampler
    assert model.sampler == OneStage()


@pytest.mark.usefixtures("eagerly")
def test_the_sampler_is_saved_with_the_model(model, tmp_path):
    y, _ = observations(model.measurement, 2)
    model.sampler = TwoStage(8, 1.25)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.sampler == TwoStage(8, 1.25)
    np.testing.assert_allclose(loaded.inpaint(y), model.inpaint(y), atol=1e-6)
