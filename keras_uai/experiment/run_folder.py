"""A run's folder: numbered, named after what is in it, and never half written.

```
runs/0003-uai-faces-drop_pixel_0.9-seed0/
  settings.json       all settings, the command, versions, hardware
  log.csv             a row an epoch
  tensorboard/        the same for TensorBoard
  grids/              000120.png: after 120 steps; final.png
  checkpoints/        000120/: model.keras and state.json, the last one, until the run is done
  model.keras         the trained model
  scores.json         scores and baselines on withheld images
```
"""

import csv
import inspect
import json
import os
import re
import shutil

from keras_uai import measurements
from keras_uai.experiment import processes

SETTINGS, LOG, SCORES, MODEL = "settings.json", "log.csv", "scores.json", "model.keras"
_NUMBERED = re.compile(r"^(\d{4,})-")
_UNFINISHED = ".unfinished"


def run_name(settings):
    """`uai-faces-drop_pixel_0.9-seed0`: the run's name without its number."""
    parts = [
        settings["model"].lower(),
        os.path.basename(os.path.normpath(settings["data"])),
        measurement_slug(settings["measurement"]),
        f"seed{settings['seed']}",
        settings["tag"],
    ]
    return "-".join(re.sub(r"[^\w.+]+", "_", part).strip("_") for part in parts if part)


def measurement_slug(text):
    """`Patch(n=90, k=10, border=4, tau=0.0)` as `patch_90_10`: the values that are no defaults."""
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


def create(root, name):
    """Makes the folder `root/NNNN-name` with the next free number, and returns its path."""
    with processes.locked(root, wait=True):
        path = os.path.join(root, f"{next_number(root):04d}-{name}")
        os.mkdir(path)
    return path


def next_number(root):
    """One more than the largest number of a run in `root`; 0 where there is none."""
    names = os.listdir(root) if os.path.isdir(root) else []
    return max((int(m[1]) for m in map(_NUMBERED.match, names) if m), default=-1) + 1


def write_json(path, value):
    """Writes `value` so that the file is either the old or the new one, never a part."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path, text):
    """Likewise, a text."""
    _replace(path, lambda file: file.write(text))


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


# -- checkpoints ----------------------------------------------------------------------------------


def save_checkpoint(folder, model, state):
    """Saves the model, both optimizers and `state`, then removes older checkpoints.

    Args:
        folder: the run's.
        model: an `InpaintingModel`.
        state: dict of JSON values with the number of `"steps"` done.

    Returns:
        the checkpoint's path.
    """
    root = os.path.join(folder, "checkpoints")
    path = os.path.join(root, f"{state['steps']:06d}")
    shutil.rmtree(path + _UNFINISHED, ignore_errors=True)
    os.makedirs(path + _UNFINISHED)
    model.save(os.path.join(path + _UNFINISHED, MODEL))
    write_json(os.path.join(path + _UNFINISHED, "state.json"), state)
    if os.path.isdir(path):  # of the same step: saved again, with more in its state
        os.rename(path, path + ".old" + _UNFINISHED)
    os.rename(path + _UNFINISHED, path)
    for name in os.listdir(root):
        if name != os.path.basename(path):
            shutil.rmtree(os.path.join(root, name))
    return path


def last_checkpoint(folder):
    """Path of the checkpoint with the most steps, or None."""
    root = os.path.join(folder, "checkpoints")
    names = os.listdir(root) if os.path.isdir(root) else []
    complete = [name for name in names if name.isdigit()]
    return os.path.join(root, max(complete, key=int)) if complete else None


def load_checkpoint(path, model):
    """Puts a checkpoint's weights, both optimizers and step counter into `model`; its state."""
    model.load_weights(os.path.join(path, MODEL))
    return read_json(os.path.join(path, "state.json"))


def remove_checkpoints(folder):
    shutil.rmtree(os.path.join(folder, "checkpoints"), ignore_errors=True)


# -- the log --------------------------------------------------------------------------------------


class Log:
    """`log.csv`: rows of any columns, the file rewritten whole with each.

    Args:
        folder: the run's.
        steps: keep the rows up to this step, which are those a resumed run does not make again.
    """

    def __init__(self, folder, steps=0):
        self.path = os.path.join(folder, LOG)
        self.rows = []
        if steps and os.path.exists(self.path):
            with open(self.path, newline="", encoding="utf-8") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= steps]

    def add(self, row):
        """Adds a dict with at least `"step"`."""
        self.rows.append({name: _number(value) for name, value in row.items()})
        columns = list(dict.fromkeys(name for row in self.rows for name in row))

        def write(file):
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)

        _replace(self.path, write, newline="")


def _number(value):
    """Seven digits are all that a float32 has."""
    return value if isinstance(value, (int, str)) else f"{float(value):.7g}"


def _replace(path, write, newline=None):
    unfinished = path + _UNFINISHED
    with open(unfinished, "w", newline=newline, encoding="utf-8") as file:
        write(file)
    os.replace(unfinished, path)
