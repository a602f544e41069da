"""One run: flags in, a run folder with a trained model, its scores and its pictures out."""

import contextlib
import datetime
import json
import math
import os
import signal
import sys

import keras

from keras_uai.experiment import (
    building,
    distribution,
    evaluation,
    hardware,
    processes,
    run_folder,
    training,
)
from keras_uai.experiment import settings as settings_module
from keras_uai.experiment.data import Data


class UsageError(Exception):
    """Something that whoever started the run can put right; the message says how."""


def main(given, command=None):
    """Runs what the flags say, and prints what a user should know.

    Args:
        given: dict of the flags that were given, by name; see `settings.resolve`.
        command: the command line, for the records.

    Returns:
        the process's exit code: 0, 1 where the training diverged or another worker was lost, 2 after a usage error,
        128 + n after signal n.
    """
    try:
        return run(given, command)
    except (UsageError, FloatingPointError, distribution.LostWorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def run(given, command=None):
    """`main`, with errors raised."""
    given = {name: value for name, value in given.items() if value is not None}
    places = {name: given.get(name, value) for name, value in settings_module.NOT_SETTINGS.items()}
    folder = places["resume"]
    settings = _saved_settings(folder, given) if folder else _resolve(given)
    if places["dry_run"]:
        return _dry_run(settings, places)
    if folder and os.path.exists(os.path.join(folder, run_folder.SCORES)):
        print(f"{folder} is finished: there is nothing to resume.")
        return 0
    precision, group = keras.config.dtype_policy(), distribution.Alone()
    lock = contextlib.ExitStack()  # no two commands train in one folder
    try:
        with _usage_errors():
            group = distribution.make(places["distribution"])
            if folder and group.is_chief:
                lock.enter_context(processes.locked(folder))
            group.check_batch(settings)
            with group.watching():
                group.check_same(settings)
            data = Data(settings, places["data_dir"], places["download"])
            with group.watching(), group.scope():
                model = building.make_model(settings, data)
        if not group.is_chief:
            return _help(settings, places, folder, data, model, group)
        with _usage_errors():
            evaluator = evaluation.Evaluator(settings, data, model)
        if not folder:
            folder = _start(settings, places, command)
            lock.enter_context(processes.locked(folder))
        return _train_and_score(settings, places, folder, evaluator, command, group)
    finally:
        group.close()
        lock.close()
        keras.config.set_dtype_policy(precision)


# -- before ---------------------------------------------------------------------------------------


def _resolve(given):
    with _usage_errors():
        return settings_module.resolve(given)


def _saved_settings(folder, given):
    """The settings of the run to resume; an error that lists what was given and differs."""
    path = os.path.join(folder, run_folder.SETTINGS)
    if not os.path.exists(path):
        raise UsageError(f"There is no run to resume: no file {path}. Received: --resume={folder}")
    with _usage_errors():
        # Resolved again: a newer version may have settings that the run's did not have.
        saved = settings_module.resolve(run_folder.read_json(path)["settings"])
        changed = settings_module.differences(saved, given)
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
    """Makes the run's folder, and prints and saves the settings."""
    folder = run_folder.create(places["runs"], run_folder.run_name(settings))
    print(json.dumps(settings, indent=2))
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    record = {"settings": settings, "command": command, "started": started}
    run_folder.write_json(os.path.join(folder, run_folder.SETTINGS), {**record, **_made_with()})
    return folder


@contextlib.contextmanager
def _usage_errors():
    """Turns the errors that name a wrong value or a missing file into `UsageError`."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        raise UsageError(str(error)) from error


# -- the run --------------------------------------------------------------------------------------


def _help(settings, places, folder, data, model, group):
    """What a worker does that is not the chief: it trains with it, and waits until the chief is done."""
    state, interrupted = training.train(
        settings, data, folder, model, (), places["checkpoint_minutes"], group
    )
    if interrupted:
        print(f"Stopped after {state['steps']} steps; worker 0 saves everything.")
        return 128 + interrupted
    with group.watching():
        group.exchange(0)
    return 0


def _train_and_score(settings, places, folder, evaluator, command, group):
    print(f"Run folder: {folder}")
    data, model = evaluator.data, evaluator.model
    monitor = evaluation.Monitor(evaluator, folder, group)
    monitor.set_model(model)
    state, interrupted = training.train(
        settings, data, folder, model, [monitor], places["checkpoint_minutes"], group
    )
    how = f"Go on with:\n  python experiments/run.py --resume={folder}"
    if interrupted:
        print(f"Stopped after {state['steps']} steps; everything is saved. {how}")
        return 128 + interrupted
    try:
        with group.solo():
            _score(folder, evaluator, monitor, state, command)
    except KeyboardInterrupt:
        print(f"\nStopped before all was scored; the trained model is saved. {how}")
        return 128 + signal.SIGINT
    with group.watching():
        group.exchange(0)  # the others may end now
    return 0


def _score(folder, evaluator, monitor, state, command):
    """Model, scores and pictures at the end of the training."""
    settings, model = evaluator.settings, evaluator.model
    fitted = _fit_look(settings, evaluator.data, model)
    _save_model(folder, model)
    picture = monitor.draw("final")
    scores = evaluator.scores()
    table = evaluation.table(scores, evaluator.title())
    record = {
        "scores": scores,
        "data": evaluator.describe_data(),
        "steps": state["steps"],
        "images_seen": state["images"],
        "minutes": state["seconds"] / 60.0,
        "parameters": sum(math.prod(w.shape) for w in model.generator.trainable_weights),
        "seed": settings["seed"],
        **({"second_look": fitted} if fitted else {}),
        "command": command,
        **_made_with(),
    }
    run_folder.write_json(os.path.join(folder, run_folder.SCORES), record)
    run_folder.remove_checkpoints(folder)  # model.keras holds the same
    print(f"\n{table}\n")
    print(f"{state['images']:,} images seen in {state['seconds'] / 60.0:.1f} minutes of training")
    print(f"model: {os.path.join(folder, run_folder.MODEL)}")
    if picture:
        print(f"picture: {picture}")


def _fit_look(settings, data, model):
    """Fits the gain of the model's second look on images it was trained on; what `fit_look_gain` says, or None."""
    if not settings["fit_look"] or model.look_cell is None:
        return None
    try:
        fitted = model.fit_look_gain(data.train)
    except ValueError as error:  # no reason to lose a training
        print(f"look_gain stays {model.look_gain}: {error}")
        return None
    print(
        "look_gain {look_gain:.2f}: spread-skill {spread_skill:.2f} on {hidden_pixels:,} hidden pixels of "
        "{images} training images".format(**fitted)
    )
    return fitted


def _save_model(folder, model):
    unfinished = os.path.join(folder, "unfinished.keras")
    model.save(unfinished)
    os.replace(unfinished, os.path.join(folder, run_folder.MODEL))


def _made_with():
    return {"versions": hardware.versions(), "hardware": hardware.hardware()}
