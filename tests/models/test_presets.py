"""Presets: what is saved comes back, from any folder, and nothing else does."""

import json
import os

import h5py
import keras
import numpy as np
import pytest

import keras_uai
from keras_uai.measurements import DropPixel, Empirical
from keras_uai.models import InpaintingModel, preset_files
from tests.testing import ROOT, array, observations, same_bits, tiny_uai


def trained(**kwargs):
    """A model whose every weight is something else than at its start; compiled, E in use."""
    model = tiny_uai(average_decay=0.9, networks={"normalization": "batch"}, **kwargs)
    model.compile(optimizer=keras.optimizers.Adam(0.25), loss_weights={"y": 0.5})
    generator = np.random.default_rng(0)
    for network in (model.generator, model.generator_average, model.encoder):
        for weight in network.weights:
            noise = 0.05 * generator.normal(size=weight.shape)
            weight.assign(weight + (np.abs(noise) if "variance" in weight.path else noise))
    return model


@pytest.fixture(scope="module")
def model():
    return trained()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """`(presets' folder, name)` of a preset in float32, without a SavedModel."""
    folder = tmp_path_factory.mktemp("presets")
    metadata = {"description": "A tiny one", "limits": ["It is tiny."]}
    model.save_to_preset(folder / "tiny", metadata, serving=False, float16=False)
    return folder, "tiny"


@pytest.fixture
def named(saved, monkeypatch):
    """The name of the preset, where names are looked up."""
    monkeypatch.setenv("KERAS_UAI_PRESETS", str(saved[0]))
    return saved[1]


def test_it_gives_the_samples_of_the_average(model, named):
    loaded = keras_uai.models.UAI.from_preset(named)
    y, mask = observations(model.measurement, 3)
    same_bits(loaded.inpaint(y, mask, 2, seed=5), model.inpaint(y, mask, 2, seed=5))
    for network in (loaded.generator, loaded.generator_average):
        for a, b in zip(network.weights, model.generator_average.weights, strict=True):
            same_bits(a, b)
    for a, b in zip(loaded.encoder.weights, model.encoder.weights, strict=True):
        same_bits(a, b)
    assert not np.array_equal(array(model.generator.weights[0]), array(loaded.generator.weights[0]))


def test_config_and_compile_come_back(model, named):
    loaded = keras_uai.models.UAI.from_preset(named)
    assert loaded.get_config() == model.get_config() | {"image_shape": (16, 16, 3)}
    assert loaded.loss_weights == model.loss_weights
    assert float(loaded.optimizer.learning_rate) == 0.25
    assert int(loaded.step) == 0
    assert not keras_uai.models.UAI.from_preset(named, compile=False).compiled


def test_a_fresh_one_of_its_configuration(model, named):
    loaded = keras_uai.models.UAI.from_preset(named, load_weights=False)
    assert loaded.measurement == model.measurement
    assert not np.array_equal(array(loaded.encoder.weights[0]), array(model.encoder.weights[0]))


def test_overrides(named):
    model = keras_uai.models.UAI.from_preset(
        named,
        load_weights=False,
        measurement="DropPixel(0.25)",
        generator={"width": 12},
        seed=7,
    )
    assert model.measurement == DropPixel(0.25)
    assert (model.generator.width, model.generator.max_width, model.seed) == (12, 16, 7)
    with pytest.raises(ValueError, match=r"not those of this generator: were its arguments over"):
        keras_uai.models.UAI.from_preset(named, generator={"width": 12})


def test_arguments_that_there_are_not(named):
    """Of the user, or of a preset from another version."""
    with pytest.raises(
        ValueError, match=r"'nose'.*Received: .*tiny, saved with .*overrides \['nose'\]"
    ):
        keras_uai.models.UAI.from_preset(named, nose=1)


