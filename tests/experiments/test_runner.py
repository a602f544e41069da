"""A whole run, from flags to scores: what it leaves, how it is resumed, what it refuses."""

import os
import signal

import keras
import numpy as np
import pytest
from PIL import Image

from keras_uai.experiment import evaluation, main, processes, run_folder, runner
from keras_uai.models import UAI
from tests.experiments.test_training import SignalAt


@pytest.fixture
def interrupt(monkeypatch):
    """Makes the next runs stop after a step, as Ctrl-C does."""

    def at(step):
        class Monitor(evaluation.Monitor):
            def on_train_batch_end(self, batch, logs=None):
                SignalAt.on_train_batch_end(self, batch, logs)

        Monitor.step, Monitor.number = step, signal.SIGINT
        monkeypatch.setattr(runner.evaluation, "Monitor", Monitor)

    yield at
    monkeypatch.undo()


def only_run(tiny):
    (name,) = os.listdir(tiny["runs"])
    return os.path.join(tiny["runs"], name)


def test_a_run_leaves_all_it_promises(tiny, capsys, monkeypatch):
    # Samples of a run of seconds hardly differ: no gain gives them all of their spread.
    fit = UAI.fit_look_gain
    monkeypatch.setattr(UAI, "fit_look_gain", lambda *given: fit(*given, spread_skill=0.2))
    assert main(tiny, "run.py --x") == 0
    folder = only_run(tiny)
    assert os.path.basename(folder) == "0000-uai-drawn_faces-drop_pixel_0.5-seed0"
    assert set(os.listdir(folder)) == {
        "settings.json", "log.csv", "tensorboard", "grids", "model.keras", "scores.json",
    }  # fmt: skip
    assert sorted(os.listdir(os.path.join(folder, "grids"))) == ["000010.png", "final.png"]
    picture = np.asarray(Image.open(os.path.join(folder, "grids", "final.png")))
    assert picture.std() > 10
    saved = run_folder.read_json(os.path.join(folder, "settings.json"))
    assert saved["settings"]["batch_size"] == 8
    assert saved["command"] == "run.py --x"
    record = run_folder.read_json(os.path.join(folder, "scores.json"))
    assert record["images_seen"] == 96
    assert record["scores"]["model"]["num_samples"] == 2
    assert record["second_look"]["images"] == 40
    assert set(record["scores"]) >= {"model", "linear_interpolation", "nearest", "mean_colour"}
    assert record["versions"]["keras"] == keras.__version__
    assert record["hardware"]["cores"] >= 1
    with open(os.path.join(folder, "log.csv"), encoding="utf-8") as file:
        header, *lines = file.read().splitlines()
    assert {"epoch", "step", "images", "minutes", "g_loss", "val_mse"} <= set(header.split(","))
    assert len(lines) == 3
    printed = capsys.readouterr().out
    assert "this model, mean of 2" in printed
    assert os.path.join(folder, "grids", "final.png") in printed
    assert '"measurement": "DropPixel(p=0.5, tau=0.0)"' in printed
    model = keras.saving.load_model(os.path.join(folder, "model.keras"))
    y = np.zeros((2, 16, 16, 3), "float32")
    assert model.inpaint(y, num_samples=3).shape == (2, 3, 16, 16, 3)
    assert model.look_gain == record["second_look"]["look_gain"]
    assert int(model.step) == 12
    # Resuming what is done changes nothing.
    assert main({"resume": folder}) == 0
    assert "nothing to resume" in capsys.readouterr().out


def test_interrupted_resumed_refused(tiny, interrupt, capsys):
    interrupt(7)
    assert main(tiny) == 128 + signal.SIGINT
    folder = only_run(tiny)
    printed = capsys.readouterr().out
    assert "SIGINT: saving after this step" in printed
    assert f"--resume={folder}" in printed
    assert not os.path.exists(os.path.join(folder, "scores.json"))

    changed = {**tiny, "resume": folder, "batch_size": 4, "generator": "width=8", "seed": 0}
    assert main(changed) == 2
    error = capsys.readouterr().err
    assert "--batch_size: saved 8, given 4" in error
    assert "--generator=width: saved 4, given 8" in error
    assert "--seed" not in error

    interrupt(None)
    assert main({**tiny, "resume": folder}) == 0  # the same settings, given again
    assert os.path.exists(os.path.join(folder, "scores.json"))


