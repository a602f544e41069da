"""The commands from options to files: numbers, resumption, whole images, damaged images."""

import functools
import json

import numpy as np
import pytest
from PIL import Image

from keras_uai import metrics
from keras_uai.metrics import baselines, commands, figures, predictors, report
from keras_uai.metrics.extractors import Extractor
from tests.metrics.test_evaluation_data import OPTIONS as DATA_OPTIONS
from tests.metrics.test_evaluation_data import clean, folder, whole  # noqa: F401
from tests.testing import read_only, tiny_uai


def blocks():
    """An extractor that needs no weights: the mean colours of four quarters."""

    def network(x):
        return x.reshape(len(x), 2, 8, 2, 8, 3).mean(axis=(2, 4)).reshape(len(x), -1)

    return Extractor("blocks", network, 16, digest="0")


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def rows(picture):
    """Number of rows of images of 16 pixels, enlarged to 96."""
    return (len(picture) - figures.GAP) / (96 + figures.GAP)


@pytest.fixture
def options(tmp_path, clean):  # noqa: F811
    return {
        **DATA_OPTIONS,
        "data": clean,
        "measurement": "DropPixel(0.5)",
        "model": None,
        "baselines": ["nearest", "mean_colour"],
        "num_samples": 3,
        "seed": 0,
        "extractor": blocks(),
        "references": str(tmp_path / "references"),
        "grid": 4,
        "out": str(tmp_path / "out"),
        "restart": False,
        "progress": False,
        "sampler": None,
    }


def test_baselines_alone(options, tmp_path):
    result, paths = commands.evaluate(options)
    assert set(result["methods"]) == {"nearest", "mean_colour"}
    data = commands.EvaluationData(options)
    expected = metrics.evaluate("nearest", data.batches())
    scores = result["methods"]["nearest"]["scores"]
    assert scores["mse"]["value"] == expected["mse"]
    assert scores["spread_skill"]["value"] == 0
    batch = whole(data)
    filled = baselines.nearest(batch["observation"], batch["mask"])
    with pytest.warns(UserWarning, match="10 images have no full covariance in 12"):
        distance = metrics.frechet_distance(
            metrics.statistics.compute(blocks(), [filled]),
            metrics.statistics.compute(blocks(), [batch["clean"]]),
        )
    assert scores["frechet_blocks"]["value"] == pytest.approx(distance)
    assert "So few images have no full covariance in 12 dimensions" in result["description"]
    assert {path.rsplit("/", 1)[1] for path in paths} == {
        "results.json",
        "table.md",
        "methods.png",
    }
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["data"]["measurement"] == "DropPixel(p=0.5, tau=0.0)"
    assert written["extractor"]["extractor"] == "blocks"
    assert rows(read(tmp_path / "out" / "methods.png")) == 4  # y, two methods, x


