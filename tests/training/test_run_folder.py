"""Run folders: numbers, names, files that are never half written, logs that are continued."""

import concurrent.futures
import os
import pathlib

import pytest

from keras_uai import files
from keras_uai.training import configuration, run_folder


def test_numbers_continue_from_the_largest(tmp_path):
    root = tmp_path / "a" / "runs"
    found = [os.path.basename(run_folder.create(root, "x")) for _ in range(2)]
    for name in ("0007-continued", "notes-12", "12345-many"):
        (root / name).mkdir()
        found.append(os.path.basename(run_folder.create(root, "y")))
    assert found == ["0000-x", "0001-x", "0008-y", "0009-y", "12346-y"]
    # Two commands never take one number.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda i: run_folder.create(tmp_path, f"run{i}"), range(20)))
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
    header, *rows = pathlib.Path(log.path).read_text().splitlines()
    assert header == "epoch,step,loss,val_mse"
    assert rows == ["1,5,0.3333333,", "2,10,0.25,0.1", "3,15,0.125,"]
    log = run_folder.Log(folder, steps=10)  # the checkpoint is that of step 10
    log.add({"epoch": 3, "step": 15, "loss": 0.5})
    assert pathlib.Path(log.path).read_text().splitlines()[-1] == "3,15,0.5,"
    assert len(log.rows) == 3
    assert run_folder.Log(folder).rows == []
    pathlib.Path(log.path).write_bytes(b"epoch,step\n1\n\0")
    with pytest.raises(ValueError, match=r"number of steps in every row.*Received: .*log.csv"):
        run_folder.Log(folder, steps=10)


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
    path = pathlib.Path(run_folder.last_checkpoint(folder))
    assert (path / "model.keras").read_text() == "b"
    assert files.read_json(path / "state.json") == {"steps": 1000010}
    # The same step has the same weights: it is not written twice, and is never missing.
    run_folder.save_checkpoint(folder, Saved("c"), {"steps": 1000010})
    assert os.listdir(tmp_path / "checkpoints") == ["1000010"]
    assert (path / "model.keras").read_text() == "b"
