"""Tables and JSON say what was measured, under the right names, and hold no number that is none."""

import json
import math

import numpy as np
import pytest

from keras_uai.metrics import Scores, report


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
        "| method | MSE | std | Fréchet (small) |",
        "| --- | ---: | ---: | ---: |",
        "| model, one sample | 0.5000 ± 0.1000 | 0.200 ± 0.100 | 30.0 ± 0.1 |",
        "| model, mean of 10 | 0.2500 ± 0.1000 |  | 40.0 ± 0.1 |",
        "| nearest | 0.7500 ± 0.1000 | 0.000 | 99.0 ± 0.1 |",
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
    assert "| model, one sample |  | 0.200" in report.table(found)
    assert report.plain({"a": [math.nan, 1.0, (math.inf,)]}) == {"a": [None, 1.0, [None]]}


def test_spread_by_distance_is_one_column():
    found = result()
    found["methods"]["model"]["scores"] |= {
        "spread_skill_1": interval(0.987),
        "spread_skill_2_4": interval(math.nan),
        "mse_missing_8bit": interval(421.04, 3.0),
        "coverage_90": interval(0.9),
    }
    found["command"] = "tools/evaluate --model=mine"
    lines = report.table(found).splitlines()
    assert lines[:3] == ["Two images.", "", "`tools/evaluate --model=mine`"]
    assert lines[4] == (
        "| method | squared error, missing (8 bit) | MSE | std | coverage of 90% | "
        "spread-skill at 1, 2-4, 5-16, >16 pixels | Fréchet (small) |"
    )
    assert (
        "| 421.0 ± 3.0 | 0.5000 ± 0.1000 | 0.200 ± 0.100 | 0.90 ± 0.10 | 0.99 / - / - / - |"
        in lines[6]
    )
    assert lines[8].endswith("| - / - / - / - | 99.0 ± 0.1 |")


def test_written_files_are_whole(tmp_path):
    made = result()
    random = np.random.default_rng(0)
    scores = Scores()
    scores.update(
        *(random.uniform(-1, 1, n) for n in ((2, 6, 6, 1), (2, 3, 6, 6, 1))), np.zeros((2, 6, 6, 1))
    )
    made["methods"]["model"]["calibration"] = scores.calibration()
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
    assert report.table(read) == report.table(made)  # also from the file


@pytest.mark.parametrize("inflation", [2.5, 4.5])
def test_an_uncertain_spread_is_flagged(inflation):
    data = {"images": 9, "dataset": "faces", "split": "test", "seed": 0, "image_size": "8 x 8"}
    found = {
        "data": {**data, "measurement": None, "holdout": None},
        "extractor": None,
        "num_samples": 2,
        "seed": 0,
        "model": {"inflation": inflation},
        "warnings": ["The fit rests on 9 hidden pixels."],
    }
    text = report.describe(found)
    assert text.endswith("The fit rests on 9 hidden pixels.")
    assert ("spread is inflated by 4.5, above 2.5" in text) == (inflation > 2.5)
