"""Exports appear whole or not at all, where servers look for them, with what servers need beside them."""

import pathlib
import subprocess
import sys

import keras
import pytest

from keras_uai.serving import commands, companions, exporting
from tests.testing import ROOT, run_python, same_bits, tiny_uai

tf = pytest.importorskip("tensorflow")


@pytest.fixture
def quick(monkeypatch):
    """Writing takes no time: what is tested is around it."""

    def write(model, folder, *arguments):
        (folder / "saved_model.pb").write_text("graph")
        return ["serving_default"]

    monkeypatch.setattr(exporting, "_write", write)


@pytest.mark.parametrize("path", ["serving", "serving/0", "serving/-1", "serving/01", "serving/v1"])
def test_the_last_part_is_a_version(tiny, tmp_path, path):
    with pytest.raises(ValueError, match=r"its version, a positive integer.*Use '.*/1'"):
        tiny.export(tmp_path / path)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_versions_are_not_overwritten_unless_asked(tiny, tmp_path):
    path = tmp_path / "serving/1"
    tiny.export(path)
    (path / "old").touch()
    with pytest.raises(ValueError, match=r"there already. Use '.*serving/2', or overwrite=True"):
        tiny.export(path)
    assert (path / "old").exists()
    assert tiny.export(path, overwrite=True) == str(path)
    assert not (path / "old").exists()
    tiny.export(tmp_path / "serving/2")
    names = {p.name for p in (tmp_path / "serving").iterdir()}
    assert names == {"1", "2", "README.md", "batching.config", "models.config"}


