"""Progress bars: their clocks go on while nothing is done, one at a time."""

import io
import time

import pytest

from keras_uai import progress


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(progress, "TICK", 0.02)
    monkeypatch.setattr(progress, "DELAY", 0.1)


def wait(file, text):
    """Returns what was shown, once it holds the text."""
    for _ in range(500):
        if text in file.getvalue():
            return file.getvalue()
        time.sleep(0.02)
    raise AssertionError(file.getvalue())


def test_the_clock_of_a_stage_goes_on():
    file = io.StringIO()
    with progress.stage("Compiling", delay=0.0, file=file):
        assert "Compiling ... 00:00" in file.getvalue()
        wait(file, "Compiling ... 00:01")
    assert file.getvalue().endswith("\r")  # nothing is left on the line


def test_of_two_bars_the_inner_one_is_shown():
    outer, inner = io.StringIO(), io.StringIO()
    with progress.stage("Scoring", delay=0.0, file=outer):
        with progress.bar("model", 10, file=inner) as shown:
            shown.update(2)
            assert "2/10" in wait(inner, "model")
            kept = outer.getvalue()
            time.sleep(0.2)
            assert outer.getvalue() == kept
        assert inner.getvalue().endswith("\r")
        assert len(progress._bars) == 1
        wait(outer, "00:01")


def test_nothing_is_shown_where_nothing_is_wanted(capsys):
    with progress.bar(False, 3) as shown:
        shown.update()
        time.sleep(0.1)
    assert capsys.readouterr() == ("", "")
