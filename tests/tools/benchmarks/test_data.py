"""Every way of loading feeds all images of every epoch, and the table names the slowest."""

import json

from benchmarks import data


def test_the_benchmark():
    options = {
        "data": None,
        "images": 6,
        "width": 8,
        "batch_size": 3,
        "repeats": 1,
        "step": False,
    }
    result = data.run(options)
    assert json.loads(json.dumps(result)) == result
    assert len(result["rows"]) == 6
    assert list(result["rows"]) == list(data.cases())
    text = data.table(result)
    for name, row in result["rows"].items():
        assert min(row["first"], row["later"]["low"]) > 0
        assert name in text
    assert "x step" not in text
    assert "The slowest" not in text


def test_the_slowest_row_is_compared_with_the_step():
    row = {
        "first": 900.0,
        "later": {"median": 1000.0, "low": 950.0, "high": 1100.0},
        "times_the_step": 90.0,
    }
    result = {
        "settings": {"data": None, "images": 6, "width": 8, "batch_size": 3, "repeats": 1},
        "step_images_per_s": 10.0,
        "rows": {"a": row, "b": {**row, "times_the_step": 120.0}},
    }
    assert "The slowest is 90 times the step; wanted: 10" in data.table(result)
