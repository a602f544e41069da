"""The table at the end of a run: its numbers are those of the scores, row for row."""

import numpy as np
import pytest

from keras_uai import metrics
from keras_uai.metrics import predictors
from keras_uai.training import configuration, evaluation
from keras_uai.training.data import Data


class Model:
    """Stands for a trained model: fills in two greys, and predicts a third."""

    class generator:  # noqa: N801
        predicts_mean = True

    stochastic = True
    sampler = None
    image_shape = (16, 16, 3)
    name = "greys"

    def __init__(self, data):
        self.measurement = data.measurement
        self.values = data.values

    def inpaint(self, y, mask=None, num_samples=2, seed=0, **kwargs):
        greys = np.linspace(-0.5, 0.5, num_samples, dtype="float32")[None, :, None, None, None]
        return np.where(mask[:, None] > 0.5, y[:, None], greys)

    def predict_mean(self, y, mask, **kwargs):
        return np.where(mask > 0.5, y, np.float32(0.25))


@pytest.fixture
def evaluator(tiny):
    resolved = configuration.resolve(tiny)
    data = Data(resolved)
    return evaluation.Evaluator(resolved, data, Model(data))


def test_scores_are_those_of_metrics(evaluator):
    scores = evaluator.scores()
    assert list(scores) == ["model", "model_mean", "linear_interpolation", "nearest", "mean_colour"]
    batch = next(iter(evaluator.data.scored(6)))
    y, x = np.asarray(batch["observation"]), np.asarray(batch["clean"])
    mask = (y != 0).any(axis=-1, keepdims=True).astype("float32")
    fills = {
        "nearest": predictors.baseline("nearest").sample(y, mask, 1, np.arange(6))[:, 0],
        "model_mean": evaluator.model.predict_mean(y, mask),
    }
    for name, fill in fills.items():
        error = np.square(fill.astype("float64") - x).mean()
        assert scores[name]["mse"] == pytest.approx(error, rel=1e-6)
    samples = evaluator.model.inpaint(y, mask)
    assert scores["model"]["mse"] == pytest.approx(np.square(samples - x[:, None]).mean(), rel=1e-5)
    assert scores["model"]["images"] == 6
    assert evaluator.describe_data()["split"] == "validation"


def test_table_has_a_row_for_each(evaluator):
    scores = evaluator.scores()
    lines = evaluation.table(scores, evaluator.title()).splitlines()
    assert lines[0].startswith("6 validation images of drawn_faces, DropPixel(p=0.5")
    assert lines[1].split() == ["MSE", "PSNR", "SSIM"]
    rows = {line[:28].strip(): [float(v) for v in line[28:].split()] for line in lines[2:8]}
    names = {
        "this model, one sample": "model",
        "this model, mean of 2": "model",
        "this model, predicted mean": "model_mean",
        "linear interpolation": "linear_interpolation",
        "nearest neighbour": "nearest",
        "mean colour": "mean_colour",
    }
    assert list(rows) == list(names)
    for words, row in rows.items():
        key = "mse_of_mean" if "mean of" in words else "mse"
        assert row[0] == pytest.approx(scores[names[words]][key], abs=5.1e-5)
    assert f"std {scores['model']['std']:.3f}" in lines[8]


def test_no_images_to_score(evaluator):
    evaluator.settings["eval_images"] = 0
    assert evaluator.scores() == {}
    assert "No images were scored" in evaluation.table({}, "")


def test_frechet_distance_with_an_extractor(evaluator):
    corner = metrics.extractors.Extractor("mine", lambda x: np.asarray(x)[:, 4, 4:6, 0], None)
    evaluator.extractor = corner
    scores = evaluator.scores()
    table = evaluation.table(scores, evaluator.title())
    assert scores["model"]["frechet_mine"] > 0
    assert "FRECHET" in table.splitlines()[1]
    assert "frechet_mine, from 6 images" in table
    assert evaluator.describe_data()["extractor"] == "mine"
