"""A whole run, from flags to scores: its files, its resume, its refusals."""

import functools
import os
import signal

import keras
import numpy as np
import pytest
from PIL import Image

from keras_uai import files, models, sampling
from keras_uai.training import evaluation, run_folder, runner
from keras_uai.training.runner import main
from tests.training.test_loop import SignalAt

pytestmark = pytest.mark.usefixtures("eagerly")


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
    (name,) = (name for name in os.listdir(tiny["runs"]) if name != ".lock")
    return os.path.join(tiny["runs"], name)


def test_a_run_leaves_its_files(tiny, capsys, monkeypatch):
    def fit(model, dataset):  # samples of a run of seconds hardly differ: there is nothing to fit
        model.sampler = model.sampler.with_inflation(2.5)
        return {"inflation": 2.5, "batches": len(dataset)}

    monkeypatch.setattr(models.UAI, "calibrate_spread", fit)
    assert main(tiny, "run.py --x") == 0
    folder = only_run(tiny)
    assert os.path.basename(folder) == "0000-uai-drawn_faces-drop_pixel_0.5-seed0"
    names = {"settings.json", "log.csv", "tensorboard", "grids", "model.keras", "scores.json"}
    names.add("evaluation")
    assert set(os.listdir(folder)) - {".lock"} == names
    assert sorted(os.listdir(os.path.join(folder, "grids"))) == ["000010.png", "final.png"]
    picture = np.asarray(Image.open(os.path.join(folder, "grids", "final.png")))
    assert picture.std() > 10
    saved = files.read_json(os.path.join(folder, "settings.json"))
    assert saved["settings"]["batch_size"] == 8
    assert saved["command"] == "run.py --x"
    record = files.read_json(os.path.join(folder, "scores.json"))
    assert record["images_seen"] == 96
    assert record["scores"]["model"]["num_samples"] == 2
    assert record["spread_calibration"] == {"inflation": 2.5, "batches": 5}
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
    assert "Measurement: DropPixel(p=0.5, tau=0.0)\n" in printed
    assert len(printed.splitlines()) < 40
    model = keras.saving.load_model(os.path.join(folder, "model.keras"))
    y = np.zeros((2, 16, 16, 3), "float32")
    assert model.inpaint(y, num_samples=3).shape == (2, 3, 16, 16, 3)
    assert model.sampler.inflation == 2.5
    assert int(model.step) == 12
    # Resuming a finished run changes nothing.
    assert main({"resume": folder}) == 0
    assert "nothing to resume" in capsys.readouterr().out


def test_interrupted_resumed_refused(tiny, interrupt, capsys):
    tiny |= {"steps": 8, "calibrate_spread": False}
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

    # No two commands work in one folder.
    with run_folder.locked(folder):
        assert main({"resume": folder}) == 2
    assert f"Another command works in {folder}. Wait for it" in capsys.readouterr().err

    interrupt(None)
    assert main({**tiny, "resume": folder}) == 0  # the same settings, given again
    assert os.path.exists(os.path.join(folder, "scores.json"))


def test_interrupted_while_it_is_scored(tiny, monkeypatch, capsys):
    """A finished training is not trained again: the saved model is scored."""

    def interrupted(*given):
        raise KeyboardInterrupt

    given = {**tiny, "steps": 1, "grid_images": 0}
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "score", interrupted)
        assert main(given) == 130
    folder = only_run(tiny)
    assert f"--resume={folder}" in capsys.readouterr().out
    monkeypatch.setattr(models.UAI, "fit", interrupted)
    assert main({"resume": folder}) == 0
    assert os.path.exists(os.path.join(folder, "scores.json"))


def test_a_training_is_not_lost_where_nothing_can_be_calibrated(tiny, monkeypatch, capsys):
    def no_fit(model, dataset):
        raise ValueError("nothing to hide")

    monkeypatch.setattr(models.UAI, "calibrate_spread", no_fit)
    short = {**tiny, "steps": 1, "eval_images": 0, "grid_images": 0, "eval_every": 0}
    assert main({**short, "sampler": "TwoStage(4, 1.25)", "calibrate_spread": False}) == 0
    assert "inflation stays" not in capsys.readouterr().out
    folder = only_run(tiny)
    model = keras.saving.load_model(os.path.join(folder, "model.keras"))
    assert model.sampler == sampling.TwoStage(4, 1.25)
    assert "spread_calibration" not in files.read_json(os.path.join(folder, "scores.json"))
    assert main(short) == 0
    assert "The spread inflation stays 1.8: nothing to hide" in capsys.readouterr().out


def test_divergence_is_said_in_one_line(monkeypatch, tiny, capsys):
    def diverge(*_):
        raise FloatingPointError("The training has diverged")

    monkeypatch.setattr(runner.loop, "train", diverge)
    assert main(tiny) == 1
    # Before it there are the clocks of what was done.
    assert capsys.readouterr().err.splitlines()[-1] == "error: The training has diverged"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 21}, "image_shape"),
        ({"measurement": "Patch(1, 12)"}, "border"),
        ({"data": "no/such/folder"}, "no/such/folder"),
        ({"extractor": "vgg"}, "vgg"),
        ({"gradient_accumulation_steps": 3}, "1 devices, --gradient_accumulation_steps=3"),
        ({"resume": "no/such/run"}, "There is no run to resume"),
    ],
)
def test_errors_come_before_a_folder_is_made(tiny, capsys, change, message):
    assert main({**tiny, **change}) == 2
    error = capsys.readouterr().err.splitlines()[-1]  # clocks may stand before it
    assert error.startswith("error: ")
    assert message in error
    assert not os.path.exists(tiny["runs"])


def test_crops_of_damaged_images_scored_on_hidden_pixels(tiny, tmp_path, capsys, monkeypatch):
    """A folder of folders of images of two sizes with holes in their alpha channel."""
    generator = np.random.default_rng(0)
    for i in range(24):
        folder = tmp_path / "damaged" / f"part{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (20, 18 + i % 2, 4), dtype="uint8")
        pixels[..., 3] = 255
        pixels[i % 8 : i % 8 + 6, 3:9, 3] = 0
        Image.fromarray(pixels, "RGBA").save(folder / f"{i:02d}.png")
    damaged = {"data": str(tmp_path / "damaged"), "mask_from": "alpha", "measurement": None}
    given = {**tiny, **damaged, "image_size": None, "crop_size": 16, "limit": None, "steps": 3}
    few = functools.partialmethod(models.UAI.calibrate_spread, images=16)
    monkeypatch.setattr(models.UAI, "calibrate_spread", few)  # of an endless stream of crops
    assert main({**given, "encoder": f"{tiny['encoder']},levels=1"}) == 0
    folder = only_run(tiny)
    assert os.path.basename(folder) == "0000-uai-damaged-empirical-seed0"
    record = files.read_json(os.path.join(folder, "scores.json"))
    assert set(record["scores"]["model"]) >= {"mse", "mse_of_mean", "spread_skill", "crps"}
    result = files.read_json(os.path.join(folder, "evaluation", "results.json"))
    assert result["data"]["holdout"] == 0.2
    assert result["data"]["images"] == 4  # 15% of 24
    assert "this model, mean of 2" in capsys.readouterr().out
    model = keras.saving.load_model(os.path.join(folder, "model.keras"))
    assert tuple(model.image_shape) == (None, None, 3)
