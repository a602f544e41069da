"""Repeats a run, and says whether the two agree: the same seed on one machine gives the same bits."""

import csv
import datetime
import io
import os
import zipfile

import h5py
import numpy as np

from keras_uai import files
from keras_uai.presets import weights
from keras_uai.training import environment, run_folder, runner


def rerun(folder, out=None, data_dir=None, command=None):
    """Repeats a finished run, also one that was interrupted, and prints whether the two agree.

    A run that `--minutes` ended is repeated up to the step at which it ended. Batches are skipped
    where the run skipped them (`--skip_nonfinite`). A repetition that was interrupted itself goes on.

    Args:
        folder: string; the run's folder.
        out: string; folder of the repetition. Default: `folder` with `-rerun` at its end.
        data_dir: string or None; folder of named data sets.
        command: string; the command line, for the records.

    Returns:
        The exit code: 0 if they agree, 1 if they differ, else that of `runner.main`.

    Raises:
        ValueError: if there is no finished run, its learning rates followed the clock, or `out` is
            another run.
    """
    folder = os.path.normpath(folder)
    out = out or f"{folder}-rerun"
    record = run_folder.read_settings(folder)
    if not os.path.exists(os.path.join(folder, run_folder.SCORES)):
        raise ValueError(
            f"A run must be finished to be repeated: {runner.named(runner.RESUME, folder)}. "
            f"Received: {folder} without {run_folder.SCORES}"
        )
    settings = record["settings"]
    if settings["minutes"]:
        steps = files.read_json(os.path.join(folder, run_folder.SCORES), "steps")["steps"]
        if settings["schedule"] == "cosine" or settings["warmup_steps"] > steps // 10:
            raise ValueError(
                "A run whose learning rates followed the clock cannot be repeated; one with the "
                f"same settings and --steps={steps} can. Received: {folder}, trained with "
                f"--minutes={settings['minutes']:g} --schedule={settings['schedule']} "
                f"--warmup_steps={settings['warmup_steps']}"
            )
        settings = {**settings, "minutes": None, "steps": steps}
    now = environment.describe()
    for kind, values in now.items():
        for name, value in values.items():
            if (before := record[kind].get(name)) != value:
                print(f"{name} differs: {before} in {folder}, now {value}. So may the numbers.")
    if not os.path.exists(os.path.join(out, run_folder.SETTINGS)):
        started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        copy = {**record, "settings": settings, "command": command, "started": started, **now}
        files.write_json(os.path.join(out, run_folder.SETTINGS), copy, indent=2)
    elif run_folder.read_settings(out)["settings"] != settings:
        raise ValueError(f"--out must be a new folder. Received: --out={out}, another run")
    skips = any("skipped" in row for row in _log(folder))
    given = {"resume": out, "data_dir": data_dir, "skip_nonfinite": skips}
    if code := runner.main(given, command, command or runner.RESUME):
        return code
    if difference := first_difference(folder, out):
        print(f"{folder} and {out} differ, first in {difference}.")
        return 1
    print(f"{folder} and {out} agree to the last bit: logs, weights and scores.")
    return 0


def first_difference(folder, other):
    """Returns the first thing in which two finished runs differ, apart from times; "" if none."""
    results = _results(folder), _results(other)
    for name in dict.fromkeys([*results[0], *results[1]]):
        a, b = (found.get(name) for found in results)
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.shape == b.shape:
            if a.tobytes() != b.tobytes():
                return f"{name}, by {np.abs(a.astype('float64') - b).max():.3g}"
        elif repr(a) != repr(b):
            return f"{name}: {a} and {b}"
    return ""


def _log(folder):
    with open(os.path.join(folder, run_folder.LOG), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _results(folder):
    """Returns `{name: number, text or array}` of all that settings determine, as it is computed."""
    found = {}
    for row in _log(folder):
        step = f"{run_folder.LOG}, step {row['step']}, "
        row["skipped"] = row.get("skipped") or "0"  # of epochs before --skip_nonfinite was given
        found |= {step + name: value for name, value in row.items() if name != "minutes"}
    with zipfile.ZipFile(os.path.join(folder, run_folder.MODEL)) as archive:
        stored = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(stored) as file:
        arrays = weights.arrays(file)
    found |= {f"{run_folder.MODEL}, {path}": array for path, array in arrays.items()}
    record = files.read_json(os.path.join(folder, run_folder.SCORES))
    scores = {"calibration": record.get("spread_calibration", {}), **record["scores"]}
    for method, values in scores.items():
        named = f"{run_folder.SCORES}, {method}, "
        found |= {named + name: value for name, value in values.items()}
    return found