def test_interrupted_while_it_is_scored(tiny, monkeypatch, capsys):
    """A finished training is not trained again: the model that was saved is scored."""

    def interrupted(evaluator):
        raise KeyboardInterrupt

    given = {**tiny, "steps": 1, "grid_images": 0}
    with monkeypatch.context() as patch:
        patch.setattr(evaluation.Evaluator, "scores", interrupted)
        assert main(given) == 130
    folder = only_run(tiny)
    assert f"--resume={folder}" in capsys.readouterr().out
    steps = []
    monkeypatch.setattr(runner.training, "Clock", _counting(steps))
    assert main({"resume": folder}) == 0
    assert steps == []
    assert os.path.exists(os.path.join(folder, "scores.json"))


def test_the_gain_is_fitted_only_where_it_is_asked_for_and_can_be(tiny, monkeypatch, capsys):
    def no_fit(model, dataset):
        raise ValueError("nothing to hide")

    short = {**tiny, "steps": 1, "eval_images": 0, "grid_images": 0, "eval_every": 0}
    fixed = {"model_arguments": "look_gain=1.25", "fit_look": False}
    assert main({**short, **fixed}) == 0
    assert "look_gain 1" not in capsys.readouterr().out
    (name,) = os.listdir(tiny["runs"])
    model = keras.saving.load_model(os.path.join(tiny["runs"], name, "model.keras"))
    assert model.look_gain == 1.25
    assert "second_look" not in run_folder.read_json(
        os.path.join(tiny["runs"], name, "scores.json")
    )
    # A training is not lost where nothing can be fitted.
    monkeypatch.setattr(UAI, "fit_look_gain", no_fit)
    assert main(short) == 0
    assert "look_gain stays 1.8: nothing to hide" in capsys.readouterr().out


def _counting(steps):
    class Clock(runner.training.Clock):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(batch)
            super().on_train_batch_end(batch, logs)

    return Clock


def test_divergence_is_said_in_one_line(monkeypatch, tiny, capsys):
    def diverge(*_):
        raise FloatingPointError("The training has diverged")

    monkeypatch.setattr(runner.training, "train", diverge)
    assert main(tiny) == 1
    assert capsys.readouterr().err == "error: The training has diverged\n"


def test_no_two_commands_work_in_one_run_folder(tiny, capsys):
    assert main({**tiny, "steps": 2}) == 0
    folder = only_run(tiny)
    os.remove(os.path.join(folder, "scores.json"))  # as if it were still at work
    with processes.locked(folder):
        assert main({"resume": folder}) == 2
    assert f"still works in {folder}. Wait for it or end it" in capsys.readouterr().err
    assert main({"resume": folder}) == 0


def test_no_run_to_resume(tmp_path, capsys):
    assert main({"resume": str(tmp_path / "x")}) == 2
    assert "There is no run to resume" in capsys.readouterr().err


def test_dry_run_writes_nothing(tiny, capsys):
    assert main({**tiny, "dry_run": True}) == 0
    assert (
        "0000-uai-drawn_faces-drop_pixel_0.5-seed0. Nothing was written" in capsys.readouterr().out
    )
    assert not os.path.exists(tiny["runs"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 24}, "image_shape"),
        ({"measurement": "Patch(1, 12)"}, "border"),
        ({"data": "no/such/folder"}, "no/such/folder"),
        ({"extractor": "vgg"}, "vgg"),
    ],
)
def test_what_only_the_data_can_tell_is_told_before_a_folder_is_made(tiny, capsys, change, message):
    assert main({**tiny, **change}) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not os.path.exists(tiny["runs"])


def test_damaged_images_are_scored_on_pixels_hidden_for_it(tiny, tmp_path, capsys):
    """A folder of folders of images with holes in their alpha channel, cropped."""
    generator = np.random.default_rng(0)
    for i in range(24):
        folder = tmp_path / "damaged" / f"part{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (20, 18, 4), dtype="uint8")
        pixels[..., 3] = 255
        pixels[i % 8 : i % 8 + 6, 3:9, 3] = 0
        Image.fromarray(pixels, "RGBA").save(folder / f"{i:02d}.png")
    damaged = {"data": str(tmp_path / "damaged"), "mask_from": "alpha", "measurement": None}
    assert main({**tiny, **damaged, "crop_size": 16, "limit": None, "steps": 3}) == 0
    folder = only_run(tiny)
    assert os.path.basename(folder) == "0000-uai-damaged-empirical-seed0"
    record = run_folder.read_json(os.path.join(folder, "scores.json"))
    assert record["data"]["holdout"] == 0.2
    assert set(record["scores"]["model"]) >= {"mse", "mse_of_mean", "spread_skill", "crps"}
    assert record["scores"]["model"]["images"] == 4  # 15% of 24
    assert "on pixels that were hidden for this" in capsys.readouterr().out
