"""One run: flags in, a run folder with a trained model, its scores and its pictures out."""

import contextlib
import datetime
import json
import math
import os
import signal
import sys

import keras

from keras_uai import files
from keras_uai.training import (
    configuration,
    distribution,
    environment,
    evaluation,
    factory,
    loop,
    run_folder,
)
from keras_uai.training.data import Data
from keras_uai.training.settings import PLACES


class UsageError(Exception):
    """An error that the user can correct; the message says how."""


def main(given, command=None):
    """Runs the flags, and prints the results.

    Args:
        given: dict of the flags that were given; see `configuration.resolve`.
        command: string; the command line, for the records.

    Returns:
        The exit code: 0; 1 where the training diverged or another worker was lost; 2 after a usage
        error; 128 + n after signal n.
    """
    try:
        return run(given, command)
    except (UsageError, FloatingPointError, distribution.LostWorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def run(given, command=None):
    """Does the work of `main`, and raises its errors."""
    given = {name: value for name, value in given.items() if value is not None}
    places = {name: given.get(name, setting.default) for name, setting in PLACES.items()}
    folder = places["resume"]
    with _usage_errors():
        settings = _saved_settings(folder, given) if folder else configuration.resolve(given)
    if places["dry_run"]:
        return _dry_run(settings, places)
    if folder and os.path.exists(os.path.join(folder, run_folder.SCORES)):
        print(f"{folder} is finished: there is nothing to resume.")
        return 0
    precision, group = keras.config.dtype_policy(), distribution.SingleProcess()
    lock = contextlib.ExitStack()
    try:
        with _usage_errors():
            group = distribution.make(places["distribution"])
            if folder and group.is_chief:
                lock.enter_context(run_folder.locked(folder))
            group.check_batch(settings)
            with group.watching():
                group.check_same(settings)
            data = Data(settings, places["data_dir"], places["download"])
            with group.watching(), group.scope():
                model = factory.make_model(settings, data)
        if not group.is_chief:
            return _assist(settings, places, folder, data, model, group)
        with _usage_errors():
            evaluation.check_extractor(settings)
        if not folder:
            folder = _start(settings, places, command)
            lock.enter_context(run_folder.locked(folder))
        return _train_and_score(settings, places, folder, data, model, command, group)
    finally:
        group.close()
        lock.close()
        keras.config.set_dtype_policy(precision)


# -- before ----------------------------------------------------------------------------------------


def _saved_settings(folder, given):
    """Returns the settings of the run to resume; refuses and lists given settings that differ."""
    path = os.path.join(folder, run_folder.SETTINGS)
    if not os.path.exists(path):
        raise UsageError(f"There is no run to resume: no file {path}. Received: --resume={folder}")
    saved = configuration.resolve(files.read_json(path)["settings"])
    changed = configuration.differences(saved, given)
    if changed:
        lines = [f"  --{flag}: saved {old!r}, given {new!r}" for flag, old, new in changed]
        raise UsageError(
            "A run is resumed with the settings it was started with. These differ:\n"
            + "\n".join(lines)
            + f"\nLeave them out to resume {folder}, or leave out --resume to start a new run."
        )
    return saved


def _dry_run(settings, places):
    print(json.dumps(settings, indent=2))
    if not places["resume"]:
        number = run_folder.next_number(places["runs"])
        name = f"{number:04d}-{run_folder.run_name(settings)}"
        print(f"The run would be {os.path.join(places['runs'], name)}. Nothing was written.")
    return 0


def _start(settings, places, command):
    """Makes the run folder; prints and saves the settings."""
    folder = run_folder.create(places["runs"], run_folder.run_name(settings))
    print(json.dumps(settings, indent=2))
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    record = {"settings": settings, "command": command, "started": started}
    path = os.path.join(folder, run_folder.SETTINGS)
    files.write_json(path, {**record, **environment.describe()}, indent=2)
    return folder


@contextlib.contextmanager
def _usage_errors():
    """Turns errors about wrong values or missing files into `UsageError`."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        raise UsageError(str(error)) from error


# -- the run ---------------------------------------------------------------------------------------


def _assist(settings, places, folder, data, model, group):
    """The part of a worker that is not the chief: it trains, and waits for the chief."""
    state, interrupted = loop.train(
        settings, data, folder, model, (), places["checkpoint_minutes"], group
    )
    if interrupted:
        print(f"Stopped after {state['steps']} steps; worker 0 saves everything.")
        return 128 + interrupted
    with group.watching():
        group.exchange(0)
    return 0


def _train_and_score(settings, places, folder, data, model, command, group):
    print(f"Run folder: {folder}")
    monitor = evaluation.Monitor(settings, data, model, folder, group)
    state, interrupted = loop.train(
        settings, data, folder, model, [monitor], places["checkpoint_minutes"], group
    )
    resume = f"Resume with:\n  python experiments/run.py --resume={folder}"
    if interrupted:
        print(f"Stopped after {state['steps']} steps; everything is saved. {resume}")
        return 128 + interrupted
    try:
        with group.chief_only():
            _finish(settings, places, folder, data, model, monitor, state, command)
    except KeyboardInterrupt:
        print(f"\nStopped before all was scored; the trained model is saved. {resume}")
        return 128 + signal.SIGINT
    with group.watching():
        group.exchange(0)  # releases the other workers
    return 0


def _finish(settings, places, folder, data, model, monitor, state, command):
    """Saves model, pictures and scores at the end of the training."""
    calibration = _calibrate(settings, data, model)
    path = os.path.join(folder, run_folder.MODEL)
    with files.atomic_path(path) as draft:
        model.save(draft)
    picture = monitor.draw("final")
    result = evaluation.score(settings, folder, places["data_dir"])
    record = {
        "scores": evaluation.values(result),
        "steps": state["steps"],
        "images_seen": state["images"],
        "minutes": state["seconds"] / 60.0,
        "parameters": sum(math.prod(w.shape) for w in model.generator.trainable_weights),
        "seed": settings["seed"],
        **({"spread_calibration": calibration} if calibration else {}),
        "command": command,
        **environment.describe(),
    }
    files.write_json(os.path.join(folder, run_folder.SCORES), record, indent=2)
    run_folder.remove_checkpoints(folder)  # model.keras holds the same
    print(f"\n{evaluation.table(result)}\n")
    print(f"{state['images']:,} images seen in {state['seconds'] / 60.0:.1f} minutes of training")
    print(f"model: {path}")
    if picture:
        print(f"picture: {picture}")


def _calibrate(settings, data, model):
    """Fits the sampler's inflation on training images; returns the fit, or None."""
    sampler = getattr(model, "sampler", None)
    if not settings["calibrate_spread"] or not hasattr(sampler, "inflation"):
        return None
    try:
        fitted = model.calibrate_spread(data.train)
    except ValueError as error:  # no reason to lose a training
        print(f"The spread inflation stays {sampler.inflation}: {error}")
        return None
    print(
        f"spread inflation {model.sampler.inflation:.2f}: spread-skill "
        f"{fitted['spread_skill']:.2f} on {fitted['hidden_pixels']:,} hidden pixels of "
        f"{fitted['images']} training images"
    )
    return fitted
