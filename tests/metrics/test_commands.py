"""The commands from options to files: right numbers, the same again, going on, damaged images."""

import json

import pytest
from PIL import Image

from keras_uai import metrics
from keras_uai.metrics import baselines, commands, report
from keras_uai.metrics.extractors import Extractor
from tests.metrics.test_evaluation_data import OPTIONS as DATA_OPTIONS
from tests.metrics.test_evaluation_data import clean, folder  # noqa: F401
from tests.testing import tiny_uai


def blocks():
    """An extractor that needs no weights: the mean colours of four quarters."""

    def network(x):
        return x.reshape(len(x), 2, 8, 2, 8, 3).mean(axis=(2, 4)).reshape(len(x), -1)

    return Extractor("blocks", network, 16, digest="0")


def height(path):
    with Image.open(path) as picture:
        return picture.height


@pytest.fixture
def options(tmp_path, clean):  # noqa: F811
    return {
        **DATA_OPTIONS, "data": clean, "measurement": "DropPixel(0.5)", "model": None,
        "baselines": ["nearest", "mean_colour"], "num_samples": 3, "seed": 0,
        "extractor": blocks(), "references": str(tmp_path / "references"), "grid": 4,
        "out": str(tmp_path / "out"), "restart": False, "progress": False,
    }  # fmt: skip


def test_baselines_alone(options, tmp_path):
    result, paths = commands.evaluate(options)
    assert set(result["methods"]) == {"nearest", "mean_colour"}
    data = commands.EvaluationData(options)
    expected = metrics.evaluate(baselines.as_sampler("nearest"), data.batches(), 1)
    scores = result["methods"]["nearest"]["scores"]
    assert scores["mse"]["value"] == expected["mse"]
    assert scores["spread_skill"]["value"] == 0
    batch = data.first(None)
    filled = baselines.nearest(batch["observation"], batch["mask"])
    with pytest.warns(UserWarning, match="10 images have no full covariance in 12"):
        distance = metrics.frechet_distance(
            metrics.statistics.compute(blocks(), [filled]),
            metrics.statistics.compute(blocks(), [batch["clean"]]),
        )
    assert scores["frechet_blocks"]["value"] == pytest.approx(distance)
    assert "So few images have no full covariance in 12 dimensions" in result["description"]
    assert {path.rsplit("/", 1)[1] for path in paths} == {
        "results.json", "table.md", "methods.png",
    }  # fmt: skip
    read = json.loads((tmp_path / "out" / "results.json").read_text())
    assert read["data"]["measurement"] == "DropPixel(p=0.5, tau=0.0)"
    assert read["extractor"]["extractor"] == "blocks"
    assert height(tmp_path / "out" / "methods.png") == 4 + 4 * (96 + 4)  # y, two methods, x


def test_a_model_beside_them(options, tmp_path):
    model = tiny_uai("DropPixel(0.5)", generator={"predicts_mean": True})
    model.save(tmp_path / "model.keras")
    options |= {"model": str(tmp_path / "model.keras"), "measurement": None, "pairs": True}
    result, paths = commands.evaluate(options)
    pairs = "model, mean of 3 in antithetic pairs"
    names = ["model", "model, its own mean", pairs, "nearest", "mean_colour"]
    assert list(result["methods"]) == names
    data = commands.EvaluationData({**options, "measurement": "DropPixel(0.5)"})
    expected = metrics.evaluate(model.inpaint, data.batches(), 3)
    scores = result["methods"]["model"]["scores"]
    for name in ("mse", "std", "crps", "spread_skill", "mse_of_mean"):
        assert scores[name]["value"] == pytest.approx(expected[name], rel=1e-4)
    assert {"frechet_blocks", "frechet_blocks_of_mean", "kernel_blocks"} <= set(scores)
    in_pairs = metrics.evaluate(
        lambda *a, **k: model.inpaint(*a, antithetic=True, **k), data.batches(), 3
    )
    found = result["methods"][pairs]["scores"]["mse"]["value"]
    assert found == pytest.approx(in_pairs["mse_of_mean"], rel=1e-4)
    assert result["methods"]["model"]["calibration"]["coverage"]
    written = {path.rsplit("/", 1)[1] for path in paths}
    assert {"samples.png", "methods.png", "calibration.png"} <= written
    figure = {**options, "uncertainty": True, "clean": True, "out": str(tmp_path / "figure.png")}
    assert commands.draw_figure(figure) == str(tmp_path / "figure.png")
    rows = 1 + 3 + 2 + 1  # y, three samples, mean and std, x
    assert height(tmp_path / "figure.png") == 4 + rows * 100
    bare = {**figure, "uncertainty": False, "clean": False, "images": 2}
    commands.draw_figure(bare)
    assert height(tmp_path / "figure.png") == 4 + 4 * 100
    several = {**bare, "model": [options["model"]] * 2, "names": ["one", "two"], "num_samples": 2}
    commands.draw_figure(several)
    assert height(tmp_path / "figure.png") > 4 + 2 * 2 * 100  # two samples of two images, and names
    with pytest.raises(ValueError, match="2 models, --names=one"):
        commands.draw_figure({**several, "names": ["one"]})


def test_again_is_the_same_and_costs_nothing(options, monkeypatch):
    first, _ = commands.evaluate(options)
    monkeypatch.setattr(commands, "_pictures", lambda *_: {})
    monkeypatch.setattr(
        baselines, "as_sampler", lambda name: lambda *_, **__: pytest.fail("sampled again")
    )
    again, _ = commands.evaluate(options)
    assert report.plain(again) == report.plain(first)  # NaN differs from itself
    with pytest.raises(ValueError, match=r"--restart.*seed is 0 and not 1"):
        commands.evaluate({**options, "seed": 1})


def test_restart_begins_anew(options):
    commands.evaluate(options)
    result, _ = commands.evaluate({**options, "seed": 1, "restart": True})
    assert result["seed"] == 1


def test_without_an_extractor(options):
    result, _ = commands.evaluate({**options, "extractor": "none", "grid": 0})
    assert result["extractor"] is None
    assert "frechet_blocks" not in result["methods"]["nearest"]["scores"]


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


def test_nothing_to_evaluate_is_said(options):
    with pytest.raises(ValueError, match="Name a --model or --baselines"):
        commands.evaluate({**options, "baselines": []})
    with pytest.raises(ValueError, match="A baseline is one of"):
        commands.evaluate({**options, "baselines": ["median"]})


def test_baselines_do_not_look(options):
    with pytest.raises(ValueError, match=r"--model.*Received: --look=4 alone"):
        commands.evaluate({**options, "look": "4"})


def test_reference_statistics_are_found_by_an_evaluation(options, tmp_path):
    statistics, path = commands.reference_statistics(options)
    assert statistics.stamp["dataset"] == "clean"
    before = [p.name for p in (tmp_path / "references").iterdir()]
    commands.evaluate(options)
    assert [p.name for p in (tmp_path / "references").iterdir()] == before
    assert path.endswith(before[0])
