"""Presets: saved models come back, from any folder, and nothing else does."""

import json
import os
import re
import shutil
import sys

import h5py
import keras
import numpy as np
import pytest

import keras_uai
from keras_uai import files, presets
from keras_uai.cli import presets as command
from keras_uai.measurements import DropPixel, Empirical
from keras_uai.models import UAI, InpaintingModel
from keras_uai.presets import weights
from tests.testing import array, observations, same_bits

NETWORK = {"width": 8, "max_width": 16, "space_to_depth": 4, "attention_level": None}


def build(measurement="DropPixel(0.5)", image_shape=(16, 16, 3), **kwargs):
    encoder = {name: value for name, value in NETWORK.items() if name != "attention_level"}
    generator = {**NETWORK, "noise_channels": 1}
    networks = {"generator": generator, "discriminator": NETWORK, "encoder": encoder}
    return UAI(image_shape, measurement, **{"latent_dim": 6, **networks, **kwargs})


def trained(**kwargs):
    """A compiled model with E in use, whose weights all differ from their initial values."""
    model = build(ema_decay=0.9, **kwargs)
    model.compile(optimizer=keras.optimizers.Adam(0.25), loss_weights={"y": 0.5})
    generator = np.random.default_rng(0)
    for network in (model.generator, model.ema_generator, model.encoder):
        for weight in network.weights:
            noise = 0.05 * generator.normal(size=weight.shape)
            weight.assign(weight + (np.abs(noise) if "variance" in weight.path else noise))
    return model


@pytest.fixture(scope="module")
def model():
    return trained()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """`(folder of presets, name)` of a preset in float32."""
    folder = tmp_path_factory.mktemp("presets")
    metadata = {"description": "A tiny one", "limits": ["It is tiny."]}
    presets.save(model, folder / "tiny", metadata, serving=False, float16=False)
    return folder, "tiny"


@pytest.fixture
def named(saved, monkeypatch):
    """The name of the preset, in a folder where names are looked up."""
    monkeypatch.setenv("KERAS_UAI_PRESETS", str(saved[0]))
    return saved[1]


def test_it_gives_the_samples_of_the_ema_generator(model, named):
    loaded = UAI.from_preset(named)
    y, mask = observations(model.measurement, 3)
    same_bits(loaded.inpaint(y, mask, 2, seed=5), model.inpaint(y, mask, 2, seed=5))
    for network in (loaded.generator, loaded.ema_generator):
        for a, b in zip(network.weights, model.ema_generator.weights, strict=True):
            same_bits(a, b)
    for a, b in zip(loaded.encoder.weights, model.encoder.weights, strict=True):
        same_bits(a, b)
    assert not np.array_equal(array(model.generator.weights[0]), array(loaded.generator.weights[0]))


def test_config_and_compile_come_back(model, named):
    loaded = presets.load(named)
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert loaded.loss_weights == model.loss_weights
    assert float(loaded.optimizer.learning_rate) == 0.25
    assert int(loaded.step) == 0
    assert not presets.load(named, compile=False).compiled


def test_a_fresh_model_of_its_configuration(model, named):
    loaded = UAI.from_preset(named, load_weights=False)
    assert loaded.measurement == model.measurement
    assert not np.array_equal(array(loaded.encoder.weights[0]), array(model.encoder.weights[0]))


def test_overrides(named):
    given = {"measurement": "DropPixel(0.25)", "generator": {"width": 12}, "seed": 7}
    model = UAI.from_preset(named, load_weights=False, **given)
    assert model.measurement == DropPixel(0.25)
    assert (model.generator.width, model.generator.max_width, model.seed) == (12, 16, 7)
    with pytest.raises(ValueError, match=r"not those of this generator: were its arguments over"):
        UAI.from_preset(named, generator={"width": 12})
    message = r"'nose'.*Received: .*tiny, saved with .*overrides \['nose'\]"
    with pytest.raises(ValueError, match=message):
        UAI.from_preset(named, nose=1)


def test_a_model_of_version_0_1_is_refused_with_the_new_names(saved, tmp_path):
    config = files.read_json(saved[0] / saved[1] / "config.json")
    config["config"] |= {"average_decay": 0.9, "hide": [0.1, 0.5]}
    files.write_json(tmp_path / "old" / "config.json", config)
    message = "saved by keras_uai 0.1.*'average_decay' is now 'ema_decay', 'hide' is now"
    with pytest.raises(ValueError, match=message):
        presets.load(tmp_path / "old")


def test_names(named, saved, monkeypatch, tmp_path):
    assert presets.metadata(named)["description"] == "A tiny one"
    assert isinstance(InpaintingModel.from_preset(saved[0] / named), UAI)
    with pytest.raises(ValueError, match=r"one of: .*tiny.*Received: 'tinny'. Did you mean tiny\?"):
        presets.load("tinny")
    monkeypatch.setenv("KERAS_UAI_PRESETS", str(tmp_path))
    assert named not in presets.available()
    with pytest.raises(ValueError, match="must be a preset's folder"):
        presets.find(named)


