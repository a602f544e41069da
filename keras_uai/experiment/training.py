"""Training within a budget of steps, epochs or minutes, that an interruption does not hurt."""

import contextlib
import math
import signal
import sys
import threading
import time

import keras
import numpy as np

from keras_uai import backend
from keras_uai.experiment import building, distribution, run_folder
from keras_uai.experiment.learning_rate import FollowBudget


class Clock(keras.callbacks.Callback):
    """Counts steps, images and seconds of training, and ends it when the budget is used up.

    Seconds run from the start of an epoch to its last step: evaluation and checkpoints do not
    count, waiting for data does. A process's first step, which compiles, takes no time, so that an
    interruption costs none.

    Args:
        settings: the run's.
        total_steps: see `building.total_steps`.
        state: dict of an earlier `state()`, where the training goes on.
        group: the `distribution` of the run, whose chief has the clock that counts.
    """

    def __init__(self, settings, total_steps, state=None, group=None):
        super().__init__()
        state = state or {"steps": 0, "images": 0, "seconds": 0.0}
        self.steps, self.images = state["steps"], state["images"]
        self.seconds = state["seconds"]
        self.batch_size, self.total_steps = settings["batch_size"], total_steps
        self.total_seconds = 60.0 * settings["minutes"] if settings["minutes"] else None
        self.group = group or distribution.Alone()
        self._last, self._compiled = None, False

    def state(self):
        return {"steps": self.steps, "images": self.images, "seconds": round(self.seconds, 3)}

    def progress(self):
        """Share of the training done, in [0, 1]."""
        shares = [0.0]
        if self.total_steps:
            shares.append(self.steps / self.total_steps)
        if self.total_seconds:
            shares.append(self.seconds / self.total_seconds)
        return min(1.0, max(shares))

    def on_epoch_begin(self, epoch, logs=None):
        self._last = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if self._compiled:
            self.seconds += now - self._last
        self._last, self._compiled = now, True
        if self.total_seconds:
            self.seconds = self.group.of_chief(self.seconds)
        self.steps, self.images = self.steps + 1, self.images + self.batch_size
        if self.progress() >= 1.0:
            self.model.stop_training = True


class Interruption(keras.callbacks.Callback):
    """Ends the training after the present step on SIGINT (Ctrl-C) or SIGTERM; a second signal ends
    the process at once. Of several workers, a signal to one ends all after the same step.

    `received` is the signal that this process got, `signal` the one that all go by.
    """

    def __init__(self, group=None):
        super().__init__()
        self.group = group or distribution.Alone()
        self.received = self.signal = None

    def agree(self):
        """Sets `signal`; all workers call it alike."""
        self.signal = self.group.largest(self.received)
        return self.signal

    @contextlib.contextmanager
    def watching(self):
        """Listens while inside. Signals reach the main thread only; elsewhere nothing happens."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

        def handle(number, frame):
            self.received = number
            name = signal.Signals(number).name
            print(f"\n{name}: saving after this step. (Once more ends it without.)", flush=True)
            restore()

        def restore():
            for number, handler in before.items():
                signal.signal(number, handler)

        for number in before:
            signal.signal(number, handle)
        try:
            yield
        finally:
            restore()

    def on_train_batch_end(self, batch, logs=None):
        if self.agree():
            self.model.stop_training = True


class Progress(keras.callbacks.ProgbarLogger):
    """Keras's progress bar, with the time used where the clock ends the training."""

    def __init__(self, clock, epochs):
        super().__init__()
        self.clock, self.of_epochs = clock, epochs

    def on_epoch_begin(self, epoch, logs=None):
        self._reset_progbar()
        self._maybe_init_progbar()
        title = f"Epoch {epoch + 1}" + (f"/{self.of_epochs}" if self.of_epochs else "")
        if self.clock.total_seconds:
            used, total = self.clock.seconds / 60.0, self.clock.total_seconds / 60.0
            title += f", {used:.1f} of {total:.1f} minutes"
        print(title, flush=True)

    def on_epoch_end(self, epoch, logs=None):
        self.target = self.progbar.target = self.seen  # it may have ended before the epoch did
        super().on_epoch_end(epoch, logs)


