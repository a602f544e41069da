"""The benchmark compares what is equal: all implementations find the same distance."""

import json

import pytest

from benchmarks import metrics, timing


@pytest.mark.parametrize(("images", "dimensions"), [(30, 40), (60, 20)])
def test_all_find_the_same(images, dimensions):
    options = {"images": images, "dimensions": dimensions, "repeats": 2, "scipy": images > 40}
    result = metrics.run(options)
    for name, row in result["rows"].items():
        assert row["relative_difference_from_tf_gan"] < 1e-6, name
        assert 0 < row["low"] <= row["median"] <= row["high"]
    assert json.loads(json.dumps(result)) == result
    text = metrics.table(result)
    assert all(name in text for name in result["rows"])
    assert "cores" in timing.describe_machine(result)
