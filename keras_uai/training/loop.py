"""Trains within a budget of steps, epochs or minutes, and survives interruptions."""

import contextlib
import math
import os
import signal
import sys
import time

import keras
import numpy as np

from keras_uai import backend, files, progress
from keras_uai.presets import loading
from keras_uai.training import distribution, factory, run_folder

#: Batches in a row that are skipped as not finite before the training ends.
SKIPPED_AT_MOST = 100


class Budget(keras.callbacks.Callback):
    """Counts steps and seconds, and ends the training at its limits or after a signal.

    Seconds run from the start of an epoch to its last step. Evaluation and checkpoints do not count,
    waiting for data does. The first step of a process, which compiles, takes no time, so that an
    interruption costs none. SIGINT (Ctrl-C) or SIGTERM end the training after the current step, a
    second signal ends the process. Several workers agree on both every few steps.

    Where the clock ends the training, it also sets both learning rates before every step (on JAX,
    every tenth). The others have a Keras schedule in their optimizers, see `factory.learning_rate`.
    `state` is that of an earlier `state()`, to resume from.
    """

    def __init__(self, settings, total_steps, group, state=None):
        super().__init__()
        self.settings = settings
        self.total_steps = total_steps
        self.total_seconds = 60.0 * settings["minutes"] if settings["minutes"] else None
        self.group = group
        self.steps = state["steps"] if state else 0
        self.seconds = state["seconds"] if state else 0.0
        self.means = state.get("means") if state else None
        self.signal = None
        self._received = 0
        self._last = None
        self._compiled = False

    def state(self):
        """Returns a dict of JSON values to resume from; all workers call it together."""
        images = self.steps * self.settings["batch_size"]
        means = [float(keras.ops.convert_to_numpy(v)) for v in self.model.metrics_variables]
        seconds = round(self.seconds, 3)
        return {"steps": self.steps, "images": images, "seconds": seconds, "means": means}

    def progress(self):
        """Returns the share of the training that is done, in [0, 1]."""
        by_steps = self.steps / self.total_steps if self.total_steps else 0.0
        by_clock = self.seconds / self.total_seconds if self.total_seconds else 0.0
        return min(1.0, max(by_steps, by_clock))

    def agree(self):
        """Takes over the chief's seconds and any worker's signal; all workers call it together.

        Returns whether the budget is used up or a signal has arrived.
        """
        rows = self.group.exchange(self.seconds, self._received)
        self.seconds = float(rows[0, 0])
        self.signal = int(rows[:, 1].max()) or None
        return self.signal is not None or self.progress() >= 1.0

    def on_epoch_begin(self, epoch, logs=None):
        self._last = time.monotonic()

    def on_train_batch_begin(self, batch, logs=None):
        settings = self.settings
        if factory.has_schedule(settings):
            return
        if keras.backend.backend() == "jax":  # fetching its state takes time
            if self.steps % 10:
                return
            self.model.jax_state_sync()
        warmup, progress = settings["warmup_steps"], self.progress()
        now = rate_factor(settings["schedule"], self.steps, warmup, progress)
        self.model.optimizer.learning_rate = settings["learning_rate"] * now
        rate = settings["discriminator_learning_rate"] * now
        self.model.discriminator_optimizer.learning_rate = rate

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        self.seconds += now - self._last if self._compiled else 0.0
        self._last, self._compiled = now, True
        self.steps += 1
        if self.group.workers == 1 or self.steps % distribution.AGREEMENT_STEPS == 0:
            over = self.agree()
        else:  # until then, the number of steps is all that the workers know of each other
            over = self.total_steps is not None and self.steps >= self.total_steps
        if over:
            self.model.stop_training = True

    @contextlib.contextmanager
    def listening(self):
        """Listens for signals while inside."""

        def handle(number, frame):
            self._received = number
            name = signal.Signals(number).name
            print(f"\n{name}: saving after this step. (Again: end without saving.)", flush=True)
            before.close()

        with contextlib.ExitStack() as before:  # puts the handlers back
            for number in (signal.SIGINT, signal.SIGTERM):
                before.callback(signal.signal, number, signal.signal(number, handle))
            yield


def rate_factor(schedule, step, warmup_steps, progress):
    """Returns the factor of the learning rate at a step.

    It rises linearly over the first `warmup_steps`. The schedule is `"constant"`, or `"cosine"`: half
    a wave from 1 to 0 (Loshchilov and Hutter 2017) as `progress` goes from 0 to 1.
    """
    value = 0.5 * (1.0 + math.cos(math.pi * progress)) if schedule == "cosine" else 1.0
    return value * min(1.0, (step + 1) / warmup_steps) if warmup_steps else value


