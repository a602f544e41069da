"""A run that went wrong ends as if it had not: its repetition agrees, and a changed one does not."""

import contextlib
import errno
import io
import os
import pathlib
import re
import shutil
import zipfile

import h5py
import numpy as np
import pytest

from keras_uai import files
from keras_uai.training import repeating, run_folder, runner
from tests.testing import eagerly, read_only
from tests.training.conftest import SMALL
from tests.training.test_runner import only_run


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Flags of a run of a second on a folder of noise."""
    root = tmp_path_factory.mktemp("repeating")
    for i in range(24):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), "uint8")
        files.write_image(root / f"photos/{i:02d}.png", pixels)
    return {
        "data": str(root / "photos"), "measurement": "DropPixel(0.5)", "model": "Splitting",
        "generator": SMALL, "batch_size": 8, "gradient_accumulation_steps": 1, "steps": 3,
        "steps_per_epoch": 1, "jit_compile": "false", "eval_images": 2, "num_samples": 2,
        "eval_every": 0, "monitor_images": 0, "grid_images": 0, "runs": str(root / "runs"),
        "checkpoint_minutes": 0.0,
    }  # fmt: skip


def main(given):
    """Runs the flags; returns the exit code and what was printed as an error."""
    with eagerly(), contextlib.redirect_stderr(io.StringIO()) as error:
        return runner.main(given), error.getvalue()


@pytest.fixture(scope="module")
def folder(given):
    """A run that met every obstacle, and was resumed each time.

    The disk was full, the run folder and TensorBoard's read-only; images vanished, changed, and
    could not be listed.
    """
    photos, away = given["data"], given["data"] + "-away"
    save, add = run_folder.save_checkpoint, run_folder.Log.add

    def full(folder, model, state):
        if state["steps"] == 2:
            raise OSError(28, "No space left on device")
        save(folder, model, state)

    def in_read_only_folder(log, row):
        with read_only(folder):
            add(log, row)

    def denied(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def vanishing(run):
        os.rename(photos, away)

    os.makedirs(given["runs"])
    with read_only(given["runs"]):
        code, error = main(given)
    assert code == 2
    assert error == f"error: [Errno 30] Read-only file system: '{given['runs']}/.lock'\n"
    assert not os.listdir(given["runs"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "save_checkpoint", full)
        code, error = main(given)
    folder = only_run(given)
    assert code == 2
    assert "error: [Errno 28] No space left on device\nWhat was saved is kept. " in error
    assert error.endswith(f"--resume={folder}\n")
    assert os.listdir(os.path.join(folder, "checkpoints")) == ["000001"]

    board = f"{folder}/tensorboard"
    os.rename(board, away)
    files.atomic_write(board, b"")  # TensorFlow has an error of its own for what it cannot write
    code, error = main({"resume": folder})
    assert code == 2
    assert re.search(rf"error: {board} is not a dir.*\nWhat was saved is kept. Resume with", error)
    os.remove(board)
    os.rename(away, board)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder.Log, "add", in_read_only_folder)
        code, error = main({"resume": folder})
    assert code == 2
    assert error.startswith(f"error: [Errno 30] Read-only file system: '{folder}/.")
    assert "log.csv'\nWhat was saved is kept. Resume with:\n  " in error
    assert os.listdir(os.path.join(folder, "checkpoints")) == ["000001"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", denied)
        code, error = main({"resume": folder})
    assert (code, error) == (2, f"error: [Errno 13] Permission denied: '{photos}'\n")

    shutil.move(f"{photos}/05.png", away)
    code, error = main({"resume": folder})
    assert code == 2
    assert "the images it was started with" in error
    assert "with 23 images" in error
    assert "; the run has 24, " in error
    shutil.move(away, f"{photos}/05.png")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner.Run, "_calibrate", vanishing)
        code, error = main({"resume": folder})
    assert code == 2
    assert f"nor such a folder. Received: '{photos}'" in error
    assert f"--resume={folder}" in error
    os.rename(away, photos)
    assert main({"resume": folder})[0] == 0
    return folder


@pytest.mark.usefixtures("eagerly")
def test_the_repetition_agrees(folder, capsys):
    path = os.path.join(folder, "settings.json")
    record = files.read_json(path)
    files.write_json(path, {**record, "versions": {**record["versions"], "keras": "3.0"}})
    assert repeating.rerun(folder) == 0
    said = capsys.readouterr().out
    assert f"{folder} and {folder}-rerun agree to the last bit" in said
    assert f"keras differs: 3.0 in {folder}, now {record['versions']['keras']}" in said
    assert repeating.rerun(folder) == 0  # only compared
    shutil.rmtree(f"{folder}-rerun")


@pytest.mark.usefixtures("eagerly")
def test_a_run_that_the_clock_ended_is_repeated_by_its_steps(folder, tmp_path, capsys):
    """Batches are skipped as in the run, from its second epoch on."""
    copy = str(tmp_path / "run")
    shutil.copytree(folder, copy)
    record = files.read_json(os.path.join(copy, "settings.json"))
    record["settings"] |= {"minutes": 60.0, "steps": None}
    files.write_json(os.path.join(copy, "settings.json"), record)
    header, *rows = pathlib.Path(copy, "log.csv").read_text().splitlines()
    ends = ("skipped", "", "0", "0")
    lines = [f"{line},{end}\n" for line, end in zip([header, *rows], ends, strict=True)]
    files.atomic_write(os.path.join(copy, "log.csv"), "".join(lines))
    assert repeating.rerun(copy) == 0, capsys.readouterr().out
    repeated = files.read_json(f"{copy}-rerun/settings.json")["settings"]
    assert (repeated["minutes"], repeated["steps"]) == (None, 3)
    log = pathlib.Path(f"{copy}-rerun/log.csv").read_text()
    assert "skipped" in log.splitlines()[0]


def change_log(folder):
    path = os.path.join(folder, "log.csv")
    with open(path) as file:
        text = file.read()
    files.atomic_write(path, text.replace("\n2,2,16,", "\n2,2,17,"))


def change_weights(folder):
    path = os.path.join(folder, "model.keras")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    stored = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(stored, "r+") as file:
        found = []
        file.visititems(lambda _, item: found.append(item) if hasattr(item, "dtype") else None)
        weights = next(item for item in found if item.dtype.kind == "f")
        weights[...] = weights[...] + 0.5
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**parts, "model.weights.h5": stored.getvalue()}.items():
            archive.writestr(name, data)


def change_scores(folder):
    path = os.path.join(folder, "scores.json")
    record = files.read_json(path)
    record["scores"]["nearest"]["mse"] = 0.5
    files.write_json(path, record)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda folder: None, ""),
        (change_log, "log.csv, step 2, images: 16 and 17"),
        (change_weights, "model.keras, "),
        (change_scores, "scores.json, nearest, mse: 0."),
    ],
)
def test_the_first_difference_is_named(folder, tmp_path, change, difference):
    other = str(tmp_path / "other")
    shutil.copytree(folder, other)
    change(other)
    found = repeating.first_difference(folder, other)
    assert found.startswith(difference)
    assert bool(found) == bool(difference)


@pytest.mark.parametrize(
    ("missing", "settings", "message"),
    [
        ("scores.json", {}, "must be finished"),
        (None, {"minutes": 2.0, "schedule": "cosine"}, "--steps=3 can.*--minutes=2 --sch"),
        (None, {"minutes": 2.0, "warmup_steps": 9}, "followed the clock.*--warmup_steps=9"),
        ("settings.json", {}, "no file"),
    ],
)
def test_runs_that_cannot_be_repeated(folder, tmp_path, missing, settings, message):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    record = files.read_json(other / "settings.json")
    record["settings"] |= settings
    files.write_json(other / "settings.json", record)
    if missing:
        os.remove(other / missing)
    with pytest.raises(ValueError, match=message):
        repeating.rerun(str(other))
