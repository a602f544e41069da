"""Exports appear whole or not at all, where servers look for them, with all that servers need."""

import json
import pathlib
import subprocess
import sys
import types

import keras
import pytest

from keras_uai import models, presets
from keras_uai.serving import Contract, Limits, assets, exporting
from tests.serving.conftest import tiny_model
from tests.testing import ROOT, same_bits

tf = pytest.importorskip("tensorflow")


@pytest.fixture
def quick(monkeypatch):
    """Writes no graph: the tests are about all around it."""

    def save(model, contract, folder, *arguments):
        (pathlib.Path(folder) / "saved_model.pb").write_text("graph")
        return ["serving_default"]

    monkeypatch.setattr(exporting, "_save", save)


@pytest.mark.parametrize("path", ["serving", "serving/0", "serving/-1", "serving/01", "serving/v1"])
def test_the_last_part_is_a_version(tiny, tmp_path, path):
    with pytest.raises(ValueError, match=r"must be a version, a positive integer.*Use '.*/1'"):
        tiny.export(tmp_path / path)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_versions_are_kept_unless_asked(tiny, tmp_path):
    path = tmp_path / "serving/1"
    tiny.export(path)
    (path / "old").touch()
    with pytest.raises(ValueError, match=r"exists. Use '.*serving/2', or overwrite=True"):
        tiny.export(path)
    assert (path / "old").exists()
    assert tiny.export(path, overwrite=True) == str(path)
    assert not (path / "old").exists()
    tiny.export(tmp_path / "serving/2")
    names = {p.name for p in (tmp_path / "serving").iterdir()}
    assert names == {"1", "2", "README.md", "batching.config", "models.config"}


@pytest.mark.usefixtures("quick")
def test_failures_leave_nothing(tiny, tmp_path, monkeypatch):
    tiny.export(tmp_path / "1")

    def fails(*arguments):
        raise RuntimeError("disk full")

    monkeypatch.setattr(assets, "write", fails)
    for path in (tmp_path / "1", tmp_path / "2"):
        with pytest.raises(RuntimeError, match="disk full"):
            tiny.export(path, overwrite=True)
    assert (tmp_path / "1/saved_model.pb").exists()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["1"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "int8"}, "`weights` must be 'float32' or 'float16'"),
        ({"name": "../up"}, "`name` must consist of letters"),
        ({"name": ""}, "`name` must consist of letters"),
        ({"format": "onnx"}, r"`format` must be 'tf_saved_model'.*export\(path, format='onnx'\)"),
        ({"format": "litert"}, "`format` must be 'tf_saved_model'"),
    ],
)
def test_arguments(tiny, tmp_path, options, message):
    """Keras's other formats get advice (fault 13); its own name for this one is fine."""
    with pytest.raises(ValueError, match=message):
        tiny.export(tmp_path / "1", **options)
    assert not list(tmp_path.iterdir())
    assert tiny.export(str(tmp_path / "e/1"), format="tf_saved_model") == str(tmp_path / "e/1")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("faces/serving/1", "faces"),
        ("faces/3", "faces"),
        ("my faces, 32/serving/1", "my_faces__32"),
        (".hidden/1", "hidden"),
    ],
)
def test_names(path, name):
    assert exporting.default_name(pathlib.Path("/models") / path) == name


def test_e_is_exported_if_it_was_trained():
    model = tiny_model()
    assert not exporting.trains_encoder(model)  # not compiled
    model.compile(loss_weights={"z": 0.0, "y": 0.0})
    assert not exporting.trains_encoder(model)
    model.compile(loss_weights={"y": 0.0})
    assert exporting.trains_encoder(model)


def test_mixed_precision_is_exported_in_float32(monkeypatch):
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny_model(ema_decay=0.5)
    copy = exporting._float32(model)
    assert keras.config.dtype_policy().name == "mixed_float16"
    for network, dtype in (
        (model.inference_generator, "float16"),
        (copy.inference_generator, "float32"),
    ):
        computed = {layer.compute_dtype for layer in network.decoder.layers if layer.weights}
        assert dtype in computed
    assert computed == {"float32"}
    pair = (m.inference_generator.get_weights() for m in (model, copy))
    for a, b in zip(*pair, strict=True):
        same_bits(a, b)


