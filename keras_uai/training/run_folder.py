"""Run folders: numbered, named after their content, with files that are never half written.

```
runs/0003-uai-faces-drop_pixel_0.9-seed0/
  settings.json       configuration, command, fingerprint of the data, versions, hardware
  log.csv             a row per epoch
  tensorboard/        the same for TensorBoard
  grids/              000120.png: after 120 steps; final.png
  checkpoints/        000120/: model.keras and state.json, the last one, until the run is done
  model.keras         the trained model
  evaluation/         scores of the model and of baselines, as tools/evaluate writes them
  scores.json         these scores in short, length of the training; the run is done
```
"""

import contextlib
import csv
import inspect
import io
import os
import re
import shutil

import filelock

from keras_uai import files, measurements
from keras_uai.presets.loading import RUN_MODEL as MODEL
from keras_uai.presets.loading import RUN_SETTINGS as SETTINGS

LOG, SCORES, STATE, CHECKPOINTS = "log.csv", "scores.json", "state.json", "checkpoints"


def run_name(settings):
    """Returns the run's name without its number, such as `uai-faces-drop_pixel_0.9-seed0`."""
    parts = [
        settings["model"].lower(),
        os.path.basename(os.path.normpath(settings["data"])),
        _measurement_slug(settings["measurement"]),
        f"seed{settings['seed']}",
        settings["tag"],
    ]
    return "-".join(re.sub(r"[^\w.+]+", "_", part).strip("_") for part in parts if part)


def _measurement_slug(text):
    """Returns `patch_90_10` for `Patch(n=90, k=10, border=4, tau=0.0)`: class and non-defaults."""
    if text.startswith("Empirical"):
        return "empirical"
    measurement = measurements.get(text)
    defaults = inspect.signature(type(measurement)).parameters
    config = measurement.get_config().items()
    values = [f"{value:g}" for name, value in config if value != defaults[name].default]
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(measurement).__name__).lower()
    return "_".join([name, *values])


@contextlib.contextmanager
def locked(folder):
    """Keeps other commands out of a folder while inside; makes the folder where it is missing.

    Raises:
        BlockingIOError: If another command works in the folder.
    """
    os.makedirs(folder, exist_ok=True)
    try:
        lock = filelock.FileLock(os.path.join(folder, ".lock")).acquire(timeout=0)
    except filelock.Timeout:
        raise BlockingIOError(
            f"Another command works in {folder}. Wait for it, or interrupt it (it saves its state). "
            f"Received: {folder}"
        ) from None
    with lock:
        yield


def create(root, name):
    """Makes the folder `root/NNNN-name` with the next free number; returns its path."""
    os.makedirs(root, exist_ok=True)
    with filelock.FileLock(os.path.join(root, ".lock")):
        numbers = [re.match(r"(\d{4,})-", other) for other in os.listdir(root)]
        number = max((int(found[1]) for found in numbers if found), default=-1) + 1
        path = os.path.join(root, f"{number:04d}-{name}")
        os.mkdir(path)
    return path


def read_settings(folder):
    """Returns the dict in `settings.json`."""
    path = os.path.join(folder, SETTINGS)
    if not os.path.exists(path):
        raise ValueError(f"There is no run to resume: no file {path}. Received: --resume={folder}")
    return files.read_json(path, "settings")


def save_checkpoint(folder, model, state):
    """Saves model, both optimizers and `state` (of `loop.Budget`), then removes older checkpoints.

    A checkpoint that is there is kept: a step always has the same weights.
    """
    root = os.path.join(folder, CHECKPOINTS)
    path = os.path.join(root, f"{state['steps']:06d}")
    if not os.path.exists(path):
        with files.atomic_folder(path) as draft:
            model.save(os.path.join(draft, MODEL))
            files.write_json(os.path.join(draft, STATE), state)
    for name in os.listdir(root):
        if name != os.path.basename(path):
            shutil.rmtree(os.path.join(root, name))


def last_checkpoint(folder):
    """Returns the path of the checkpoint with the most steps, or None."""
    root = os.path.join(folder, CHECKPOINTS)
    names = os.listdir(root) if os.path.isdir(root) else []
    last = max((name for name in names if name.isdigit()), key=int, default=None)
    return last and os.path.join(root, last)


class Log:
    """`log.csv`, rewritten with every row, since later rows may have new columns.

    Rows up to the step `steps` are kept; a resumed run writes the later ones again.
    """

    def __init__(self, folder, steps=0):
        self.path = os.path.join(folder, LOG)
        self.rows = []
        if steps and os.path.exists(self.path):
            try:
                with open(self.path, newline="", encoding="utf-8") as file:
                    self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= steps]
            except (csv.Error, KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    "The log must have a number of steps in every row. Mend it, or move it away to "
                    f"go on without its rows. Received: {self.path}: {error!r}"
                ) from error

    def add(self, row):
        """Adds a dict with at least `"step"`. Floats keep seven digits, those of a float32."""
        row = {n: f"{value:.7g}" if isinstance(value, float) else value for n, value in row.items()}
        self.rows.append(row)
        columns = dict.fromkeys(name for row in self.rows for name in row)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(self.rows)
        files.atomic_write(self.path, text.getvalue())