class EpochEnd(keras.callbacks.Callback):
    """The log's row, and a checkpoint from time to time.

    Args:
        folder: the run's.
        log: its `run_folder.Log`; None where another worker writes.
        clock, interruption: the callbacks, which come before this one.
        per_epoch: steps of an epoch.
        every_minutes: a checkpoint is saved where the last one is older.
    """

    def __init__(self, folder, log, clock, interruption, per_epoch, every_minutes):
        super().__init__()
        self.folder, self.log, self.clock, self.per_epoch = folder, log, clock, per_epoch
        self.interruption, self.every = interruption, 60.0 * every_minutes
        self._saved = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        trackers = self.model.trackers
        bad = [name for name, value in logs.items() if name in trackers and not np.isfinite(value)]
        if bad:
            raise FloatingPointError(
                f"The training has diverged: {', '.join(bad)} not finite by step "
                f"{self.clock.steps}. Try a smaller --learning_rate. The last checkpoint in "
                f"{self.folder} is of before."
            )
        if self.interruption.signal and self.clock.steps % self.per_epoch:
            return  # the epoch goes on when the run does
        if self.log is None:
            return
        clock = self.clock.state()
        row = {"epoch": epoch + 1, "step": clock["steps"], "images": clock["images"]}
        self.log.add({**row, "minutes": clock["seconds"] / 60.0, **logs})
        if time.monotonic() - self._saved >= self.every:
            with self.clock.group.solo():
                run_folder.save_checkpoint(self.folder, self.model, clock)
            self._saved = time.monotonic()


def train(settings, data, folder, model, monitors=(), checkpoint_minutes=5.0, group=None):
    """Trains `model` to the end of the budget, from the folder's last checkpoint on.

    Args:
        settings: dict of `settings.resolve`.
        data: the run's `data.Data`.
        folder: the run's; it gets log, TensorBoard logs and checkpoints, all from the chief of the group. Of a new
            run's other workers it may be None.
        model: of `building.make_model`.
        monitors: callbacks that put scores into the logs at the end of an epoch.
        checkpoint_minutes: a checkpoint is saved at the end of an epoch where the last is older.
        group: the `distribution` that the model was made under.

    Returns:
        `(state, signal)`: the clock's state, and the number of the signal that interrupted, or
        None where the training is at its end. A checkpoint has been saved in both cases.
    """
    state, group = None, group or distribution.Alone()
    checkpoint = folder and run_folder.last_checkpoint(folder)
    if checkpoint:
        state = run_folder.load_checkpoint(checkpoint, model)
    per_epoch = data.steps_per_epoch
    total = building.total_steps(settings, per_epoch)
    clock, interruption = Clock(settings, total, state, group), Interruption(group)
    log = run_folder.Log(folder, clock.steps) if group.is_chief else None
    epochs = math.ceil(total / per_epoch) if total else None
    callbacks = [clock, *monitors, interruption]
    if not building.by_schedule(settings):
        callbacks.insert(0, FollowBudget(settings, clock))
    end = EpochEnd(folder, log, clock, interruption, per_epoch, checkpoint_minutes)
    if group.is_chief:
        callbacks += [Progress(clock, epochs), *_tensorboard(folder)]
    callbacks.append(end)
    with interruption.watching(), group.watching():
        group.check_same([clock.steps])  # of the checkpoint that each has read
        while clock.progress() < 1.0 and not interruption.signal:
            epoch, done = divmod(clock.steps, per_epoch)
            model.fit(
                data.stream(clock.steps),
                steps_per_epoch=per_epoch - done,  # the rest of an interrupted epoch comes first
                initial_epoch=epoch,
                epochs=epoch + 1 if done else (epochs or sys.maxsize),
                shuffle=False,
                callbacks=callbacks,
                verbose=(1 if sys.stdout.isatty() else 2) if group.is_chief else 0,
            )
        if group.is_chief:
            with group.solo():
                run_folder.save_checkpoint(folder, model, clock.state())
        return clock.state(), interruption.agree()


def _tensorboard(folder):
    """Keras's callback, which writes through TensorFlow: on JAX alone there is `log.csv`."""
    if not backend.has_tensorflow():
        return []
    return [keras.callbacks.TensorBoard(f"{folder}/tensorboard", write_graph=False)]
