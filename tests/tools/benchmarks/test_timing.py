"""Interleaved runs, ratios, memory of a process of its own, and versions."""

import os
import sys

import numpy as np
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


def measure(settings):
    """What `in_process` calls in the test below."""
    kept = np.ones(settings["bytes"], "uint8")
    return {"peak": timing.peak_bytes(), "process": os.getpid(), "sum": int(kept.sum())}


def test_a_process_of_its_own():
    small, large = (
        timing.in_process(sys.modules[__name__], {"bytes": n}) for n in (1, 300_000_000)
    )
    assert os.getpid() not in (small["process"], large["process"])
    assert large["sum"] == 300_000_000
    assert 250e6 < large["peak"] - small["peak"] < 350e6


def test_missing_packages_have_no_version():
    found = timing.machine(("numpy", "no-such-package"))
    assert found["versions"]["no-such-package"] is None
    assert found["machine"]["cores"] >= 1
