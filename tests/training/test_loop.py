"""An interrupted training ends in the same bits as an uninterrupted one."""

import os
import re
import signal
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.training import configuration, factory, loop, run_folder
from keras_uai.training.data import Data


class SignalAt(keras.callbacks.Callback):
    """Sends this process a signal after a step."""

    def __init__(self, step, number=signal.SIGINT):
        super().__init__()
        self.step = step
        self.number = number

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step) == self.step:
            os.kill(os.getpid(), self.number)


class MeanColour(keras.Model):
    """Stands for a model where only the loop matters: learns the mean colour of its images."""

    def __init__(self):
        super().__init__()
        self.colour = self.add_weight(shape=(3,), initializer="zeros", name="colour")
        self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", name="step")
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.built = True

    def train_step(self, data):
        images = tf.cast(data["observation"] if isinstance(data, dict) else data, "float32")
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(images - self.colour))
        self.optimizer.apply(tape.gradient(loss, [self.colour.value]), [self.colour])
        self.step.assign_add(1)
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}


def mean_colour(settings, data):
    model = MeanColour()
    rate = factory.learning_rate(settings, 0.1, factory.total_steps(settings, 5))
    model.compile(optimizer=keras.optimizers.Adam(rate))
    model.optimizer.build([model.colour])  # otherwise its state is not loaded
    model.discriminator_optimizer = keras.optimizers.Adam(0.1)
    return model


def train(given, folder, *monitors, make_model=mean_colour):
    resolved = configuration.resolve(given)
    data = Data(resolved)
    model = make_model(resolved, data)
    os.makedirs(folder, exist_ok=True)
    return model, *loop.train(resolved, data, str(folder), model, monitors)


def assert_same(a, b):
    """Compares all that a training changes: weights, statistics, EMA, both optimizers, the step."""
    for x, y in zip(*map(variables, (a, b)), strict=True):
        np.testing.assert_array_equal(x, y)


def variables(model):
    optimizers = (model.optimizer, model.discriminator_optimizer)
    found = [*model.variables, *(v for optimizer in optimizers for v in optimizer.variables)]
    return [keras.ops.convert_to_numpy(v) for v in found]


def rows(folder):
    lines = (folder / "log.csv").read_text(encoding="utf-8").splitlines()
    return [[cell for i, cell in enumerate(line.split(",")) if i != 3] for line in lines]  # minutes


@pytest.mark.usefixtures("eagerly")
def test_resumed_is_bit_equal_to_uninterrupted(tiny, tmp_path):
    whole, state, interrupted = train(tiny, tmp_path / "whole", make_model=factory.make_model)
    assert interrupted is None
    assert (state["steps"], state["images"]) == (12, 96)
    folder = tmp_path / "parts"  # interrupted within the second epoch of 5 steps
    _, state, interrupted = train(tiny, folder, SignalAt(7), make_model=factory.make_model)
    assert interrupted == signal.SIGINT
    assert state["steps"] == 7
    assert os.listdir(folder / "checkpoints") == ["000007"]
    resumed, state, interrupted = train(tiny, folder, make_model=factory.make_model)
    assert interrupted is None
    assert state["steps"] == 12
    assert_same(whole, resumed)
    resolved = configuration.resolve(tiny)
    fresh = factory.make_model(resolved, Data(resolved))
    with pytest.raises(AssertionError):  # the comparison compares something
        assert_same(whole, fresh)


def test_interrupted_anywhere_and_again(tiny, tmp_path):
    whole, *_ = train(tiny, tmp_path / "whole")
    folder = tmp_path / "parts"
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    # 5 steps per epoch: in the first, at its end, in the second, in the third.
    for step, number in ((2, signal.SIGINT), (5, signal.SIGTERM), (8, signal.SIGINT), (11, 15)):
        _, state, interrupted = train(tiny, folder, SignalAt(step, number))
        assert (state["steps"], interrupted) == (step, number)
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    resumed, *_ = train(tiny, folder)
    np.testing.assert_array_equal(resumed.colour, whole.colour)
    # A row is of the whole epoch, its means too.
    expected = [["epoch", "step", "images"], ["1", "5", "40"], ["2", "10", "80"], ["3", "12", "96"]]
    assert [row[:3] for row in rows(folder)] == expected
    assert rows(folder) == rows(tmp_path / "whole")


def test_epochs_or_steps_whichever_is_first(tiny, tmp_path):
    train({**tiny, "steps_per_epoch": 3, "steps": 7, "epochs": 5}, tmp_path / "steps")
    assert [row[1] for row in rows(tmp_path / "steps")] == ["step", "3", "6", "7"]
    train({**tiny, "steps_per_epoch": 3, "epochs": 2}, tmp_path / "epochs")
    assert [row[1] for row in rows(tmp_path / "epochs")] == ["step", "3", "6"]


