"""A training that was interrupted ends in the same bits as one that was not."""

import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.experiment import building, run_folder, settings, training
from keras_uai.experiment.data import Data


class SignalAt(keras.callbacks.Callback):
    """Sends this process a signal after a step."""

    def __init__(self, step, number=signal.SIGINT):
        super().__init__()
        self.step, self.number = step, number

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step) == self.step:
            os.kill(os.getpid(), self.number)


class MeanColour(keras.Model):
    """Stands for a model where only the loop matters: learns the mean colour of what it sees."""

    def __init__(self):
        super().__init__()
        self.colour = self.add_weight(shape=(3,), initializer="zeros", name="colour")
        self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", name="step")
        self.loss_tracker = keras.metrics.Mean(name="g_loss")
        self.trackers = {"g_loss": self.loss_tracker}
        self.built = True

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(data - self.colour))
        self.optimizer.apply(tape.gradient(loss, [self.colour.value]), [self.colour])
        self.step.assign_add(1)
        self.loss_tracker.update_state(loss)
        return {"g_loss": self.loss_tracker.result()}


def mean_colour(settings, data):
    model = MeanColour()
    rate = building.learning_rate(settings, 0.1, building.total_steps(settings, 5))
    model.compile(optimizer=keras.optimizers.Adam(rate))
    model.optimizer.build([model.colour])  # as InpaintingModel does: else its state is not loaded
    model.discriminator_optimizer = keras.optimizers.Adam(0.1)
    return model


def train(given, folder, *monitors, make_model=mean_colour):
    resolved = settings.resolve(given)
    data = Data(resolved)
    model = make_model(resolved, data)
    os.makedirs(folder, exist_ok=True)
    return model, *training.train(resolved, data, str(folder), model, monitors)


def every_number(model):
    """All that a training changes: weights, statistics, the average, both optimizers, the step."""
    variables = [*model.variables, *model.optimizer.variables]
    variables += model.discriminator_optimizer.variables
    return [(v.path, keras.ops.convert_to_numpy(v)) for v in variables]


def assert_same(a, b):
    a, b = every_number(a), every_number(b)
    assert len(a) == len(b)
    for (path, x), (_, y) in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y, err_msg=path)


def rows(folder):
    return (folder / "log.csv").read_text(encoding="utf-8").splitlines()


def test_resumed_is_bit_equal_to_uninterrupted(tiny, tmp_path):
    whole, state, interrupted = train(tiny, tmp_path / "whole", make_model=building.make_model)
    assert interrupted is None
    assert (state["steps"], state["images"]) == (12, 96)
    folder = tmp_path / "parts"  # interrupted in the middle of the second epoch of 5 steps
    _, state, interrupted = train(tiny, folder, SignalAt(7), make_model=building.make_model)
    assert interrupted == signal.SIGINT
    assert state["steps"] == 7
    assert os.listdir(folder / "checkpoints") == ["000007"]
    resumed, state, interrupted = train(tiny, folder, make_model=building.make_model)
    assert interrupted is None
    assert state["steps"] == 12
    assert_same(whole, resumed)
    fresh = building.make_model(settings.resolve(tiny), Data(settings.resolve(tiny)))
    with pytest.raises(AssertionError):  # the comparison compares something
        assert_same(whole, fresh)


def test_interrupted_anywhere_and_again(tiny, tmp_path):
    whole, *_ = train(tiny, tmp_path / "whole")
    folder = tmp_path / "parts"
    # 5 steps an epoch: in the first, at the end of it, in the second, in the third
    for step, number in ((2, signal.SIGINT), (5, signal.SIGTERM), (8, signal.SIGINT), (11, 15)):
        _, state, interrupted = train(tiny, folder, SignalAt(step, number))
        assert (state["steps"], interrupted) == (step, number)
    resumed, *_ = train(tiny, folder)
    np.testing.assert_array_equal(resumed.colour, whole.colour)
    # A row's counts are those of the whole epoch; its means are of the part since the resume.
    steps = [row.split(",")[:3] for row in rows(tmp_path / "whole")]
    assert [row.split(",")[:3] for row in rows(folder)] == steps
    assert steps[0] == ["epoch", "step", "images"]
    assert steps[1:] == [["1", "5", "40"], ["2", "10", "80"], ["3", "12", "96"]]


def test_lines_of_the_log_between_epochs(tiny, tmp_path):
    train({**tiny, "steps_per_epoch": 3, "steps": 7}, tmp_path)
    assert [row.split(",")[1] for row in rows(tmp_path)] == ["step", "3", "6", "7"]


def test_epochs_or_steps_whichever_is_first(tiny, tmp_path):
    _, state, _ = train({**tiny, "epochs": 1}, tmp_path)
    assert state["steps"] == 5


def test_minutes_end_it_and_survive_an_interruption(tiny, tmp_path, monkeypatch):
    """By a clock that says a second has passed whenever it is asked: 6 seconds are the budget.

    A process's first step takes no time: it compiles.
    """
    seconds = iter(range(10**6))
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(seconds)))
    given = {**tiny, "steps": None, "minutes": 0.1, "limit": 800, "learning_rate": 0.001}
    model, state, _ = train(given, tmp_path, SignalAt(2))
    assert (state["steps"], state["seconds"]) == (2, 1.0)
    used = [float(model.optimizer.learning_rate)]
    model, state, interrupted = train(given, tmp_path)
    assert interrupted is None
    assert (state["steps"], state["seconds"]) == (8, 6.0)
    # The rates of the last steps: after 0 and 5 of 6 seconds, 2 and 8 of 100 steps of warm-up.
    used.append(float(model.optimizer.learning_rate))
    expected = [1e-3 * 0.02 * _cosine(0 / 6), 1e-3 * 0.08 * _cosine(5 / 6)]
    assert used == pytest.approx(expected, rel=1e-5)


def _cosine(progress):
    return 0.5 * (1 + np.cos(np.pi * progress))


def test_divergence_is_an_error_and_saves_nothing(tiny, tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["g_loss"] = float("nan")

    with pytest.raises(FloatingPointError, match="diverged: g_loss not finite by step 5"):
        train(tiny, tmp_path, Spoil())
    assert run_folder.last_checkpoint(str(tmp_path)) is None
    # Nor where somebody who sees it interrupts the epoch: the last good checkpoint stays.
    train({**tiny, "steps": 2}, tmp_path / "seen")
    with pytest.raises(FloatingPointError, match="diverged: g_loss not finite by step 4"):
        train(tiny, tmp_path / "seen", SignalAt(4), Spoil())
    assert run_folder.last_checkpoint(str(tmp_path / "seen")).endswith("000002")


def test_handlers_are_put_back(tiny, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train({**tiny, "steps": 2}, tmp_path, SignalAt(1))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