def test_names(named, saved, monkeypatch, tmp_path):
    assert keras_uai.models.UAI.presets[named] == "A tiny one"
    assert InpaintingModel.presets[named] == "A tiny one"
    assert isinstance(InpaintingModel.from_preset(saved[0] / named), keras_uai.models.UAI)
    with pytest.raises(ValueError, match=r"There are: .*tiny.*Received: 'tinny'"):
        keras_uai.models.UAI.from_preset("tinny")
    monkeypatch.setenv("KERAS_UAI_PRESETS", str(tmp_path))
    assert named not in keras_uai.models.UAI.presets
    with pytest.raises(ValueError, match="There is no such preset"):
        keras_uai.models.UAI.from_preset(named)


def test_of_another_class(named):
    class Other(InpaintingModel):
        """A model of the zoo that the preset is not of."""

    with pytest.raises(ValueError, match=r"Other.from_preset loads models of Other.*keras_uai>UAI"):
        Other.from_preset(named)
    assert named not in Other.presets


def test_earlier_folders_win_and_broken_ones_say_so(saved, monkeypatch, tmp_path, model):
    model.save_to_preset(tmp_path / "tiny", {"description": "Mine"}, serving=False)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    monkeypatch.setenv("KERAS_UAI_PRESETS", f"{tmp_path}{os.pathsep}{saved[0]}")
    assert keras_uai.models.UAI.presets["tiny"] == "Mine"
    assert "broken" not in keras_uai.models.UAI.presets
    with pytest.raises(ValueError, match=r"cannot be read.*broken.config.json"):
        keras_uai.models.UAI.from_preset("broken")
    (tmp_path / "tiny" / "metadata.json").write_text("[]")
    assert "no JSON object" in keras_uai.models.UAI.presets["tiny"]


def test_float16_costs_little(model, tmp_path):
    model.save_to_preset(tmp_path / "half", serving=False)
    with h5py.File(tmp_path / "half" / "model.weights.h5") as file:
        assert file["generator/observe_stem/kernel"].dtype == "float16"
        assert file["generator/observe_4_0/norm_0/moving_variance"].dtype == "float32"
    loaded = keras_uai.models.UAI.from_preset(tmp_path / "half")
    assert {w.dtype for w in loaded.generator.weights} == {"float32"}
    y, mask = observations(model.measurement, 3)
    off = loaded.inpaint(y, mask, 2) - model.inpaint(y, mask, 2)
    assert 0 < np.abs(off).max() < 0.01


def test_a_kernel_that_float16_cannot_hold_stays(model, tmp_path):
    copy = trained()
    copy.generator_average.weights[0].assign(copy.generator_average.weights[0] * 1e6)
    copy.save_to_preset(tmp_path / "large", serving=False)
    loaded = keras_uai.models.UAI.from_preset(tmp_path / "large")
    same_bits(loaded.generator.weights[0], copy.generator_average.weights[0])