def test_minutes_end_it_and_survive_an_interruption(tiny, tmp_path, monkeypatch):
    """A clock on which a second passes with every question; the budget is 6 seconds.

    The first step of a process takes no time: it compiles.
    """
    seconds = iter(range(10**6))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(seconds)))
    given = {**tiny, "steps": None, "minutes": 0.1, "limit": 800, "learning_rate": 0.001}
    model, state, _ = train(given, tmp_path, SignalAt(2))
    assert (state["steps"], state["seconds"]) == (2, 1.0)
    used = [float(model.optimizer.learning_rate)]
    model, state, interrupted = train(given, tmp_path)
    assert interrupted is None
    assert (state["steps"], state["seconds"]) == (8, 6.0)
    # The rates of the last steps: after 0 and 5 of 6 seconds, 2 and 8 of 100 steps of warm-up.
    used.append(float(model.optimizer.learning_rate))
    cosine = [0.5 * (1 + np.cos(np.pi * progress)) for progress in (0 / 6, 5 / 6)]
    assert used == pytest.approx([1e-3 * 0.02 * cosine[0], 1e-3 * 0.08 * cosine[1]], rel=1e-5)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0, 1e9])
def test_a_clock_that_is_set_changes_nothing(tiny, tmp_path, monkeypatch, jump):
    """The time of day jumps with every question; training is timed by a clock that cannot be set."""
    given = {**tiny, "schedule": "constant"}  # not a function of the time that is used
    whole, *_ = train(given, tmp_path / "whole")
    seconds, now = iter(range(10**6)), time.time()
    monkeypatch.setattr(time, "time", lambda: max(4e8, now + jump * next(seconds)) % 4e9)
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(seconds)))
    folder = tmp_path / "jumps"
    train({**given, "minutes": 60.0}, folder, SignalAt(7))
    model, state, _ = train({**given, "minutes": 60.0}, folder)
    np.testing.assert_array_equal(model.colour, whole.colour)
    assert rows(folder) == rows(tmp_path / "whole")
    minutes = [float(line.split(",")[3]) for line in (folder / "log.csv").read_text().split()[1:]]
    assert sorted(minutes) == minutes
    assert 0.0 < minutes[0] < minutes[-1] < 1.0
    assert state["seconds"] == pytest.approx(60.0 * minutes[-1])


def test_a_clock_that_leaps_ends_a_training_in_time_with_all_saved(tiny, tmp_path, monkeypatch):
    """A machine that slept: the hour counts, since a step cannot tell it from a slow one."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(loop.time, "monotonic", lambda: (s := next(seconds)) + 3600.0 * (s > 12))
    _, state, interrupted = train({**tiny, "steps": None, "minutes": 60.0}, tmp_path)
    assert interrupted is None
    assert 0 < state["steps"] <= 12
    assert run_folder.last_checkpoint(str(tmp_path)).endswith(f"{state['steps']:06d}")
    again = train({**tiny, "steps": None, "minutes": 60.0}, tmp_path)[1]
    assert again["steps"] == state["steps"]


class PoisonedAt(keras.callbacks.Callback):
    """Makes the weights infinite before a step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.step) == self.step - 1:
            self.model.colour.assign([np.inf] * 3)


def test_divergence_is_told_in_its_step_and_saves_nothing(tiny, tmp_path):
    batches = iter(Data(configuration.resolve(tiny))._train(repeat=True, index=True))
    expected = [next(batches)["index"].numpy().tolist() for _ in range(7)][-1]
    with pytest.raises(FloatingPointError, match="gradients not finite in step 7") as error:
        train(tiny, tmp_path, PoisonedAt(7))
    named = re.findall(r"image (\d+) of drawn_faces \(([\d.]+)\)", str(error.value))
    assert sorted(int(index) for index, _ in named) == sorted(expected)
    values = [float(value) for _, value in named]
    assert values == sorted(values, reverse=True)
    assert run_folder.last_checkpoint(str(tmp_path)) is None
    # Nor after an interruption: the earlier checkpoint stays.
    train({**tiny, "steps": 2}, tmp_path / "seen")
    with pytest.raises(FloatingPointError, match="gradients not finite in step 4"):
        train(tiny, tmp_path / "seen", SignalAt(4), PoisonedAt(4))
    assert run_folder.last_checkpoint(str(tmp_path / "seen")).endswith("000002")


def test_a_training_that_only_skips_batches_ends(tiny, tmp_path, monkeypatch):
    class Skipping(MeanColour):
        """Says that it skipped the steps from the fourth on."""

        def train_step(self, data):
            logs = super().train_step(data)
            skipped = tf.maximum(0, self.step - 3) - tf.maximum(0, (self.step - 1) // 5 * 5 - 3)
            return {**logs, "skipped": skipped}

    def make(settings, data):
        model = mean_colour(settings, data)
        model.__class__ = Skipping
        return model

    monkeypatch.setattr(loop, "SKIPPED_AT_MOST", 6)
    with pytest.raises(FloatingPointError, match="6 batches in a row were skipped, up to step 9"):
        train(tiny, tmp_path, make_model=make)
    assert (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()[1].endswith(",2")