@pytest.mark.usefixtures("quick")
def test_what_fails_leaves_nothing(tiny, tmp_path, monkeypatch):
    tiny.export(tmp_path / "1")

    def fails(*arguments):
        raise RuntimeError("disk full")

    monkeypatch.setattr(companions, "write", fails)
    for path in (tmp_path / "1", tmp_path / "2"):
        with pytest.raises(RuntimeError, match="disk full"):
            tiny.export(path, overwrite=True)
    assert (tmp_path / "1/saved_model.pb").exists()
    assert not [
        p for p in tmp_path.iterdir() if p.name not in ("1", "README.md") and p.suffix == ""
    ]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "int8"}, '`weights` is "float32" or "float16"'),
        ({"name": "../up"}, "is made of letters"),
        ({"name": ""}, "is made of letters"),
    ],
)
def test_arguments(tiny, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        tiny.export(tmp_path / "1", **options)
    assert not list(tmp_path.iterdir())


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


def test_e_is_exported_where_it_was_trained():
    model = tiny_uai()
    assert not exporting.trains_encoder(model)  # not compiled: nothing is known
    model.compile(loss_weights={"z": 0.0, "y": 0.0})
    assert not exporting.trains_encoder(model)
    model.compile(loss_weights={"y": 0.0})
    assert exporting.trains_encoder(model)


def test_models_of_mixed_precision_are_exported_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny_uai()
    copy = exporting._float32(model)
    assert keras.config.dtype_policy().name == "mixed_float16"
    assert exporting._computes_in_float32(copy)
    assert not exporting._computes_in_float32(model)
    for a, b in zip(model.generator.get_weights(), copy.generator.get_weights(), strict=True):
        same_bits(a, b)


def test_jax_saves_first():
    out = run_python(
        "import os\nos.environ['KERAS_BACKEND'] = 'jax'\n"
        "from tests.testing import tiny_uai\n"
        "try:\n    tiny_uai().export('serving/1')\n"
        "except RuntimeError as error:\n    print(error)"
    )
    assert "KERAS_BACKEND=tensorflow tools/export" in out


def test_what_lies_beside(exported):
    """On the export that all tests use."""
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    text = (exported / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == (
        "tiny", "/models/tiny", "tensorflow",
    )  # fmt: skip
    assert "max_batch_size { value: 32 }" in (exported / "batching.config").read_text()
    assert "docker run" in (exported / "README.md").read_text()
    contract = (exported / "1/README.md").read_text()
    assert "4 samples an image; 20,000 bytes and 4,000 pixels" in contract
    assert "`encode`" in contract
    for file in ("README.md", "1/README.md"):
        text = (exported / file).read_text()
        assert str(exported) not in text
        assert "{" not in text.replace("'{\"", "").replace('[{"b64', "").replace('": {', ""), text


def test_configurations_are_kept(exported, tmp_path):
    (tmp_path / "batching.config").write_text("mine")
    written = companions.write_configuration(tmp_path, "tiny")
    assert [pathlib.Path(p).name for p in written] == ["models.config", "README.md"]
    assert (tmp_path / "batching.config").read_text() == "mine"


def test_warm_up_requests_are_answered(exported, serve):
    from tensorflow_serving.apis import prediction_log_pb2

    path = exported / "1/assets.extra/tf_serving_warmup_requests"
    assert path.stat().st_size < 10_000
    seen = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        if inputs.get("num_samples", [0])[0] > 4:
            continue  # beyond these tests' limits
        found = serve(request.model_spec.signature_name, **inputs)
        assert len(next(iter(found.values()))) == 1
        seen.append(request.model_spec.signature_name)
    assert seen == ["serving_default", "uint8", "image_bytes", "encode"]


# -- tools/export ---------------------------------------------------------------------------------


def test_the_tool(tmp_path, tiny):
    tiny.save(tmp_path / "tiny.keras")
    command = [sys.executable, ROOT / "tools/export", f"--model={tmp_path / 'tiny.keras'}"]

    def run(*flags):
        return subprocess.run(
            [*command, *flags], cwd=tmp_path, capture_output=True, text=True, timeout=600,
            check=False,
        )  # fmt: skip

    done = run("--out=models/faces", "--weights=float16", "--max_samples=3")
    assert done.returncode == 0, done.stderr
    assert "Written: " in done.stdout
    assert "docker run" in done.stdout
    loaded = tf.saved_model.load(str(tmp_path / "models/faces/1"))
    assert "encode" in loaded.signatures  # the losses it was saved with train E
    kernels = [v for v in loaded.stored.kernels if v.dtype == "float16"]
    assert len(kernels) == len(loaded.stored.kernels) > 5
    assert "3 samples an image" in (tmp_path / "models/faces/1/README.md").read_text()
    (tmp_path / "models/faces/README.md").write_text("Mine.")
    done = run("--out=models/faces", "--name=other")
    assert done.returncode == 0, done.stderr
    assert "-e MODEL_NAME=other" in done.stdout
    kept = [str(tmp_path / "models/faces" / name) for name in ("models.config", "README.md")]
    assert f"Kept as they were, without a word of other: {', '.join(kept)}" in done.stdout
    assert (tmp_path / "models/faces/README.md").read_text() == "Mine."
    done = run("--out=models/faces/1")
    assert done.returncode == 2
    assert "error: This version is there already." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_next_version(tmp_path):
    assert commands._version(str(tmp_path / "new")) == str(tmp_path / "new/1")
    (tmp_path / "7").mkdir()
    assert commands._version(str(tmp_path)) == str(tmp_path / "8")
    assert commands._version(str(tmp_path / "3")) == str(tmp_path / "3")


@pytest.mark.parametrize("path", ["nothing", "nothing.keras"])
def test_what_is_no_model(path):
    with pytest.raises(ValueError, match=r"A model is a run's folder.*Received: 'nothing"):
        commands.load(path)


def test_other_models_and_unfinished_runs(tmp_path):
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="Only models that reconstruct can be exported"):
        commands.load(str(tmp_path / "other.keras"))
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(ValueError, match=r"This run has no model.keras yet"):
        commands.load(str(tmp_path))


def test_its_graph_is_slim(exported):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((exported / "1/saved_model.pb").read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    assert functions
    assert not any("_output_shapes" in node.attr for f in functions for node in f.node_def)
