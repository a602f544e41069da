"""Tables and JSON say what was measured, under the right names, and hold no number that is none."""

import json
import math

import numpy as np
import pytest

from keras_uai import metrics
from keras_uai.metrics import gathering, report
from tests.metrics.test_gathering import COUNT, Noise, batches, data  # noqa: F401
from tests.metrics.test_statistics import images, pixels


def interval(value, half=0.1):
    return {"value": value, "low": value - half, "high": value + half}


def result(extractor="frechet_small"):
    model = {
        extractor: interval(30.0),
        "mse": interval(0.5),
        "std": interval(0.2),
        f"{extractor}_of_mean": interval(40.0),
        "mse_of_mean": interval(0.25),
    }
    nearest = {extractor: interval(99.0), "mse": interval(0.75), "std": interval(0.0, 0.0)}
    return {
        "description": "Two images.",
        "methods": {
            "model": {"scores": model, "num_samples": 10},
            "nearest": {"scores": nearest, "num_samples": 1},
        },
    }


def test_the_table_has_a_row_a_method_and_one_for_the_mean():
    assert report.table(result()).splitlines() == [
        "Two images.",
        "",
        "| method | Fréchet (small) | MSE | std |",
        "| --- | ---: | ---: | ---: |",
        "| model, one sample | 30.0 ± 0.1 | 0.5000 ± 0.1000 | 0.200 ± 0.100 |",
        "| model, mean of 10 | 40.0 ± 0.1 | 0.2500 ± 0.1000 |  |",
        "| nearest | 99.0 ± 0.1 | 0.7500 ± 0.1000 | 0.000 |",
    ]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("fid", "FID"),
        ("kid", "KID x 1000"),
        ("frechet_inception_v3", "Fréchet (inception_v3)"),
        ("kernel_small", "kernel x 1000 (small)"),
    ],
)
def test_only_inception_is_called_fid(name, title):
    assert f"| {title} |" in report.table(result(name))


def test_kernel_distances_are_shown_in_thousandths():
    found = result("kernel_small")
    found["methods"]["model"]["scores"]["kernel_small"] = interval(0.0123, 0.001)
    assert "| 12.30 ± 1.00 |" in report.table(found)


def test_a_score_that_is_no_number_is_an_empty_cell_and_null():
    found = result()
    found["methods"]["model"]["scores"]["mse"] = interval(math.nan)
    assert "| model, one sample | 30.0 ± 0.1 |  | 0.200" in report.table(found)
    assert report.plain({"a": [math.nan, 1.0, (math.inf,)]}) == {"a": [None, 1.0, [None]]}


def test_scores_come_with_intervals_around_them(data):  # noqa: F811
    found = gathering.gather(Noise(), batches(data), None, {}, num_samples=3)
    scores = report.method_scores(found)
    for name, value in found.scores.result().items():
        if name in scores:
            assert scores[name]["value"] == value
            assert scores[name]["low"] < value < scores[name]["high"]
    assert {"mse", "std", "crps", "spread_skill", "mse_of_mean"} <= set(scores)


def test_a_method_without_z_has_no_spread(data):  # noqa: F811
    found = gathering.gather(Noise(), batches(data), None, {}, num_samples=1)
    scores = report.method_scores(found, stochastic=False)
    for name in ("std", "spread_skill"):
        assert scores[name] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert not {"std", "spread_skill"} & set(report.method_scores(found))  # of one sample of many


@pytest.mark.filterwarnings("ignore:.*images have no full covariance")
@pytest.mark.parametrize("count", [120, 20])
def test_distances_are_those_of_metrics_with_errors_where_there_are_enough_images(count):
    x, extractor = images(count), pixels()
    reference = metrics.statistics.compute(extractor, [x])
    other = np.clip(x + 0.1, -1, 1)
    found = report.method_distances(other.reshape(count, -1), reference, extractor)
    statistics = metrics.statistics.compute(extractor, [other])
    score = found["frechet_pixels"]
    assert score["value"] == metrics.frechet_distance(statistics, reference)
    assert found["kernel_pixels"]["value"] == metrics.kernel_distance(statistics, reference)[0]
    if count >= report.JACKKNIFE_FROM:
        assert score["low"] < score["value"] < score["high"]
    else:
        assert math.isnan(score["low"])


def test_calibration_has_an_interval(data):  # noqa: F811
    found = gathering.gather(Noise(), batches(data), None, {}, num_samples=3)
    calibrated = report.calibration_result(found)
    low, high = calibrated["calibration_error_interval"]
    assert low <= calibrated["calibration_error"] <= high
    one = gathering.gather(Noise(), batches(data), None, {}, num_samples=1)
    assert report.calibration_result(one) is None
    holes = np.arange(COUNT)[:, None, None, None] == 0
    data["mask"] = np.where(holes, data["mask"], 1.0).astype("float32")
    single = gathering.gather(Noise(), batches(data), None, {}, num_samples=3)
    low, high = report.calibration_result(single)["calibration_error_interval"]
    assert low == high  # the other images have no missing pixel, and no say
    data["mask"] = np.ones_like(data["mask"])
    nothing = gathering.gather(Noise(), batches(data), None, {}, num_samples=3)
    assert report.calibration_result(nothing) is None


def test_what_is_written_is_whole(tmp_path, data):  # noqa: F811
    made = result()
    found = gathering.gather(Noise(), batches(data), None, {}, num_samples=3)
    made["methods"]["model"]["calibration"] = report.calibration_result(found)
    made["methods"]["nearest"]["scores"]["mse"] = interval(math.nan)
    picture = np.zeros((4, 5, 3), "uint8")
    paths = report.write(tmp_path / "out", made, {"samples": picture})
    names = {"results.json", "table.md", "samples.png", "calibration.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert sorted(paths) == sorted(str(tmp_path / "out" / name) for name in names)
    text = (tmp_path / "out" / "results.json").read_text()
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert read["methods"]["nearest"]["scores"]["mse"]["value"] is None
    assert read["methods"]["model"]["scores"]["mse"] == interval(0.5)
    assert (tmp_path / "out" / "table.md").read_text() == report.table(made)
    assert len(found.scores) == COUNT
