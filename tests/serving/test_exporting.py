"""Exports appear whole or not at all, where servers look for them, with all that servers need."""

import pathlib
import types

import keras
import numpy as np
import pytest

from keras_uai import presets
from keras_uai.cli import export
from keras_uai.serving import Limits, assets, exporting, signatures
from keras_uai.serving.transports import SavedModel
from tests.serving.conftest import tiny_model
from tests.serving.photographs import batch
from tests.testing import read_only, same_bits

tf = pytest.importorskip("tensorflow")


@pytest.fixture
def quick(monkeypatch):
    """Writes no graph: the tests are about all around it."""

    def save(module, folder, signatures):
        (pathlib.Path(folder) / "saved_model.pb").write_text("graph")

    monkeypatch.setattr(signatures, "build", lambda *_: (None, {}))
    monkeypatch.setattr(tf.saved_model, "save", save)


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
    assert {p.name for p in (tmp_path / "serving").iterdir()} == {"1", "2"}
    names = {p.name for p in path.iterdir()}
    assert names == {"saved_model.pb", "README.md", "batching.config", "assets.extra"}


@pytest.mark.usefixtures("quick")
def test_failures_leave_nothing(tiny, tmp_path, monkeypatch):
    tiny.export(tmp_path / "1")

    def fails(*arguments):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(assets, "write", fails)
    for path in (tmp_path / "1", tmp_path / "2"):
        with pytest.raises(OSError, match="export cannot be written: No space left"):
            tiny.export(path, overwrite=True)
    assert (tmp_path / "1/saved_model.pb").exists()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["1"]


@pytest.mark.usefixtures("quick")
def test_a_read_only_folder(tiny, tmp_path):
    with read_only(tmp_path), pytest.raises(OSError, match=f"Read-only file system: '{tmp_path}"):
        tiny.export(tmp_path / "1")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "int8"}, "`weights` must be 'float32' or 'float16'"),
        ({"format": "onnx"}, r"`format` must be 'tf_saved_model'.*export\(path, format='onnx'\)"),
    ],
)
def test_arguments(tiny, tmp_path, options, message):
    """Keras's other formats get advice (fault 13)."""
    with pytest.raises(ValueError, match=message):
        tiny.export(tmp_path / "1", **options)
    assert not list(tmp_path.iterdir())


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


def test_texts_of_an_export(exported, exported_fixed):
    assert "max_batch_size { value: 32 }" in (exported / "1/batching.config").read_text()
    text, fixed = ((folder / "1/README.md").read_text() for folder in (exported, exported_fixed))
    wanted = ("any height and width", "4 samples an image; 4,000 pixels an image")
    for words in (*wanted, "docker run", "-e MODEL_NAME=tiny"):
        assert words in text
    assert "exactly 16 x 16" in fixed
    assert str(exported) not in text
    assert "{" not in text.replace("'{\"", "").replace('[{"b64', "").replace('": {', ""), text


def test_every_tensor_has_the_batch_first(exported):
    """TensorFlow Serving splits requests and answers along it."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((exported / "1/saved_model.pb").read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    names = {"serving_default", "tile", "image_bytes", "describe"}
    assert names <= set(signatures)
    for name in names:
        for tensors in (signatures[name].inputs, signatures[name].outputs):
            assert {tensor.tensor_shape.dim[0].size for tensor in tensors.values()} == {-1}


def test_warm_up_requests_are_answered(exported_fixed):
    from tensorflow_serving.apis import prediction_log_pb2

    path = exported_fixed / "1/assets.extra/tf_serving_warmup_requests"
    assert path.stat().st_size < 10_000
    model = SavedModel(exported_fixed / "1")
    seen = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        found = model.call(request.model_spec.signature_name, inputs, None)
        assert len(next(iter(found.values()))) == 1
        seen.append(request.model_spec.signature_name)
    assert seen == ["serving_default", "tile", "describe", "image_bytes"]


# -- tools/export ---------------------------------------------------------------------------------


def test_the_tool_and_float16_kernels(exporting, fixed):
    done, folder = exporting
    assert done.returncode == 0, done.stderr
    assert "Written: " in done.stdout
    assert "docker run" in done.stdout
    loaded = tf.saved_model.load(str(folder / "1"))
    assert sum(v.shape.rank > 1 for v in loaded.stored) > 5
    assert all(v.dtype == ("float16" if v.shape.rank > 1 else "float32") for v in loaded.stored)
    y, mask = batch(2, (16, 16))
    rows = {"seed": np.array([1, 2]), "num_samples": np.int32([2, 2])}
    found = SavedModel(folder / "1").call("serving_default", {"y": y, "mask": mask, **rows}, None)
    wanted = fixed.inpaint(y, mask, 2, [1, 2])
    np.testing.assert_allclose(found["samples"], wanted, atol=5e-3)
    assert np.abs(found["samples"] - wanted).max() > 0


@pytest.mark.usefixtures("quick")
def test_the_next_version_and_the_name(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(presets, "load_model", lambda *_, **__: types.SimpleNamespace(model=tiny))
    options = {"model": "tiny", "out": str(tmp_path / "my faces, 32/serving"), "name": None}
    options |= {"weights": "float32", "overwrite": False}
    options |= dict.fromkeys(Limits.__dataclass_fields__)
    for version, name in (("1", None), ("2", "the other")):
        text = export.run(options | {"name": name})
        assert f"my faces, 32/serving/{version} (" in text
        assert f"-e MODEL_NAME={'the_other' if name else 'my_faces__32'}" in text
    with pytest.raises(ValueError, match=r"This version exists. Use .*/3"):
        export.run(options | {"out": f"{options['out']}/2"})
