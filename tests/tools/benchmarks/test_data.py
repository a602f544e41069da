"""Both engines feed all images of every epoch, with each measurement, and the table says how fast."""

import json

from benchmarks import data


def test_the_benchmark(monkeypatch):
    monkeypatch.setattr(data, "_SIDES", (32,))
    options = {
        "data": None, "images": 6, "width": 8, "batch_size": 3, "repeats": 1, "step": False,
    }  # fmt: skip
    result = data.run(options)
    assert json.loads(json.dumps(result)) == result
    assert list(result["sides"]) == ["32"]
    text = data.table(result)
    for side, found in result["sides"].items():
        kinds = data.measurements(int(side))
        assert list(found["rows"]) == [f"{k}, {e}" for k in kinds for e in ("tf.data", "threads")]
        assert found["decoding_images_per_s"] > 0
        for name, row in found["rows"].items():
            assert min(row["first"], row["later"]["low"]) > 0
            assert name in text
    assert "x step" not in text
    assert "The slowest" not in text


def test_the_slowest_is_held_against_the_step():
    row = {
        "first": 900.0,
        "later": {"median": 1000.0, "low": 950.0, "high": 1100.0},
        "times_the_step": 90.0,
    }
    result = {
        "settings": {"data": None, "images": 6, "width": 8, "batch_size": 3, "repeats": 1},
        "sides": {
            "32": {"step_images_per_s": 10.0, "decoding_images_per_s": 5.0, "rows": {"a": row}}
        },
    }
    assert "The slowest is 90 times the step; wanted: 10" in data.table(result)
