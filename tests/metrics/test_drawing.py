"""Marks land where their numbers are."""

import numpy as np
import pytest

from keras_uai.metrics import drawing
from keras_uai.metrics.drawing import Panel, side_by_side

RED = (255, 0, 0)


def red_pixels(panel):
    picture = np.asarray(panel.image)
    return np.argwhere((picture == RED).all(axis=-1)) / drawing._SCALE


def test_a_point_is_where_its_numbers_are():
    panel = Panel("title", "x", "y", (0, 2), (-1, 1), size=200)
    panel.line([0.5], [0.5], RED)
    row, column = red_pixels(panel).mean(axis=0)
    assert column == pytest.approx(Panel.LEFT + 50, abs=1)
    assert row == pytest.approx(Panel.TOP + 50, abs=1)


def test_bars_stand_on_the_axis_and_are_as_high_as_their_numbers():
    panel = Panel("title", "x", "y", (-0.5, 1.5), (0, 1), size=200)
    panel.bars([0.0, 0.25], RED)
    rows, columns = red_pixels(panel).T
    high = columns > Panel.LEFT + 100
    assert rows[high].min() == pytest.approx(Panel.TOP + 150, abs=1)
    assert rows[high].max() == pytest.approx(Panel.TOP + 200, abs=1)
    assert (rows[~high] > Panel.TOP + 199).all()


def test_what_is_above_the_axes_stops_at_their_edge():
    panel = Panel("title", "x", "y", (0, 1), (0, 1), size=200)
    panel.bars([7.0], RED)
    assert red_pixels(panel)[:, 0].min() >= Panel.TOP - 1


@pytest.mark.parametrize(
    ("limits", "ticks"),
    [
        ((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ((-0.5, 10.5), [0, 2, 4, 6, 8, 10]),
        ((0, 0.037), [0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035]),
    ],
)
def test_ticks_are_round_numbers_inside(limits, ticks):
    assert drawing._ticks(*limits) == pytest.approx(ticks)


def test_panels_stand_in_a_row():
    panels = [Panel("a", "x", "y", size=100), Panel("b", "x", "y", size=150)]
    panels[0].diagonal()
    panels[1].level(0.5)
    panels[1].legend("name", RED)
    picture = side_by_side(panels)
    assert picture.shape == (panels[1].height, panels[0].width + panels[1].width, 3)
