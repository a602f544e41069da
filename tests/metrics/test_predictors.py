"""Models are loaded however they are stored, and give the samples that they gave before."""

import json

import numpy as np
import pytest

from keras_uai.metrics import baselines, predictors
from tests.testing import observations, tiny_uai


@pytest.fixture(scope="module")
def model():
    return tiny_uai()


def check(predictor, model):
    y, mask = observations(model.measurement, 3)
    seeds = np.array([5, 6, 7])
    found = predictor.sample(y, mask, 2, seeds)
    assert found == pytest.approx(model.inpaint(y, mask, 2, seeds), abs=1e-5)


def test_a_saved_model_and_a_runs_folder(tmp_path, model):
    model.save(tmp_path / "mine.keras")
    found = predictors.load(tmp_path / "mine.keras")
    check(found, model)
    assert found.name == "mine"
    assert found.measurement == model.measurement
    assert found.image_shape == (16, 16, 3)
    assert found.values == model.values
    assert found.mean is None
    assert found.is_bounded
    folder = tmp_path / "0003-uai"
    folder.mkdir()
    settings = {"data": "faces", "split_seed": 3}
    (folder / "settings.json").write_text(json.dumps({"settings": settings}))
    model.save(folder / "model.keras")
    found = predictors.load(folder)
    check(found, model)
    assert found.name == "0003-uai"
    assert found.settings == settings


def test_a_predicted_mean():
    model = tiny_uai(generator={"predicts_mean": True})
    y, mask = observations(model.measurement, 2)
    found = predictors.predicted_mean(model)
    samples = found.sample(y, mask, num_samples=1, seed=np.zeros(2, int))
    assert np.array_equal(samples[:, 0], model.predict_mean(y, mask))
    assert not found.stochastic
    assert predictors.get(model).stochastic


def test_another_sampler(tmp_path):
    """It is part of the digest, so that no scores of one stand for those of another."""
    model = tiny_uai(generator={"predicts_mean": True}, sampler="TwoStage(4, 1.5)")
    model.save(tmp_path / "mine.keras")
    texts = (None, "OneStage()", "TwoStage(8, 1.5)", "TwoStage(2, 3)")
    found = {text: predictors.load(tmp_path / "mine.keras", text) for text in texts}
    assert len({predictor.digest for predictor in found.values()}) == 4
    y, mask = observations(model.measurement, 2)
    for text, predictor in found.items():
        model.sampler = text or "TwoStage(4, 1.5)"
        expected = model.inpaint(y, mask, 2, 0)
        assert predictor.sample(y, mask, 2, 0) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match=r"Received: .*TwoStage\(x"):
        predictors.load(tmp_path / "mine.keras", "TwoStage(x")


def test_an_exported_model(tmp_path):
    tf = pytest.importorskip("tensorflow")

    class Export(tf.Module):
        """Inputs as in the contract of keras_uai.serving: all have the batch dimension."""

        @tf.function(
            input_signature=[
                tf.TensorSpec((None, None, None, 3), "float32", "image"),
                tf.TensorSpec((None, None, None, 1), "float32", "mask"),
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
    found = predictors.load(tmp_path / "1")
    y, mask = observations(tiny_uai().measurement, 3)
    samples = found.sample(y, mask, 4, np.array([5, 6, 7]))
    assert samples.shape == (3, 4, 16, 16, 3)
    assert samples[2] == pytest.approx(np.repeat((y + 0.07 * (1 - mask))[2:], 4, axis=0))
    with pytest.raises(ValueError, match=r"`sampler` must be None.*OneStage"):
        predictors.load(tmp_path / "1", "OneStage()")


def test_a_baseline_and_a_function():
    y, mask = observations(tiny_uai().measurement, 3)
    found = predictors.baseline("nearest")
    samples = found.sample(y, mask, 4, np.arange(3))
    assert np.array_equal(samples, np.repeat(baselines.nearest(y, mask)[:, None], 4, axis=1))
    assert not found.stochastic
    assert predictors.get(found) is found
    assert predictors.get("nearest").name == predictors.get(baselines.nearest and "nearest").name

    def sample(y, mask, num_samples, seed):
        return y

    assert predictors.get(sample).sample is sample
