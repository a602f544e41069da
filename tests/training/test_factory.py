"""Learning rates: closed forms, as Keras's schedule and as the schedule that follows the clock."""

import math

import keras
import pytest

from keras_uai.training import configuration, factory
from keras_uai.training.loop import rate_factor

LEAST = {"data": "drawn_faces", "measurement": "DropPixel(0.9)"}


def test_rates_where_the_clock_ends_the_training():
    """A cosine falls from 1 to 0; a warm-up rises linearly."""
    found = [rate_factor("cosine", 0, 0, share) for share in (0.0, 0.5, 1.0 / 3.0, 1.0)]
    assert found == pytest.approx([1.0, 0.5, 0.75, 0.0])
    assert [rate_factor("constant", step, 4, 0.9) for step in range(6)] == [
        0.25,
        0.5,
        0.75,
        1,
        1,
        1,
    ]


CONSTANT = {"schedule": "constant", "warmup_steps": 0}
#: Flags, and the learning rates at some steps.
SCHEDULES = [
    ({"steps": 2000, "warmup_steps": 100}, {0: 0, 50: 0.05, 100: 0.1, 1050: 0.05, 2000: 0}),
    ({"steps": 2000, "warmup_steps": 0}, {500: 0.05 * (1 + math.cos(math.pi / 4))}),
    ({"steps": 2000, "schedule": "constant", "warmup_steps": 100}, {50: 0.05, 100: 0.1, 1999: 0.1}),
    ({"steps": 50, "warmup_steps": 100}, {5: 0.1}),  # it warms up for a tenth of the training
    ({"steps": 50, **CONSTANT}, None),
    ({"minutes": 1.0, **CONSTANT}, None),
    ({"minutes": 1.0}, None),  # the clock ends the training: the rate is set before every step
]


@pytest.mark.parametrize(("given", "expected"), SCHEDULES)
def test_steps_give_a_schedule_of_keras(given, expected):
    settings = configuration.resolve({**LEAST, "schedule": "cosine", **given})
    schedule = factory.learning_rate(settings, 0.1, settings["steps"])
    if expected is None:
        assert schedule == 0.1
        return
    assert isinstance(schedule, keras.optimizers.schedules.CosineDecay)
    found = [float(schedule(step)) for step in expected]
    assert found == pytest.approx(list(expected.values()), abs=1e-7)
