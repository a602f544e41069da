"""Run folders: numbered, named after their content, with files that are never half written.

```
runs/0003-uai-faces-drop_pixel_0.9-seed0/
  settings.json       configuration, command, versions, hardware
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
from keras_uai.presets.loading import RUN_SETTINGS as SETTINGS  # noqa: F401 (of a run folder)

LOG, SCORES, STATE = "log.csv", "scores.json", "state.json"
_NUMBERED = re.compile(r"^(\d{4,})-")


def run_name(settings):
    """Returns the run's name without its number, such as `uai-faces-drop_pixel_0.9-seed0`."""
    parts = [
        settings["model"].lower(),
        os.path.basename(os.path.normpath(settings["data"])),
        measurement_slug(settings["measurement"]),
        f"seed{settings['seed']}",
        settings["tag"],
    ]
    return "-".join(re.sub(r"[^\w.+]+", "_", part).strip("_") for part in parts if part)


def measurement_slug(text):
    """Returns `patch_90_10` for `Patch(n=90, k=10, border=4, tau=0.0)`: class and non-defaults."""
    if text.startswith("Empirical"):
        return "empirical"
    measurement = measurements.get(text)
    defaults = inspect.signature(type(measurement)).parameters
    values = [
        f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in measurement.get_config().items()
        if value != defaults[name].default
    ]
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(measurement).__name__).lower()
    return "_".join([name, *values])


@contextlib.contextmanager
def locked(folder, wait=False):
    """Keeps other commands out of a folder while inside.

    Args:
        folder: path; made where it is missing.
        wait: bool; waits for the other command instead of raising. Default: False.

    Raises:
        BlockingIOError: If another command works in the folder.
    """
    os.makedirs(folder, exist_ok=True)
    lock = filelock.FileLock(os.path.join(folder, ".lock"), timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BlockingIOError(
            f"Another command works in {folder}. Wait for it, or interrupt it (it saves its state). "
            f"Received: {folder}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def create(root, name):
    """Makes the folder `root/NNNN-name` with the next free number; returns its path."""
    with locked(root, wait=True):
        path = os.path.join(root, f"{next_number(root):04d}-{name}")
        os.mkdir(path)
    return path


def next_number(root):
    """Returns one more than the largest number of a run in `root`, or 0."""
    names = os.listdir(root) if os.path.isdir(root) else []
    return max((int(m[1]) for m in map(_NUMBERED.match, names) if m), default=-1) + 1


# -- checkpoints -----------------------------------------------------------------------------------


def save_checkpoint(folder, model, state):
    """Saves model, both optimizers and `state`, then removes older checkpoints.

    Args:
        folder: path of the run.
        model: an `InpaintingModel`.
        state: dict of JSON values with the number of `"steps"` done.

    Returns:
        The checkpoint's path.
    """
    root = os.path.join(folder, "checkpoints")
    path = os.path.join(root, f"{state['steps']:06d}")
    with files.atomic_folder(path) as draft:
        model.save(os.path.join(draft, MODEL))
        files.write_json(os.path.join(draft, STATE), state)
    for name in os.listdir(root):
        if name != os.path.basename(path):
            shutil.rmtree(os.path.join(root, name))
    return path


def last_checkpoint(folder):
    """Returns the path of the checkpoint with the most steps, or None."""
    root = os.path.join(folder, "checkpoints")
    names = os.listdir(root) if os.path.isdir(root) else []
    complete = [name for name in names if name.isdigit()]
    return os.path.join(root, max(complete, key=int)) if complete else None


def load_checkpoint(path, model):
    """Loads weights, both optimizers and step counter into `model`; returns the saved state."""
    model.load_weights(os.path.join(path, MODEL))
    return files.read_json(os.path.join(path, STATE))


def remove_checkpoints(folder):
    """Removes all checkpoints of a run."""
    shutil.rmtree(os.path.join(folder, "checkpoints"), ignore_errors=True)


# -- log -------------------------------------------------------------------------------------------


class Log:
    """`log.csv`, rewritten with every row, since later rows may have new columns.

    Args:
        folder: path of the run.
        steps: integer; rows up to this step are kept, a resumed run writes the later ones again.
    """

    def __init__(self, folder, steps=0):
        self.path = os.path.join(folder, LOG)
        self.rows = []
        if steps and os.path.exists(self.path):
            with open(self.path, newline="", encoding="utf-8") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= steps]

    def add(self, row):
        """Adds a dict with at least `"step"`. Floats keep seven digits, those of a float32."""
        self.rows.append(
            {
                name: value if isinstance(value, (int, str)) else f"{float(value):.7g}"
                for name, value in row.items()
            }
        )
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        files.atomic_write(self.path, text.getvalue())
