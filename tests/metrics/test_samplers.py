"""Models are loaded however they are stored, and give the samples that they gave before."""

import json

import keras
import numpy as np
import pytest

from keras_uai import models
from keras_uai.metrics import samplers
from tests.testing import observations, tiny, tiny_uai


@pytest.fixture(scope="module")
def model():
    return tiny_uai()


def check(sampler, model):
    y, mask = observations(model.measurement, 3)
    seeds = np.array([5, 6, 7])
    found = sampler.sample(y, mask, 2, seeds)
    assert found == pytest.approx(model.inpaint(y, mask, 2, seeds), abs=1e-5)


def test_a_saved_model(tmp_path, model):
    model.save(tmp_path / "mine.keras")
    sampler = samplers.load(tmp_path / "mine.keras")
    check(sampler, model)
    assert sampler.name == "mine"
    assert sampler.measurement == model.measurement
    assert sampler.image_shape == (16, 16, 3)
    assert sampler.mean is None
    assert len(sampler.digest) == 12


def test_a_runs_folder(tmp_path, model):
    folder = tmp_path / "0003-uai"
    folder.mkdir()
    settings = {"data": "faces", "split_seed": 3}
    (folder / "settings.json").write_text(json.dumps({"settings": settings}))
    with pytest.raises(ValueError, match=r"no model.keras yet.*--resume.*0003-uai"):
        samplers.load(folder)
    model.save(folder / "model.keras")
    sampler = samplers.load(folder)
    check(sampler, model)
    assert sampler.name == "0003-uai"
    assert sampler.settings == settings


def test_a_model_with_a_mean_of_its_own():
    model = tiny_uai(generator={"predicts_mean": True})
    y, mask = observations(model.measurement, 2)
    sampler = samplers.of_model(model, "mine", "0")
    assert sampler.mean(y, mask).shape == y.shape


def test_another_look(tmp_path):
    """Told apart by the digest, so that no scores of one stand for another's."""
    looks = {"fill": True, "anchor": True, "predicts_mean": True}
    model = tiny_uai(generator=looks, look_cell=4, look_gain=1.5)
    model.save(tmp_path / "mine.keras")
    found = {
        look: samplers.load(tmp_path / "mine.keras", look) for look in (None, "none", "8", "2,3")
    }
    assert len({sampler.digest for sampler in found.values()}) == 4
    y, mask = observations(model.measurement, 2)
    for look, cell, gain in ((None, 4, 1.5), ("none", None, 1.0), ("8", 8, 1.5), ("2,3", 2, 3.0)):
        model.set_look(cell, gain)
        assert found[look].sample(y, mask, 2, 0) == pytest.approx(
            model.inpaint(y, mask, 2, 0), abs=1e-5
        )


@pytest.mark.parametrize("look", ["4,x", "x", "4,1,2", "", "none,x"])
def test_looks_that_are_none(model, tmp_path, look):
    model.save(tmp_path / "mine.keras")
    with pytest.raises(ValueError, match=f"Received: look='{look}'"):
        samplers.load(tmp_path / "mine.keras", look)


def test_only_some_models_look_twice(tmp_path):
    tiny(models.Splitting).save(tmp_path / "mine.keras")
    with pytest.raises(ValueError, match="Received: look='4' for a Splitting"):
        samplers.load(tmp_path / "mine.keras", "4")
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    with pytest.raises(ValueError, match=r"Received: look=.4. for .*1"):
        samplers.load(tmp_path / "1", "4")


def test_an_exported_model(tmp_path):
    tf = pytest.importorskip("tensorflow")

    class Export(tf.Module):
        """Inputs as in the contract of keras_uai.serving: all have the batch dimension."""

        @tf.function(
            input_signature=[
                tf.TensorSpec((None, 16, 16, 3), "float32", "image"),
                tf.TensorSpec((None, 16, 16, 1), "float32", "mask"),
                tf.TensorSpec((None,), "int32", "seed"),
                tf.TensorSpec((None,), "int32", "num_samples"),
            ]
        )
        def serve(self, image, mask, seed, num_samples):
            drawn = tf.cast(seed, "float32")[:, None, None, None, None] / 100
            samples = tf.repeat(drawn, num_samples[0], axis=1)
            return {"samples": samples * (1 - mask[:, None]) + image[:, None]}

    module = Export()
    tf.saved_model.save(module, str(tmp_path / "1"), {"serving_default": module.serve})
    sampler = samplers.load(tmp_path / "1")
    y, mask = observations(tiny_uai().measurement, 3)
    found = sampler.sample(y, mask, 4, np.array([5, 6, 7]))
    assert found.shape == (3, 4, 16, 16, 3)
    assert found[2] == pytest.approx(np.repeat((y + 0.07 * (1 - mask))[2:], 4, axis=0))


def test_other_models_are_refused(tmp_path):
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "other.keras")
    with pytest.raises(
        ValueError, match=r"Only models that reconstruct.*other.keras', a Functional"
    ):
        samplers.load(tmp_path / "other.keras")


@pytest.mark.parametrize("path", ["none", "none.keras", "."])
def test_what_is_no_model_is_named(tmp_path, path):
    with pytest.raises(ValueError, match=r"A model is a run's folder.*Received: "):
        samplers.load(tmp_path / path)
