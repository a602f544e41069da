"""Learning rates: closed forms, as Keras's schedule and as the schedule that follows the clock."""

import math

import keras
import pytest

from keras_uai.training import configuration, factory
from keras_uai.training.loop import rate_factor

LEAST = {"data": "drawn_faces", "measurement": "DropPixel(0.9)"}


def test_cosine_falls_from_1_to_0():
    found = [rate_factor("cosine", 0, 0, share) for share in (0.0, 0.5, 1.0 / 3.0, 1.0)]
    assert found == pytest.approx([1.0, 0.5, 0.75, 0.0])


def test_warm_up_rises_linearly():
    found = [rate_factor("constant", step, 4, 0.9) for step in range(6)]
    assert found == [0.25, 0.5, 0.75, 1, 1, 1]


def rate(given, total):
    return factory.learning_rate(configuration.resolve({**LEAST, **given}), 0.1, total)


def test_steps_give_a_schedule_of_keras():
    schedule = rate({"steps": 2000, "schedule": "cosine", "warmup_steps": 100}, 2000)
    assert isinstance(schedule, keras.optimizers.schedules.CosineDecay)
    found = [float(schedule(step)) for step in (0, 50, 100, 1050, 2000)]
    assert found == pytest.approx([0.0, 0.05, 0.1, 0.05, 0.0])
    for step in (500, 1500):
        share = (step - 100) / 1900
        assert float(schedule(step)) == pytest.approx(0.05 * (1 + math.cos(math.pi * share)))


def test_constant_after_warm_up():
    schedule = rate({"steps": 2000, "schedule": "constant", "warmup_steps": 100}, 2000)
    assert [float(schedule(step)) for step in (50, 100, 1999)] == pytest.approx([0.05, 0.1, 0.1])


def test_a_short_training_warms_up_for_a_tenth_of_it():
    schedule = rate({"steps": 50, "schedule": "cosine", "warmup_steps": 100}, 50)
    assert float(schedule(5)) == pytest.approx(0.1)


def test_without_a_schedule():
    constant = {"schedule": "constant", "warmup_steps": 0}
    assert rate({"steps": 50, **constant}, 50) == 0.1
    assert rate({"minutes": 1.0, **constant}, None) == 0.1
    # The clock ends the training: the rate is set before every step.
    assert rate({"minutes": 1.0, "schedule": "cosine"}, None) == 0.1
