"""A bar where one is wanted; tqdm only then."""

import sys

from keras_uai.metrics import progress


def test_without_a_bar_tqdm_is_not_needed(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with progress.bar(False, 3) as advance:
        advance(3)
    assert not any(capsys.readouterr())


def test_a_bar_with_its_text(monkeypatch, capsys):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with progress.bar("nearest", 3) as advance:
        advance(3)
    shown = capsys.readouterr().err
    assert "nearest" in shown
    assert "/3" in shown


def test_what_is_quick_shows_nothing(capsys):
    with progress.bar(True, 3) as advance:
        advance(3)
    assert "3/3" not in capsys.readouterr().err
