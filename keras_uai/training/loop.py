"""Trains within a budget of steps, epochs or minutes, and survives interruptions."""

import contextlib
import math
import signal
import sys
import threading
import time

import keras
import numpy as np
from tqdm import tqdm

from keras_uai import backend
from keras_uai.training import distribution, factory, run_folder


class Budget(keras.callbacks.Callback):
    """Counts steps, images and seconds, and ends the training at its limits or after a signal.

    Seconds run from the start of an epoch to its last step. Evaluation and checkpoints do not count,
    waiting for data does. The first step of a process, which compiles, takes no time, so that an
    interruption costs none. SIGINT (Ctrl-C) or SIGTERM end the training after the current step, a
    second signal ends the process. Several workers agree on both every few steps.

    Args:
        settings: dict of `configuration.resolve`.
        total_steps: integer or None; see `factory.total_steps`.
        state: dict of an earlier `state()`, to resume from.
        group: the run's `distribution` group; its chief has the clock that counts.
    """

    def __init__(self, settings, total_steps, state=None, group=None):
        super().__init__()
        state = state or {"steps": 0, "images": 0, "seconds": 0.0}
        self.steps = state["steps"]
        self.images = state["images"]
        self.seconds = state["seconds"]
        self.batch_size = settings["batch_size"]
        self.total_steps = total_steps
        self.total_seconds = 60.0 * settings["minutes"] if settings["minutes"] else None
        self.group = group or distribution.SingleProcess()
        self.signal = None
        self._received = None
        self._last = None
        self._compiled = False

    def state(self):
        """Returns a dict of JSON values to resume from."""
        return {"steps": self.steps, "images": self.images, "seconds": round(self.seconds, 3)}

    def progress(self):
        """Returns the share of the training that is done, in [0, 1]."""
        shares = [0.0]
        if self.total_steps:
            shares.append(self.steps / self.total_steps)
        if self.total_seconds:
            shares.append(self.seconds / self.total_seconds)
        return min(1.0, max(shares))

    def agree(self):
        """Takes over the chief's seconds and any worker's signal; all workers call it together.

        Returns:
            Whether the budget is used up or a signal has arrived.
        """
        rows = self.group.exchange(self.seconds, self._received or 0)
        self.seconds = float(rows[0, 0])
        self.signal = int(rows[:, 1].max()) or None
        return self.signal is not None or self.progress() >= 1.0

    def on_epoch_begin(self, epoch, logs=None):
        self._last = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        seconds = self.seconds + (now - self._last if self._compiled else 0.0)
        self._last, self._compiled = now, True
        self.steps += 1
        self.images += self.batch_size
        self.seconds = seconds
        if self.steps % self.group.agreement_steps == 0:
            over = self.agree()
        else:  # until then, the number of steps is all that the workers know of each other
            over = self.total_steps is not None and self.steps >= self.total_steps
        if over:
            self.model.stop_training = True

    @contextlib.contextmanager
    def listening(self):
        """Listens for signals while inside. They reach the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

        def restore():
            for number, handler in before.items():
                signal.signal(number, handler)

        def handle(number, frame):
            self._received = number
            name = signal.Signals(number).name
            print(f"\n{name}: saving after this step. (Again: end without saving.)", flush=True)
            restore()

        for number in before:
            signal.signal(number, handle)
        try:
            yield
        finally:
            restore()


class FollowBudget(keras.callbacks.Callback):
    """Sets the learning rates of both optimizers before every step (on JAX, every tenth).

    For trainings that end by the clock. The others have a Keras schedule in their optimizers, see
    `factory.learning_rate`.

    Args:
        settings: dict of `configuration.resolve`.
        budget: the run's `Budget`.
    """

    def __init__(self, settings, budget):
        super().__init__()
        self.settings = settings
        self.budget = budget

    def on_train_batch_begin(self, batch, logs=None):
        settings, budget = self.settings, self.budget
        if keras.backend.backend() == "jax":  # fetching its state takes time
            if budget.steps % 10:
                return
            self.model.jax_state_sync()
        now = rate_factor(
            settings["schedule"], budget.steps, settings["warmup_steps"], budget.progress()
        )
        self.model.optimizer.learning_rate = settings["learning_rate"] * now
        rate = settings["discriminator_learning_rate"] * now
        self.model.discriminator_optimizer.learning_rate = rate


def rate_factor(schedule, step, warmup_steps, progress):
    """Returns the factor of the learning rate.

    Args:
        schedule: `"constant"`, or `"cosine"`: half a wave from 1 to 0 (Loshchilov and Hutter 2017).
        step: integer; updates done.
        warmup_steps: integer; updates over which the rate rises linearly from 0.
        progress: float in [0, 1]; share of the training that is done.
    """
    value = 1.0
    if schedule == "cosine":
        value = 0.5 * (1.0 + math.cos(math.pi * min(1.0, max(0.0, progress))))
    return value * min(1.0, (step + 1) / warmup_steps) if warmup_steps else value


class Progress(keras.callbacks.Callback):
    """A progress bar on a terminal, and one line per epoch.

    Args:
        budget: the run's `Budget`.
        per_epoch: integer; steps of an epoch.
        epochs: integer or None; the number of epochs where it is known.
    """

    def __init__(self, budget, per_epoch, epochs):
        super().__init__()
        self.budget = budget
        self.per_epoch = per_epoch
        self.epochs = epochs
        self.bar = None

    def on_epoch_begin(self, epoch, logs=None):
        self.bar = tqdm(total=self.per_epoch, leave=False, disable=not sys.stdout.isatty())
        self.bar.update(self.budget.steps % self.per_epoch)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        budget = self.budget
        title = f"Epoch {epoch + 1}" + (f"/{self.epochs}" if self.epochs else "")
        title += f", step {budget.steps}, {budget.seconds / 60.0:.1f}"
        title += f" of {budget.total_seconds / 60.0:.1f}" if budget.total_seconds else ""
        numbers = ", ".join(f"{name} {float(value):.4g}" for name, value in (logs or {}).items())
        print(f"{title} minutes: {numbers}", flush=True)


class EpochEnd(keras.callbacks.Callback):
    """Adds a row to the log, and saves a checkpoint from time to time.

    Args:
        folder: path of the run.
        log: a `run_folder.Log`; None in workers that do not write.
        budget: the run's `Budget`, an earlier callback.
        per_epoch: integer; steps of an epoch.
        every_minutes: float; age of the last checkpoint from which a new one is saved.
    """

    def __init__(self, folder, log, budget, per_epoch, every_minutes):
        super().__init__()
        self.folder = folder
        self.log = log
        self.budget = budget
        self.per_epoch = per_epoch
        self.every = 60.0 * every_minutes
        self._saved = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        bad = [n for n, v in logs.items() if not n.startswith("val_") and not np.isfinite(v)]
        if bad:
            raise FloatingPointError(
                f"The training has diverged: {', '.join(bad)} not finite by step "
                f"{self.budget.steps}. Try a smaller --learning_rate. The last checkpoint in "
                f"{self.folder} is an earlier one."
            )
        if self.budget.signal and self.budget.steps % self.per_epoch:
            return  # the resumed run completes the epoch
        if self.log is None:
            return
        state = self.budget.state()
        row = {"epoch": epoch + 1, "step": state["steps"], "images": state["images"]}
        self.log.add({**row, "minutes": state["seconds"] / 60.0, **logs})
        if time.monotonic() - self._saved >= self.every:
            with self.budget.group.chief_only():
                run_folder.save_checkpoint(self.folder, self.model, state)
            self._saved = time.monotonic()


def train(settings, data, folder, model, monitors=(), checkpoint_minutes=5.0, group=None):
    """Trains a model to the end of its budget, from the folder's last checkpoint on.

    Args:
        settings: dict of `configuration.resolve`.
        data: the run's `data.Data`.
        folder: path of the run. The chief writes log and checkpoints; None in a new run's others.
        model: of `factory.make_model`.
        monitors: callbacks that add scores to the logs at the end of an epoch.
        checkpoint_minutes: float; a checkpoint is saved at the end of an epoch where the last one is
            older. Default: 5.
        group: the `distribution` group of the model. Default: one process.

    Returns:
        `(state, signal)`: the budget's state, and the number of the signal that interrupted; None
        where the training is complete. A checkpoint has been saved in both cases.
    """
    state, group = None, group or distribution.SingleProcess()
    checkpoint = folder and run_folder.last_checkpoint(folder)
    if checkpoint:
        state = run_folder.load_checkpoint(checkpoint, model)
    per_epoch = data.steps_per_epoch
    total = factory.total_steps(settings, per_epoch)
    budget = Budget(settings, total, state, group)
    epochs = math.ceil(total / per_epoch) if total else None
    callbacks = [*monitors, budget]
    if not factory.has_schedule(settings):
        callbacks.insert(0, FollowBudget(settings, budget))
    log = None
    if group.is_chief:
        log = run_folder.Log(folder, budget.steps)
        callbacks += [Progress(budget, per_epoch, epochs), *_tensorboard(folder)]
    callbacks.append(EpochEnd(folder, log, budget, per_epoch, checkpoint_minutes))
    with budget.listening(), group.watching():
        group.check_same([budget.steps])  # the workers may have read different checkpoints
        while not budget.agree():
            epoch, done = divmod(budget.steps, per_epoch)
            group.fit(
                model,
                data.stream(budget.steps),
                steps_per_epoch=per_epoch - done,  # an interrupted epoch is completed first
                initial_epoch=epoch,
                epochs=epoch + 1 if done else (epochs or sys.maxsize),
                callbacks=callbacks,
            )
        if group.is_chief:
            with group.chief_only():
                run_folder.save_checkpoint(folder, model, budget.state())
        return budget.state(), budget.signal


def _tensorboard(folder):
    """Keras's callback. It writes through TensorFlow; with JAX alone there is `log.csv`."""
    if not backend.has_tensorflow():
        return []
    return [keras.callbacks.TensorBoard(f"{folder}/tensorboard", write_graph=False)]
