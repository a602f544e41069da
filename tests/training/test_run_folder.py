"""Run folders: numbers, names, files that are never half written, logs that are continued."""

import concurrent.futures
import os
import pathlib

import pytest

from keras_uai import files
from keras_uai.training import configuration, run_folder


def read(*path):
    return pathlib.Path(*path).read_text(encoding="utf-8")


def test_numbers_continue_from_the_largest(tmp_path):
    root = str(tmp_path / "a" / "runs")
    assert os.path.basename(run_folder.create(root, "x")) == "0000-x"
    assert os.path.basename(run_folder.create(root, "x")) == "0001-x"
    os.mkdir(os.path.join(root, "0007-continued"))
    os.mkdir(os.path.join(root, "notes-12"))
    assert os.path.basename(run_folder.create(root, "y")) == "0008-y"
    os.mkdir(os.path.join(root, "12345-many"))
    assert os.path.basename(run_folder.create(root, "y")) == "12346-y"


def test_two_commands_never_take_one_number(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda i: run_folder.create(str(tmp_path), f"run{i}"), range(20)))
    assert sorted(int(os.path.basename(path)[:4]) for path in paths) == list(range(20))


def test_one_command_per_folder(tmp_path):
    with (
        run_folder.locked(tmp_path),
        pytest.raises(BlockingIOError, match=f"Another command works in {tmp_path}"),
        run_folder.locked(tmp_path),
    ):
        pass
    with run_folder.locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "uai-drawn_faces-drop_pixel_0.9-seed0"),
        ({"data": "../my photos/faces/", "seed": 3}, "uai-faces-drop_pixel_0.9-seed3"),
        ({"data": "lsun/bedroom", "tag": "lr 1e-3"}, "uai-bedroom-drop_pixel_0.9-seed0-lr_1e_3"),
        ({"measurement": "Patch(90,10)"}, "uai-drawn_faces-patch_90_10-seed0"),
        ({"measurement": "Patch(1, 8, border=2)"}, "uai-drawn_faces-patch_1_8_2-seed0"),
        ({"measurement": None, "mask_from": "alpha"}, "uai-drawn_faces-empirical-seed0"),
    ],
)
def test_a_name_says_its_content(given, name):
    least = {"data": "drawn_faces", "measurement": "DropPixel(0.9)", "steps": 1}
    assert run_folder.run_name(configuration.resolve({**least, **given})) == name


def test_log_takes_new_columns_and_continues_from_a_step(tmp_path):
    folder = str(tmp_path)
    log = run_folder.Log(folder)
    log.add({"epoch": 1, "step": 5, "loss": 1 / 3})
    log.add({"epoch": 2, "step": 10, "loss": 0.25, "val_mse": 0.1})
    log.add({"epoch": 3, "step": 15, "loss": 0.125})
    header, *rows = read(log.path).splitlines()
    assert header == "epoch,step,loss,val_mse"
    assert rows == ["1,5,0.3333333,", "2,10,0.25,0.1", "3,15,0.125,"]
    log = run_folder.Log(folder, steps=10)  # the checkpoint is that of step 10
    log.add({"epoch": 3, "step": 15, "loss": 0.5})
    assert read(log.path).splitlines()[-1] == "3,15,0.5,"
    assert len(log.rows) == 3
    assert run_folder.Log(folder).rows == []


class Saved:
    """Stands for a model: saves a text."""

    def __init__(self, text):
        self.text = text

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.text)
        if self.text == "broken":
            raise KeyboardInterrupt


def test_the_last_complete_checkpoint_counts(tmp_path):
    folder = str(tmp_path)
    assert run_folder.last_checkpoint(folder) is None
    run_folder.save_checkpoint(folder, Saved("a"), {"steps": 9})
    run_folder.save_checkpoint(folder, Saved("b"), {"steps": 1000010})
    with pytest.raises(KeyboardInterrupt):
        run_folder.save_checkpoint(folder, Saved("broken"), {"steps": 1000020})
    path = run_folder.last_checkpoint(folder)
    assert read(path, "model.keras") == "b"
    assert files.read_json(os.path.join(path, "state.json")) == {"steps": 1000010}
    run_folder.save_checkpoint(folder, Saved("c"), {"steps": 1000010})  # the same step
    assert os.listdir(tmp_path / "checkpoints") == ["1000010"]
    assert read(run_folder.last_checkpoint(folder), "model.keras") == "c"