class EpochEnd(keras.callbacks.Callback):
    """Prints a line, adds a row to the log, and saves a checkpoint from time to time.

    A step that is not finite ends the training with a FloatingPointError, before anything is saved.
    `log` is a `run_folder.Log`, or None in workers that do not write.
    """

    def __init__(self, folder, log, budget, data, checkpoint_minutes):
        super().__init__()
        self.folder = folder
        self.log = log
        self.budget = budget
        self.data = data
        self.per_epoch = data.steps_per_epoch
        self.seconds = 60.0 * checkpoint_minutes
        self._saved = time.monotonic()
        self._bar = self._text = None
        self._open = contextlib.ExitStack()
        self._in_a_row = 0

    def open_bar(self, text=None):
        """Shows the steps of an epoch, after `text` until the first one is done."""
        self.close_bar()
        self._text, done = text, self.budget.steps % self.per_epoch
        show = self.log is not None and (text or True)
        shown = progress.bar(show, self.per_epoch, "step", initial=done)
        self._bar = self._open.enter_context(shown)

    def close_bar(self):
        """Takes the bar away."""
        self._open.close()
        self._bar = None

    def on_epoch_begin(self, epoch, logs=None):
        self._skipped = 0  # of this epoch
        if self._bar is None:
            self.open_bar()
        if (
            self.budget.means and self.budget.steps % self.per_epoch
        ):  # the running means of the interrupted epoch go on
            for variable, value in zip(
                self.model.metrics_variables, self.budget.means, strict=True
            ):
                variable.assign(value)

    def on_train_batch_end(self, batch, logs=None):
        if self._text:
            self.open_bar()
        else:
            self._bar.update()
        step, before, self._skipped = self.budget.steps, self._skipped, logs.get("skipped", 0)
        self._in_a_row = self._in_a_row + 1 if self._skipped > before else 0
        if self._in_a_row == SKIPPED_AT_MOST:
            raise FloatingPointError(
                f"The training has diverged: {SKIPPED_AT_MOST} batches in a row were skipped, up "
                f"to step {step}. Try a smaller --learning_rate."
            )
        if not np.isfinite(logs["loss"]):
            bad = [name for name, v in logs.items() if name != "loss" and not np.isfinite(v)]
            raise FloatingPointError(
                f"The training has diverged: {', '.join(bad) or 'gradients'} not finite in step "
                f"{step}. The last checkpoint is an earlier one. Try a smaller --learning_rate, or "
                "resume with --skip_nonfinite to skip such batches. The images of the step, with "
                f"their largest values in network units: {self.data.images_of_step(step - 1)}"
            )

    def on_epoch_end(self, epoch, logs=None):
        self.close_bar()
        budget, state = self.budget, self.budget.state()
        logs = {name: float(value) for name, value in (logs or {}).items()}
        if self.log is None:
            return
        minutes = state["seconds"] / 60.0
        of = f" of {budget.total_seconds / 60.0:.1f}" if budget.total_seconds else ""
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in logs.items())
        print(
            f"Epoch {epoch + 1}, step {budget.steps}, {minutes:.1f}{of} minutes: {numbers}",
            flush=True,
        )
        if budget.signal and budget.steps % self.per_epoch:
            return  # the resumed run completes the epoch
        row = {"epoch": epoch + 1, "step": state["steps"], "images": state["images"]}
        self.log.add({**row, "minutes": minutes, **logs})
        if time.monotonic() - self._saved >= self.seconds:
            with budget.group.chief_only():
                run_folder.save_checkpoint(self.folder, self.model, state)
            self._saved = time.monotonic()


def train(settings, data, folder, model, monitors=(), checkpoint_minutes=5.0, group=None):
    """Trains a model to the end of its budget, from the folder's last checkpoint on.

    The chief of the group (default: one process) writes log and checkpoints into the folder; of
    the other workers of a new run it is None. `monitors` are callbacks that add scores to the logs at
    the end of an epoch. There, a checkpoint is saved where the last one is older than
    `checkpoint_minutes`.

    Returns the budget's state, and the number of the signal that interrupted; None where the
    training is complete. A checkpoint has been saved in both cases.
    """
    state, group = None, group or distribution.SingleProcess()
    if checkpoint := folder and run_folder.last_checkpoint(folder):
        path = os.path.join(checkpoint, run_folder.MODEL)
        with loading.opened(path):
            model.load_weights(path)
        state = files.read_json(os.path.join(checkpoint, run_folder.STATE), "steps", "seconds")
    per_epoch = data.steps_per_epoch
    total = factory.total_steps(settings, per_epoch)
    budget = Budget(settings, total, group, state)
    budget.set_model(model)
    log = run_folder.Log(folder, budget.steps) if group.is_chief else None
    epoch_end = EpochEnd(folder, log, budget, data, checkpoint_minutes)
    callbacks = [*monitors, budget, epoch_end]
    board = os.path.join(folder, "tensorboard") if group.is_chief else None
    if board and backend.has_tensorflow():  # it writes; with JAX alone there is `log.csv`
        callbacks.insert(-1, keras.callbacks.TensorBoard(board, write_graph=False))
    with contextlib.ExitStack() as stack:
        stack.enter_context(budget.listening())
        stack.enter_context(group.watching())
        stack.enter_context(_disk_errors(board))
        stack.callback(epoch_end.close_bar)
        group.check_same([budget.steps])  # the workers may have read different checkpoints
        while not budget.agree():
            epoch, done = divmod(budget.steps, per_epoch)
            epoch_end.open_bar("Compiling the training step")
            model.fit(
                data.stream(budget.steps),
                shuffle=False,
                verbose=0,
                steps_per_epoch=per_epoch - done,  # an interrupted epoch is completed first
                initial_epoch=epoch,
                epochs=epoch + 1 if done else sys.maxsize,
                callbacks=callbacks,
            )
        state = budget.state()
        if group.is_chief:
            with group.chief_only():
                run_folder.save_checkpoint(folder, model, state)
        return state, budget.signal


@contextlib.contextmanager
def _disk_errors(path):
    """Raises TensorFlow's own errors, where it cannot write the log of TensorBoard, as OSErrors."""
    try:
        yield
    except Exception as error:
        if not path or path not in str(error):
            raise
        raise OSError(path + str(error).partition(path)[2].splitlines()[0]) from error
