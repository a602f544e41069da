"""A run's folder becomes a preset that says what the run was, and nothing of this machine."""

import json
import pathlib

import pytest

from keras_uai import models, presets
from keras_uai.measurements import DropPixel
from keras_uai.metrics import report
from keras_uai.metrics.evaluation_data import EvaluationData
from keras_uai.metrics.predictors import load
from keras_uai.training import configuration, publishing


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run on a folder of images, as experiments/run.py leaves it."""
    folder = tmp_path_factory.mktemp("home") / "runs" / "0003-uai-photos"
    folder.mkdir(parents=True)
    data = str(folder.parent.parent / "photos")
    given = {"data": data, "measurement": "DropPixel(0.5)", "image_size": 16, "minutes": 1.0}
    network = {"width": 4, "max_width": 4, "space_to_depth": 4}
    networks = dict.fromkeys(("generator", "discriminator", "encoder"), network)
    model = models.UAI((16, 16, 3), "DropPixel(0.5)", latent_dim=4, **networks)
    model.compile()
    model.optimizer.learning_rate = 1e-9  # where a cosine ends
    model.save(folder / "model.keras")
    hardware = {"processor": "abacus", "cores": 2, "accelerators": []}
    record = {
        "settings": configuration.resolve({**given, "learning_rate": 0.125}),
        "command": f"{folder}/run.py --data={data} '--measurement=DropPixel(0.5)' --minutes=1",
        "versions": {"keras": "3"},
        "hardware": hardware,
    }
    scores = {"steps": 120, "images_seen": 1920, "minutes": 1.0, "seed": 0}
    (folder / "settings.json").write_text(json.dumps(record))
    (folder / "scores.json").write_text(json.dumps(scores))
    return folder


def publish(run, path, **given):
    """Returns the texts of the preset's metadata and card."""
    given = {"description": "Photographs", "licence": "CC0", "serving": False, **given}
    path = pathlib.Path(publishing.publish(run, path, **given))
    return (path / "metadata.json").read_text(), (path / "README.md").read_text()


def test_metadata_and_card_say_what_the_run_was(run, tmp_path):
    given = {"note": "A note.", "limits": ["Photographs only."]}
    text, card = publish(run, tmp_path / "photos_16", **given)
    metadata = json.loads(text)
    assert metadata["data"] == {"name": "photos", "licence": "CC0", "note": "A note."}
    assert metadata["training"]["images_seen"] == 1920
    assert metadata["training"]["settings"]["learning_rate"] == 0.125
    words = ["# photos_16", "Photographs", "CC0", "A note.", "Photographs only.", "abacus"]
    for word in [*words, "images seen: 1,920"]:
        assert word in card
    # Nothing of this machine; the command is in one piece, to be copied.
    home = str(run.parent.parent)
    assert home in (run / "settings.json").read_text()
    for found in (text, card):
        assert home not in found
        assert str(tmp_path) not in found
    command = "run.py --data=photos '--measurement=DropPixel(0.5)' --minutes=1"
    assert command in text
    assert f"```sh\npython {command}\n```" in card
    # It can be trained further, but not with the learning rate at which the clock left it.
    model = presets.load(tmp_path / "photos_16")
    assert float(model.optimizer.learning_rate) == 0.125


def test_the_scores_are_those_of_an_evaluation(run, tmp_path):
    with pytest.raises(ValueError, match=r"with results.json. Received: .*nowhere"):
        publish(run, tmp_path / "photos_16", evaluation=str(tmp_path / "nowhere"))
    scores = {"mse": {"value": 0.0612, "low": 0.0602, "high": 0.0622}}
    names = ("model, predicted mean", "nearest", "telea")
    methods = {name: {"scores": scores, "num_samples": 1} for name in names}
    result = {
        "description": "500 images.",
        "model": {"path": str(run)},
        "methods": {"model": {"scores": scores, "num_samples": 10}, **methods},
        "data": {"split": "validation", "images": 500, "seed": 0},
        "extractor": None,
        "seed": 4,
        "num_samples": 10,
        "versions": {},
    }
    report.write(tmp_path / "evaluation", result, {})
    evaluation = tmp_path / "evaluation"
    text, card = publish(run, tmp_path / "photos_16", evaluation=evaluation)
    assert "0.0612 ± 0.0010" in card
    assert (
        "\ntools/evaluate --preset=photos_16 --data=FOLDER --split=validation --images=500 "
        "--num_samples=10 --seed=4 --extractor=none --baselines=nearest,telea --out=evaluation\n"
    ) in card
    assert str(run) not in text


def test_evaluations_start_from_the_data_of_the_run(run, tmp_path, monkeypatch):
    publish(run, tmp_path / "photos_16")
    monkeypatch.setenv("KERAS_UAI_PRESETS", str(tmp_path))
    predictor = load("photos_16")
    assert predictor.settings["image_size"] == 16
    assert "data" not in predictor.settings  # a folder must be named again
    assert predictor.name == load(str(tmp_path / "photos_16")).name == "photos_16"
    with pytest.raises(ValueError, match="--data"):
        EvaluationData({"split": "validation"}, predictor)
    data = EvaluationData({"data": "photos/", "split": "validation"}, predictor)
    assert data.given["image_size"] == 16
    assert data.measurement == DropPixel(0.5)


@pytest.mark.parametrize("name", ["settings.json", "model.keras", "scores.json"])
def test_unfinished_runs_are_refused(run, tmp_path, name):
    for path in run.iterdir():
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(ValueError, match=f"finished run.*which has no {name}"):
        publish(tmp_path, tmp_path / "preset")


def test_the_licence_of_a_folder_is_required(run, tmp_path):
    with pytest.raises(ValueError, match=r"--licence.*the folder photos without a licence"):
        publish(run, tmp_path / "photos_16", licence=None)
    assert not (tmp_path / "photos_16").exists()


def test_absolute_paths_of_commands_are_shortened():
    command = "/home/me/run.py --flagfile=a/b.flags --data=~/x --runs /srv/r '--m=D(0.9)'"
    shorter = "run.py --flagfile=a/b.flags --data=x --runs r '--m=D(0.9)'"
    assert publishing.portable(command) == shorter