def test_jax_saves_first(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow tools/export"):
        tiny.export(tmp_path / "1")


# -- files beside ---------------------------------------------------------------------------------


def test_files_beside_an_export(exported, exported_fixed):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    text = (exported / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("tiny", "/models/tiny")
    assert model.model_platform == "tensorflow"
    assert "max_batch_size { value: 32 }" in (exported / "batching.config").read_text()
    assert "docker run" in (exported / "README.md").read_text()
    contract = (exported / "1/README.md").read_text()
    assert "any height and width" in contract
    assert "4 samples an image; 20,000 bytes and 4,000 pixels" in contract
    assert "`encode`" in contract
    fixed = (exported_fixed / "1/README.md").read_text()
    assert "exactly 16 x 16" in fixed
    assert "`encode`" not in fixed
    for folder in (exported, exported / "1"):
        text = (folder / "README.md").read_text()
        assert str(exported) not in text
        assert "{" not in text.replace("'{\"", "").replace('[{"b64', "").replace('": {', ""), text


def test_configurations_are_kept(tmp_path):
    (tmp_path / "batching.config").write_text("mine")
    assets.write_configuration(tmp_path, "tiny")
    assert {p.name for p in tmp_path.iterdir()} == {"models.config", "README.md", "batching.config"}
    assert (tmp_path / "batching.config").read_text() == "mine"


def test_warm_up_requests_are_answered(exported_fixed):
    from tensorflow_serving.apis import prediction_log_pb2

    from keras_uai.serving.transports import SavedModel

    path = exported_fixed / "1/assets.extra/tf_serving_warmup_requests"
    assert path.stat().st_size < 10_000
    model = SavedModel(exported_fixed / "1")
    seen = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        if inputs.get("num_samples", [0])[0] <= 4:  # the limit of these tests
            found = model.call(request.model_spec.signature_name, inputs, None)
            assert len(next(iter(found.values()))) == 1
            seen.append(request.model_spec.signature_name)
    assert seen == ["serving_default", "tile", "describe", "pixels", "image_bytes"]


# -- tools/export ---------------------------------------------------------------------------------


def test_the_tool(tmp_path, tiny):
    tiny.save(tmp_path / "tiny.keras")
    folder = tmp_path / "models/faces"
    flags = [f"--model={tmp_path / 'tiny.keras'}", f"--out={folder}", "--weights=float16"]
    done = subprocess.run(
        [sys.executable, ROOT / "tools/export", *flags, "--max_samples=3"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Written: " in done.stdout
    assert "docker run" in done.stdout
    loaded = tf.saved_model.load(str(folder / "1"))
    assert "encode" in loaded.signatures  # the losses it was saved with train E
    assert sum(v.shape.rank > 1 for v in loaded.stored) > 5
    assert all(v.dtype == ("float16" if v.shape.rank > 1 else "float32") for v in loaded.stored)
    assert "3 samples an image" in (folder / "1/README.md").read_text()


@pytest.mark.usefixtures("quick")
def test_the_next_export_keeps_files(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(presets, "load_model", lambda *_, **__: types.SimpleNamespace(model=tiny))
    options = {"model": "tiny", "out": str(tmp_path), "name": None, "weights": "float32"}
    options |= {"encode": None, "webp": False, "overwrite": False}
    options |= dict.fromkeys(Limits.__dataclass_fields__)
    exporting.run(options)
    (tmp_path / "README.md").write_text("Mine.")
    text = exporting.run(options | {"name": "other"})
    assert f"Written: {tmp_path / '2'}" in text
    assert "-e MODEL_NAME=other" in text
    assert "Kept, though they do not name other: models.config, README.md" in text
    assert (tmp_path / "README.md").read_text() == "Mine."
    assert "WebP" not in (tmp_path / "2/README.md").read_text()
    with pytest.raises(ValueError, match=r"This version exists. Use .*/3"):
        exporting.run(options | {"out": str(tmp_path / "2")})


def test_the_next_version(tmp_path):
    assert exporting.next_version(tmp_path / "new") == str(tmp_path / "new/1")
    (tmp_path / "7").mkdir()
    assert exporting.next_version(tmp_path) == str(tmp_path / "8")
    assert exporting.next_version(tmp_path / "3") == str(tmp_path / "3")


def test_the_contract_survives_json(tiny):
    for model in (tiny, models.UAI((8, 8, 1), "DropPixel(0.5)")):
        contract = Contract.of(model, Limits(max_samples=2))
        assert Contract.from_json(contract.to_json()) == contract
        assert json.loads(contract.to_json())["limits"]["max_samples"] == 2
