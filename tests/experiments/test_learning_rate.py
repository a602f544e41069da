"""Schedules: closed forms, and Keras's schedule against the one that follows the clock."""

import math

import keras
import pytest

from keras_uai.experiment import building, settings
from keras_uai.experiment.learning_rate import factor

LEAST = {"data": "drawn_faces", "measurement": "DropPixel(0.9)"}


def test_cosine_falls_from_1_to_0():
    assert factor("cosine", 0, 0, 0.0) == 1.0
    assert factor("cosine", 0, 0, 0.5) == pytest.approx(0.5)
    assert factor("cosine", 0, 0, 1.0 / 3.0) == pytest.approx(0.75)
    assert factor("cosine", 0, 0, 1.0) == pytest.approx(0.0)
    assert factor("cosine", 0, 0, 1.2) == pytest.approx(0.0)


def test_warm_up_rises_linearly():
    assert [factor("constant", step, 4, 0.9) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def rate(given, total):
    return building.learning_rate(settings.resolve({**LEAST, **given}), 0.1, total)


def test_steps_give_a_schedule_of_keras():
    schedule = rate({"steps": 2000, "schedule": "cosine", "warmup_steps": 100}, 2000)
    assert isinstance(schedule, keras.optimizers.schedules.CosineDecay)
    assert float(schedule(0)) == 0.0
    assert float(schedule(50)) == pytest.approx(0.05)
    assert float(schedule(100)) == pytest.approx(0.1)
    assert float(schedule(100 + 950)) == pytest.approx(0.05)
    assert float(schedule(2000)) == pytest.approx(0.0)
    for step in (500, 1500):
        share = (step - 100) / 1900
        assert float(schedule(step)) == pytest.approx(0.05 * (1 + math.cos(math.pi * share)))


def test_constant_after_warm_up():
    schedule = rate({"steps": 2000, "schedule": "constant", "warmup_steps": 100}, 2000)
    assert [float(schedule(step)) for step in (50, 100, 1999)] == pytest.approx([0.05, 0.1, 0.1])


def test_a_short_training_warms_up_for_a_tenth_of_it():
    schedule = rate({"steps": 50, "schedule": "cosine", "warmup_steps": 100}, 50)
    assert float(schedule(5)) == pytest.approx(0.1)


def test_nothing_to_schedule():
    constant = {"schedule": "constant", "warmup_steps": 0}
    assert rate({"steps": 50, **constant}, 50) == 0.1
    assert rate({"minutes": 1.0, **constant}, None) == 0.1
    # The clock ends it: the rate is set before every step.
    assert rate({"minutes": 1.0, "schedule": "cosine"}, None) == 0.1
