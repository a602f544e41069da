"""The benchmark of whole images: its picture, its cases, and rows from processes of their own."""

import json

import numpy as np
import pytest

from benchmarks import inference, models
from tests.testing import tiny_uai


@pytest.mark.parametrize("megapixels", [0.01, 0.25])
def test_the_picture(megapixels):
    y, mask = inference.image(megapixels)
    assert y.shape[0] * y.shape[1] == pytest.approx(1e6 * megapixels, rel=0.05)
    assert y.shape[1] / y.shape[0] == pytest.approx(1.5, rel=0.02)
    assert (y.dtype, mask.dtype, mask.shape) == (np.uint8, np.uint8, (*y.shape[:2], 1))
    assert 0.1 <= np.mean(mask == 0) < 0.25
    assert not y[mask[..., 0] == 0].any()
    again, _ = inference.image(megapixels)
    assert np.array_equal(again, y)


@pytest.mark.parametrize("case", inference.cases(["2"]))
def test_cases_fill_the_picture(case, monkeypatch):
    """Each case is called once to warm up and `repeats` times to be measured."""
    asked = []

    class Model:
        def predict_mean(self, y, mask):
            asked.append((y.shape, mask.shape))

        def inpaint(self, y, mask, num_samples):
            assert num_samples == 2
            asked.append((y.shape, mask.shape))

    monkeypatch.setattr(models, "load", lambda path: Model())
    settings = {"case": case, "megapixels": 0.01, "model": None, "repeats": 2}
    row = inference.measure(settings)
    assert row["sides"] == [82, 123]
    assert 0 < row["low"] <= row["median"] <= row["high"]
    assert row["peak_mb"] > row["added_mb"] >= 0
    expected = [] if case.startswith("cv2") else [((1, 82, 123, 3), (1, 82, 123, 1))] * 3
    assert asked == expected


def test_the_benchmark(tmp_path):
    """From the flags to the table, with a model on disk."""
    model = tiny_uai(
        image_shape=(None, None, 3), networks={"levels": 1}, generator={"predicts_mean": True}
    )
    model.save(tmp_path / "tiny.keras")
    options = {
        "model": str(tmp_path / "tiny.keras"),
        "megapixels": ["0.004"],
        "num_samples": ["1"],
        "repeats": 1,
    }
    result = inference.run(options)
    assert json.loads(json.dumps(result)) == result
    assert [row["case"] for row in result["rows"]] == inference.cases(["1"])
    text = inference.table(result)
    assert "predict_mean" in text
    assert "52 x 78" in text
