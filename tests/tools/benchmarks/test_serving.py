"""The benchmark of serving runs every case of a model for any size, and names all ratios."""

import json

import pytest

from benchmarks import models, serving
from tests.testing import tiny_uai


def test_the_benchmark(monkeypatch, long):
    if not long:
        pytest.skip("takes longer: --long")
    model = tiny_uai(
        image_shape=(None, None, 3), networks={"levels": 1}, generator={"predicts_mean": True}
    )
    model.compile()
    monkeypatch.setattr(models, "load", lambda path: model)
    monkeypatch.setattr(serving, "_ROUNDS", 1)
    monkeypatch.setattr(serving, "_SIZE", (16, 24))
    monkeypatch.setattr(serving, "_BATCH", 32)
    result = serving.run({"model": None, "repeats": 1})
    assert json.loads(json.dumps(result))["rows"] == result["rows"]
    assert all(0 < row["low"] <= row["high"] for row in result["rows"].values())
    text = serving.table(result)
    assert "16 x 24, 1 runs" in text
    assert all(name in text for name in serving.TARGETS)