def test_what_is_done_outlasts_a_folder_that_is_read_only(options):
    """The same command goes on afterwards, and ends as one that met no obstacle."""
    options |= {"extractor": "none", "grid": 0}
    whole, _ = commands.evaluate({**options, "out": options["out"] + "-whole"})
    commands.evaluate({**options, "baselines": ["nearest"]})
    with read_only(options["out"]), pytest.raises(OSError, match=r"Read-only .*\.npz"):
        commands.evaluate(options)
    result, _ = commands.evaluate(options)
    for name in ("nearest", "mean_colour"):
        assert result["methods"][name]["scores"] == whole["methods"][name]["scores"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The path of a model, and a function that loads it once."""
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    tiny_uai("DropPixel(0.5)", generator={"predicts_mean": True}).save(path)
    return str(path), functools.cache(predictors.load)


@pytest.fixture
def model(options, saved, monkeypatch):
    path, load = saved
    monkeypatch.setattr(predictors, "load", load)
    options |= {"model": path, "measurement": None}
    return load(path, None)


def test_a_model_beside_them(options, model):
    result, paths = commands.evaluate({**options, "command": "tools/evaluate"})
    names = ["model", "model, predicted mean", "nearest", "mean_colour"]
    assert list(result["methods"]) == names
    data = commands.EvaluationData({**options, "measurement": "DropPixel(0.5)"})
    expected = metrics.evaluate(model, data.batches(), 3)
    scores = result["methods"]["model"]["scores"]
    for name in ("mse", "std", "crps", "spread_skill", "mse_of_mean", "spread_skill_1"):
        assert scores[name]["value"] == pytest.approx(expected[name], rel=1e-4)
    assert {"frechet_blocks", "frechet_blocks_of_mean", "kernel_blocks"} <= set(scores)
    mean = metrics.evaluate(predictors.predicted_mean(model), data.batches())
    found = result["methods"]["model, predicted mean"]["scores"]["mse"]["value"]
    assert found == pytest.approx(mean["mse"], rel=1e-4)
    assert result["methods"]["model"]["calibration"]["coverage"]
    written = {path.rsplit("/", 1)[1] for path in paths}
    assert {"samples.png", "methods.png", "calibration.png"} <= written
    assert "`tools/evaluate`" in report.table(result)


@pytest.mark.usefixtures("model")
def test_figures(options, tmp_path):
    out = str(tmp_path / "figure.png")
    shown = {"first": 0, "images": 8, "names": None, "uncertainty": True, "clean": True}
    figure = {**options, **shown, "model": [options["model"]], "out": out}
    assert commands.draw_figure({**figure, "baselines": ["telea"]}) == out
    assert rows(read(out)) == 1 + 3 + 2 + 1 + 1  # y, three samples, mean and std, telea, x
    bare = {**figure, "uncertainty": False, "clean": False, "images": 2, "baselines": None}
    commands.draw_figure(bare)
    whole_picture = read(out)
    assert rows(whole_picture) == 4
    commands.draw_figure({**bare, "first": 1, "images": 1})
    step = 96 + figures.GAP
    assert np.array_equal(read(out)[:, -step:][:96], whole_picture[:, -step:][:96])
    several = {**bare, "model": figure["model"] * 2, "names": ["one", "two"], "num_samples": 2}
    commands.draw_figure(several)
    assert rows(read(out)) > 4  # two samples of two images, and names
    with pytest.raises(ValueError, match="2 models, --names=one"):
        commands.draw_figure({**several, "names": ["one"]})


def test_whole_images_of_different_sizes(options, tmp_path):
    (tmp_path / "photos").mkdir()
    for i, size in enumerate([(150, 140), (130, 170)]):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    given = {"data": str(tmp_path / "photos"), "feature_crop": 16, "num_samples": 2}
    result, _ = commands.evaluate({**options, **given})
    assert (
        "2 images of photos (all, seed 0), mixed sizes, DropPixel(p=0.5, tau=0.0)"
        in result["description"]
    )
    assert "16 windows of 16 pixels around damage" in result["description"]
    scores = result["methods"]["nearest"]["scores"]
    expected = baselines.nearest
    errors = [
        ((expected(b["observation"], b["mask"]) - b["clean"]) ** 2)[b["mask"][..., 0] < 0.5].ravel()
        for b in metrics.batches.unpacked(commands.EvaluationData({**options, **given}).batches())
    ]
    error = np.concatenate(errors).mean() * 127.5**2
    assert scores["mse_missing_8bit"]["value"] == pytest.approx(error)
    assert read(tmp_path / "out" / "methods.png").shape[1] > 140 + 170


def test_again_is_the_same_and_costs_nothing(options, monkeypatch):
    first, _ = commands.evaluate(options)
    monkeypatch.setattr(commands, "_pictures", lambda *_: {})
    monkeypatch.setattr(predictors, "baseline", _fails)
    again, _ = commands.evaluate(options)
    assert report.plain(again) == report.plain(first)  # NaN differs from itself
    with pytest.raises(ValueError, match=r"--restart.*seed is 0 and not 1"):
        commands.evaluate({**options, "seed": 1})
    monkeypatch.undo()
    anew = {**options, "seed": 1, "restart": True, "extractor": "none", "grid": 0}
    result, _ = commands.evaluate(anew)
    assert (result["seed"], result["extractor"]) == (1, None)
    assert "frechet_blocks" not in result["methods"]["nearest"]["scores"]


def _fails(name):
    def sample(*_, **__):
        pytest.fail("sampled again")

    return predictors.Predictor(sample, name, name, stochastic=False)


def test_images_without_clean_originals(options, folder, tmp_path):  # noqa: F811
    for path in (tmp_path / "photos").glob("*.clean.png"):
        path.unlink()
    options |= {"data": folder, "mask_from": "alpha", "measurement": None}
    result, _ = commands.evaluate(options)
    assert result["extractor"] is None
    assert "damaged as they are; scored on about 20% of the observed" in result["description"]
    scores = result["methods"]["nearest"]["scores"]
    assert 0 < scores["mse_missing"]["value"] < 2
    assert "ssim" not in scores


def test_errors_of_users_are_named(options):
    cases = [
        ({"baselines": []}, "`--model` or `--baselines` must name a method"),
        ({"baselines": ["median"]}, "A baseline must be one of"),
        ({"sampler": "OneStage()"}, r"--model.*Received: --sampler=OneStage\(\) alone"),
        ({"data": None}, "`--data` must name"),
    ]
    for change, message in cases:
        with pytest.raises(ValueError, match=message):
            commands.evaluate({**options, **change})


def test_reference_statistics_are_found_by_an_evaluation(options, tmp_path):
    statistics, path = commands.reference_statistics(options)
    assert statistics.provenance["dataset"] == "clean"
    before = [p.name for p in (tmp_path / "references").iterdir()]
    commands.evaluate(options)
    assert [p.name for p in (tmp_path / "references").iterdir()] == before
    assert path.endswith(before[0])