def test_of_another_class(named):
    class Other(InpaintingModel):
        """A model of the zoo that the preset is not of."""

    with pytest.raises(ValueError, match=r"Other.from_preset loads models of Other.*keras_uai>UAI"):
        Other.from_preset(named)


def test_earlier_folders_win_and_broken_presets_say_so(saved, monkeypatch, tmp_path, model):
    presets.save(model, tmp_path / "tiny", {"description": "Mine"}, serving=False)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    monkeypatch.setenv("KERAS_UAI_PRESETS", f"{tmp_path}{os.pathsep}{saved[0]}")
    listed = command.run({})
    assert re.search("tiny +16 x 16 +- +Mine", listed)
    assert re.search("broken +- +- +no description", listed)
    with pytest.raises(ValueError, match=r"cannot be read.*broken.config.json"):
        presets.load("broken")
    (tmp_path / "tiny" / "metadata.json").write_text("[1]")
    assert re.search("tiny +unreadable: .*cannot be read", command.run({}))


class Hub:
    """Stands in for the packages of both hubs: a folder for each model's name."""

    def __init__(self, root):
        self.root = root

    def snapshot_download(self, name):
        return str(self.root / name)

    def create_repo(self, name, exist_ok):
        assert exist_ok
        (self.root / name).mkdir(parents=True, exist_ok=True)

    def upload_folder(self, repo_id, folder_path):
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)

    def model_upload(self, name, folder_path):
        shutil.copytree(folder_path, self.root / name)

    model_download = snapshot_download


@pytest.mark.parametrize("uri", ["hf://me/tiny", "kaggle://me/tiny/keras/small"])
def test_hubs(uri, saved, model, tmp_path, monkeypatch):
    """What is uploaded is loaded from there, by models, clients and commands."""
    folder = saved[0] / "tiny"
    name = {"hf": "huggingface_hub", "kaggle": "kagglehub"}[uri.partition(":")[0]]
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"needs the package {name}: pip install {name}. Rec"):
        UAI.from_preset(uri)
    monkeypatch.setitem(sys.modules, name, Hub(tmp_path))
    presets.upload_preset(uri, folder)
    y, mask = observations(model.measurement, 2)
    same_bits(UAI.from_preset(uri).inpaint(y, mask, 2), presets.load(folder).inpaint(y, mask, 2))
    assert presets.load_model(uri).digest == presets.load_model(folder).digest
    with keras_uai.serving.Client(uri) as client:
        assert client.contract.image_shape == (16, 16, 3)
    with pytest.raises(ValueError, match="`folder` must be a preset's folder"):
        presets.upload_preset(uri, tmp_path)
    with pytest.raises(ValueError, match="`uri` must begin with hf:// or kaggle://"):
        presets.upload_preset("s3://me/tiny", folder)


def test_float16_costs_little(model, tmp_path):
    presets.save(model, tmp_path / "half", serving=False)
    with h5py.File(tmp_path / "half" / "model.weights.h5") as file:
        assert file["generator/observe_stem/kernel"].dtype == "float16"
        assert file["generator/observe_4_0/norm_0/moving_variance"].dtype == "float32"
    loaded = presets.load(tmp_path / "half")
    assert {w.dtype for w in loaded.generator.weights} == {"float32"}
    y, mask = observations(model.measurement, 3)
    off = loaded.inpaint(y, mask, 2) - model.inpaint(y, mask, 2)
    assert 0 < np.abs(off).max() < 0.02


def test_a_kernel_that_float16_cannot_hold_stays(tmp_path):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    network.weights[0].assign(network.weights[0] * 1e6)
    weights.write(tmp_path / "w.h5", {"large": network})
    same_bits(weights.read(tmp_path / "w.h5")["large"][network.weights[0].path], network.weights[0])