def test_what_inference_does_not_need_is_not_kept(tmp_path):
    model = tiny_uai()
    model.compile(loss_weights={"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0})
    model.save_to_preset(tmp_path / "energy", serving=False)
    assert preset_files.saved_networks(tmp_path / "energy" / "model.weights.h5") == ["generator"]
    loaded = keras_uai.models.UAI.from_preset(tmp_path / "energy")
    y, mask = observations(model.measurement, 2)
    assert loaded.inpaint(y, mask, 2) == pytest.approx(model.inpaint(y, mask, 2), abs=0.01)


def test_an_empirical_measurement(tmp_path):
    bank = np.random.default_rng(0).integers(0, 2, (5, 16, 16))
    tiny_uai(Empirical(bank)).save_to_preset(tmp_path / "mine", serving=False)
    assert keras_uai.models.UAI.from_preset(tmp_path / "mine").measurement == Empirical(bank)


def test_card_and_metadata(saved):
    folder = saved[0] / saved[1]
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["class"] == "UAI"
    assert metadata["image_shape"] == [16, 16, 3]
    assert metadata["measurement"] == "DropPixel(p=0.5, tau=0.0)"
    assert metadata["saved_with"]["keras_uai"] == keras_uai.__version__
    assert metadata["parameters"]["generator"] > 0
    card = (folder / "README.md").read_text()
    for words in (
        "# tiny",
        "A tiny one",
        "It is tiny.",
        "damaged images only",
        "Licence: not said",
    ):
        assert words in card
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md", "config.json", "metadata.json", "model.weights.h5",
    ]  # fmt: skip


def test_it_appears_whole_or_not_at_all(model, tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("power cut")

    monkeypatch.setattr(preset_files, "write_weights", fails)
    with pytest.raises(RuntimeError, match="power cut"):
        model.save_to_preset(tmp_path / "mine", serving=False)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unless_asked(model, tmp_path):
    model.save_to_preset(tmp_path / "mine", {"description": "old"}, serving=False)
    with pytest.raises(ValueError, match=r"overwrite=True replaces it. Received: .*mine"):
        model.save_to_preset(tmp_path / "mine", serving=False)
    assert preset_files.read_json(tmp_path / "mine", "metadata.json")["description"] == "old"
    new = {"description": "new"}
    model.save_to_preset(tmp_path / "mine", new, serving=False, overwrite=True)
    assert preset_files.read_json(tmp_path / "mine", "metadata.json")["description"] == "new"
    (tmp_path / "else").mkdir()
    with pytest.raises(ValueError, match=r"something here that is no preset.*else"):
        model.save_to_preset(tmp_path / "else", serving=False, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["else", "mine"]


@pytest.mark.parametrize("damage", ["cut", "missing", "variable", "shape", "network"])
def test_damaged_weights_are_refused(model, tmp_path, damage):
    model.save_to_preset(tmp_path / "mine", serving=False)
    path = tmp_path / "mine" / "model.weights.h5"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "missing":
        path.unlink()
    else:
        with h5py.File(path, "r+") as file:
            if damage == "variable":
                del file["generator/observe_stem/bias"]
            elif damage == "network":
                del file["generator"]
            else:
                del file["generator/observe_stem/bias"]
                file["generator/observe_stem/bias"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"(weights|preset).*Received: .*model.weights.h5"):
        keras_uai.models.UAI.from_preset(tmp_path / "mine")


def test_a_config_with_code_in_it_is_refused(model, tmp_path):
    """Keras's safe mode holds for presets from elsewhere."""
    model.save_to_preset(tmp_path / "mine", serving=False)
    config = preset_files.read_json(tmp_path / "mine", "config.json")
    lambda_layer = keras.layers.Lambda(lambda x: x)
    config["config"]["measurement"] = keras.saving.serialize_keras_object(lambda_layer)
    preset_files.write_json(tmp_path / "mine", "config.json", config)
    with pytest.raises(ValueError, match="unsafe"):
        keras_uai.models.UAI.from_preset(tmp_path / "mine")


def test_it_is_served(model, tmp_path, monkeypatch):
    """Under its name by a client, with the samples of the model that is loaded from it."""
    tf = pytest.importorskip("tensorflow")
    serving = pytest.importorskip("keras_uai.serving")
    model.save_to_preset(tmp_path / "tiny")
    monkeypatch.setenv("KERAS_UAI_PRESETS", str(tmp_path))
    loaded = keras_uai.models.UAI.from_preset("tiny", compile=False)
    y, mask = observations(model.measurement, 2)
    with serving.Client("tiny") as client:
        found = client.inpaint(y, mask, 2, seed=5)
    assert found.samples == pytest.approx(loaded.inpaint(y, mask, 2, seed=5), abs=1e-5)
    signatures = tf.saved_model.load(str(tmp_path / "tiny" / "serving" / "1")).signatures
    assert "encode" in signatures
    assert 'name: "tiny"' in (tmp_path / "tiny" / "serving" / "models.config").read_text()
    assert str(tmp_path) not in (tmp_path / "tiny" / "serving" / "README.md").read_text()


def test_those_in_the_repository_are_small():
    """All files of all of them together: who clones the repository gets them, wanted or not."""
    files = [file for file in (ROOT / "saved_models").rglob("*") if file.is_file()]
    assert {"config.json", "model.weights.h5", "saved_model.pb"} <= {file.name for file in files}
    assert sum(file.stat().st_size for file in files) < 20e6
