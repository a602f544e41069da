"""Kills commands (SIGKILL), runs them again, and compares the end with that of a whole run.

    python -m tests.integration.interruptions FOLDER [KILLS]

KILLS is the number of kills at random moments; by default they come at those in `MOMENTS`. Everything
is imported once: an attempt is a fork of this process.
"""

import functools
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
import zipfile

import keras
import numpy as np

from keras_uai import files
from keras_uai.metrics import commands, evaluation
from keras_uai.serving import exporting, inpainting
from keras_uai.training import repeating, runner

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
SMALL = "width=4,max_width=4,space_to_depth=4"
RUN = {
    "data": "drawn_faces", "image_size": 16, "limit": 40, "measurement": "DropPixel(0.5)",
    "batch_size": 8, "gradient_accumulation_steps": 1, "steps": 6, "steps_per_epoch": 2,
    "generator": SMALL, "jit_compile": "false", "eval_images": 6, "num_samples": 2,
}  # fmt: skip
SHORT = {"model": "Splitting", "eval_every": 0, "monitor_images": 0, "grid_images": 0}
LONG = {"latent_dim": 4, "discriminator": SMALL, "encoder": SMALL, "lambda_gan": 0.0}
LONG |= {"eval_every": 2, "monitor_images": 3, "grid_images": 2, "grid_samples": 2}
#: Where a command is killed in the short version: before or after a file or folder appears.
MOMENTS = {
    "train": [("after", "000004"), ("before", "model.keras"), ("after", "model.npz")],
    "evaluate": [("before", "nearest.npz")],
    "export": [("before", "1")],
    "inpaint": [("before", "b"), ("after", "c")],
}
TIMES = {"started", "command", "minutes", "milliseconds_an_image", "model"}


# -- commands: each is given its folder, and is called again after a kill ----------------------------


def train(folder, given):
    found = sorted(folder.glob("*/settings.json"))
    given = {"resume": str(found[-1].parent)} if found else {**given, "runs": str(folder)}
    return runner.main({**given, "checkpoint_minutes": 0.0})


def evaluate(folder, model):
    options = {
        "model": str(model), "data": None, "data_dir": None, "split": "validation", "images": 120,
        "num_samples": 2, "seed": 0, "extractor": "none", "baselines": ["mean_colour", "nearest"],
        "grid": 2, "out": str(folder), "restart": False, "progress": False,
    }  # fmt: skip
    commands.evaluate(options)


def export(folder, model):
    if not (folder / "1").exists():
        exporting.export(
            keras.saving.load_model(model / "model.keras", compile=False), folder / "1"
        )


def inpaint(folder, model):
    images = folder.parent.parent / "images"
    options = {"model": str(model), "server": None, "out": str(folder), "mask": "alpha", "seed": 0}
    options |= {"num_samples": 2, "overwrite": False, "progress": False}
    options |= {"timeout": 60.0, "retries": 0, "concurrency": 1}
    return inpainting.run(options, [str(images)])


def write_images(folder):
    for number, name in enumerate("abcd"):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 4), "uint8")
        pixels[..., 3] = 255 * (pixels[..., 3] > 100)
        files.write_image(folder / f"{name}.png", pixels[..., :3], pixels[..., 3])


# -- attempts -----------------------------------------------------------------------------------------


def attempt(command, moment=None):
    """Runs a command in a fork; returns whether it was killed. It must not fail otherwise.

    `moment` is in seconds, or one of `MOMENTS`.
    """
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        code = 70
        try:
            if isinstance(moment, tuple):
                kill_where_appears(*moment)
            code = command() or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    timer = threading.Timer(
        moment if isinstance(moment, float) else 1e6, os.kill, (pid, signal.SIGKILL)
    )
    timer.start()
    status = os.waitpid(pid, 0)[1]
    timer.cancel()
    timer.join()
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def kill_where_appears(when, name):
    def killing(rename):
        def call(source, target):
            hit = os.path.basename(target) == name
            if not (hit and when == "before"):
                rename(source, target)
            if hit:
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.rename, os.replace = killing(os.rename), killing(os.replace)


def read(folder):
    """Reads all files, which must be whole; returns `{path: content}` without times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_dir() or any(part.startswith(".") for part in name.parts):
            continue
        if path.suffix == ".json":
            found[name] = json.loads(path.read_text(), object_hook=without_times)
        elif path.suffix in (".npz", ".keras"):
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
        elif path.suffix in (".png", ".md"):
            found[name] = path.read_bytes()
    return found


def without_times(values):
    return {name: value for name, value in values.items() if name not in TIMES}


def assert_same(name, whole, part):
    first, second = read(whole), read(part)
    if name == "train":
        (first,), (second,) = whole.glob("*-*"), part.glob("*-*")
        assert not (difference := repeating.first_difference(first, second)), difference
    elif name == "export":
        import tensorflow as tf

        readers = [
            tf.train.load_checkpoint(str(f / "1/variables/variables")) for f in (whole, part)
        ]
        for key in readers[0].get_variable_to_shape_map():
            a, b = (np.asarray(reader.get_tensor(key)) for reader in readers)
            assert a.dtype == object or a.tobytes() == b.tobytes(), key
    else:
        assert first == second


def check(name, command, root, moments):
    """Kills a command at moments; what it leaves must be whole, and its end as that of a whole run."""
    whole, part = root / "whole", root / "part"
    begun = time.monotonic()
    assert not attempt(functools.partial(command, whole))
    seconds = time.monotonic() - begun
    for moment in moments:
        moment = moment if isinstance(moment, tuple) else moment * seconds
        while not attempt(functools.partial(command, part), moment):  # it ended before
            assert isinstance(moment, float), f"{name} was not killed {moment}"
            assert_same(name, whole, part)
            shutil.rmtree(part)
            moment *= 0.7
        read(part)
    assert not attempt(functools.partial(command, part))
    assert_same(name, whole, part)
    print(f"{name}: killed {len(moments)} times, ended as a whole run", flush=True)
    return whole


def main(root, kills=None):
    root = pathlib.Path(root)
    warnings.filterwarnings("ignore", "This process .* is multi-threaded")
    evaluation.SAVE_SECONDS = 0.0  # after each batch
    write_images(root / "images")
    chance = random.Random(kills)
    moments = dict(MOMENTS)
    if not ON_TENSORFLOW:
        del moments["export"]
    if kills:
        moments = {name: [] for name in moments}
        names = ["train", *moments]
        for number in range(int(kills)):
            moments[names[number % len(names)]].append(chance.random())
    given = {**RUN, **(LONG if kills else SHORT)}
    runs = check("train", functools.partial(train, given=given), root / "train", moments["train"])
    (model,) = runs.glob("*-*")
    for name, command in {"evaluate": evaluate, "export": export, "inpaint": inpaint}.items():
        if name in moments:
            check(name, functools.partial(command, model=model), root / name, moments[name])


if __name__ == "__main__":
    main(*sys.argv[1:])