def test_an_encoder_that_was_not_trained_is_left_out(tmp_path):
    model = build(Empirical(np.random.default_rng(0).integers(0, 2, (5, 16, 16))))
    model.compile(loss_weights={"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0})
    presets.save(model, tmp_path / "energy", serving=False)
    assert list(weights.read(tmp_path / "energy" / "model.weights.h5")) == ["generator"]
    loaded = presets.load(tmp_path / "energy")
    assert loaded.measurement == model.measurement
    y, mask = observations(model.measurement, 2)
    assert loaded.inpaint(y, mask, 2) == pytest.approx(model.inpaint(y, mask, 2), abs=0.01)


@pytest.mark.parametrize(
    ("image_shape", "layout", "words"),
    [
        ((16, 16, 3), "fixed", "of 16 x 16 pixels"),
        ((None, None, 1), "any", "grey images of any size"),
    ],
)
def test_card_and_metadata(tmp_path, image_shape, layout, words):
    metadata = {"description": "A tiny one", "limits": ["It is tiny."]}
    presets.save(build(image_shape=image_shape), tmp_path / "tiny", metadata, serving=False)
    found = presets.metadata(tmp_path / "tiny")
    assert found["class"] == "UAI"
    assert found["image_shape"] == list(image_shape)
    assert found["layout"] == layout
    assert found["measurement"] == "DropPixel(p=0.5, tau=0.0)"
    assert found["saved_with"]["keras_uai"] == keras_uai.__version__
    assert found["parameters"]["generator"] > 0
    card = " ".join((tmp_path / "tiny" / "README.md").read_text().split())
    texts = ("# tiny", "A tiny one.", "It is tiny.", "damaged images only", "Licence: not given")
    for text in (*texts, words):
        assert text in card
    names = ["README.md", "config.json", "metadata.json", "model.weights.h5"]
    assert sorted(p.name for p in (tmp_path / "tiny").iterdir()) == names


def test_it_appears_whole_or_not_at_all(model, tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("power cut")

    monkeypatch.setattr(weights, "write", fails)
    with pytest.raises(RuntimeError, match="power cut"):
        presets.save(model, tmp_path / "mine", serving=False)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unless_asked(model, tmp_path):
    def description():
        return presets.metadata(tmp_path / "mine")["description"]

    presets.save(model, tmp_path / "mine", {"description": "old"}, serving=False)
    with pytest.raises(ValueError, match=r"overwrite=True replaces. Received: .*mine"):
        presets.save(model, tmp_path / "mine", serving=False)
    assert description() == "old"
    new = {"description": "new"}
    presets.save(model, tmp_path / "mine", new, serving=False, overwrite=True)
    assert description() == "new"
    (tmp_path / "else").mkdir()
    with pytest.raises(ValueError, match=r"must be new, or a preset.*else"):
        presets.save(model, tmp_path / "else", serving=False, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["else", "mine"]


@pytest.mark.parametrize("damage", ["cut", "missing", "variable", "shape", "network"])
def test_damaged_weights_are_refused(saved, tmp_path, damage):
    shutil.copytree(saved[0] / saved[1], tmp_path / "mine")
    path = tmp_path / "mine" / "model.weights.h5"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "missing":
        path.unlink()
    else:
        with h5py.File(path, "r+") as file:
            del file["generator" if damage == "network" else "generator/observe_stem/bias"]
            if damage == "shape":
                file["generator/observe_stem/bias"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"(weights|preset).*Received: .*model.weights.h5"):
        presets.load(tmp_path / "mine")


def test_a_config_with_code_in_it_is_refused(saved, tmp_path):
    """Keras's safe mode holds for presets from elsewhere."""
    path = tmp_path / "mine" / "config.json"
    config = files.read_json(saved[0] / saved[1] / "config.json")
    lambda_layer = keras.layers.Lambda(lambda x: x)
    config["config"]["measurement"] = keras.saving.serialize_keras_object(lambda_layer)
    files.write_json(path, config)
    with pytest.raises(ValueError, match="unsafe"):
        presets.load(tmp_path / "mine")


# -- the one loader --------------------------------------------------------------------------------


def test_presets_runs_and_files_are_loaded_alike(model, named, saved, tmp_path):
    run = tmp_path / "0003-uai"
    files.write_json(run / "settings.json", {"settings": {"data": "drawn_faces"}})
    with pytest.raises(ValueError, match=r"has no model.keras yet.*0003-uai"):
        presets.load_model(run)
    model.save(run / "model.keras")
    cases = {
        named: ("tiny", {}),
        saved[0] / named: ("tiny", {}),
        run: ("0003-uai", {"data": "drawn_faces"}),
        run / "model.keras": ("model", {}),
    }
    for path, (name, settings) in cases.items():
        found = presets.load_model(path)
        assert (found.name, found.settings) == (name, settings)
        assert not found.model.compiled
        assert json.dumps(found.model.get_config()) == json.dumps(model.get_config())
        networks = (found.model.inference_generator, model.inference_generator)
        for a, b in zip(*(network.weights for network in networks), strict=True):
            same_bits(a, b)
        assert len(found.digest) == 12
    assert presets.load_model(run, compile=True).model.compiled


def test_other_paths_and_other_models_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"A model must be a preset's name or .*'nowhere'$"):
        presets.load_model("nowhere")
    with pytest.raises(ValueError, match=r"Did you mean faces_32_drop_pixel\?$"):
        presets.load_model("saved_models/faces_32_drop_pixle")
    keras.Sequential([keras.Input((2,))]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"one of keras_uai.models.*a Sequential"):
        presets.load_model(tmp_path / "other.keras")
