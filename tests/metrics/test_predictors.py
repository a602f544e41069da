"""Models are loaded however they are stored, and give the samples that they gave before."""

import json

import numpy as np
import pytest

from keras_uai.measurements import DropPixel
from keras_uai.metrics import baselines, predictors
from tests.testing import observations, tiny_uai

SEEDS = np.array([5, 6])


@pytest.fixture(scope="module")
def model():
    return tiny_uai(generator={"predicts_mean": True}, sampler="TwoStage(4, 1.5)")


@pytest.fixture(scope="module")
def given():
    return observations(DropPixel(0.5), 2)


def test_however_it_is_stored(given, tmp_path):
    model = tiny_uai()
    expected = model.inpaint(*given, 3, SEEDS)
    model.save(tmp_path / "mine.keras")
    settings = {"data": "faces", "split_seed": 3}
    (tmp_path / "0003-uai").mkdir()
    (tmp_path / "0003-uai" / "settings.json").write_text(json.dumps({"settings": settings}))
    model.save(tmp_path / "0003-uai" / "model.keras")
    for path, name, known in (("mine.keras", "mine", {}), ("0003-uai", "0003-uai", settings)):
        found = predictors.load(tmp_path / path)
        assert found.sample(*given, 3, SEEDS) == pytest.approx(expected, abs=1e-5)
        assert found.measurement == model.measurement
        assert found.image_shape == (16, 16, 3)
        assert found.values == model.values
        assert (found.name, found.mean, found.is_bounded) == (name, None, True)
        assert found.settings == known


def test_a_predicted_mean(model, given):
    found = predictors.predicted_mean(model)
    samples = found.sample(*given, num_samples=1, seed=SEEDS)
    assert np.array_equal(samples[:, 0], model.predict_mean(*given))
    assert not found.stochastic
    assert predictors.get(model).stochastic


def test_another_sampler(model, given, tmp_path):
    """It is part of the digest, so that no scores of one stand for those of another."""
    model.save(tmp_path / "mine.keras")
    texts = (None, "OneStage()", "TwoStage(2, 3)")
    found = {text: predictors.load(tmp_path / "mine.keras", text) for text in texts}
    assert len({predictor.digest for predictor in found.values()}) == 3
    for text in (None, "OneStage()"):
        model.sampler = text or "TwoStage(4, 1.5)"
        expected = model.inpaint(*given, 2, 0)
        assert found[text].sample(*given, 2, 0) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match=r"Received: .*TwoStage\(x"):
        predictors.load(tmp_path / "mine.keras", "TwoStage(x")


def test_a_baseline_and_a_function(given):
    found = predictors.baseline("nearest")
    samples = found.sample(*given, 4, SEEDS)
    assert np.array_equal(samples, np.repeat(baselines.nearest(*given)[:, None], 4, axis=1))
    assert not found.stochastic
    assert predictors.get(found) is found

    def sample(y, mask, num_samples, seed):
        return y

    assert predictors.get(sample).sample is sample
