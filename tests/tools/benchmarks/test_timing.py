"""Runs are made in turn, and ratios are of runs side by side."""

import pytest

from benchmarks import timing


def test_in_turn():
    calls = []
    cases = {name: lambda name=name: calls.append(name) or name for name in "ab"}
    values, seconds = timing.in_turn(cases, 3)
    assert calls == ["a", "b"] * 3
    assert values == {"a": "a", "b": "b"}
    assert [len(found) for found in seconds.values()] == [3, 3]


def test_summaries():
    assert timing.summary([3.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0}
    assert timing.ratio([1.0, 20.0, 3.0], [2.0, 10.0, 4.0]) == pytest.approx(0.75)


def test_packages_that_are_not_there_are_said():
    found = timing.machine(("numpy", "no-such-package"))
    assert found["versions"]["no-such-package"] is None
    assert found["machine"]["cores"] >= 1
