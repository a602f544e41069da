"""An export runs without this package: in TensorFlow alone, and in its C library."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.serving import c_library
from tests.serving.photographs import batch, decode, encode, pixels

tf = pytest.importorskip("tensorflow")

_ALONE = """
import sys
sys.modules["keras"] = sys.modules["keras_uai"] = None  # an import of either fails
import numpy as np
import tensorflow as tf
signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
with np.load(sys.argv[2]) as request:
    answer = signature(**{name: tf.constant(request[name]) for name in request})
np.savez(sys.argv[3], **{name: value.numpy() for name, value in answer.items()})
"""


@pytest.fixture(scope="module")
def request_arrays():
    y, mask = batch(3)
    seeds, num_samples = np.array([5, 6, 7], "int64"), np.array([2, 2, 2], "int32")
    return {"y": y, "mask": mask, "seed": seeds, "num_samples": num_samples}


def run(arguments, folder):
    """Runs Python in a folder of its own, where it finds no package of ours."""
    done = subprocess.run(
        [sys.executable, "-P", *map(str, arguments)], cwd=folder, capture_output=True, text=True,
        timeout=300, check=False, env={**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout


def test_tensorflow_alone(tiny, exported, request_arrays, tmp_path):
    np.savez(tmp_path / "request.npz", **request_arrays)
    run(["-c", _ALONE, exported / "1", tmp_path / "request.npz", tmp_path / "answer.npz"], tmp_path)
    with np.load(tmp_path / "answer.npz") as answer:
        check(answer, tiny, request_arrays)


def check(answer, tiny, request):
    y, mask, seeds = request["y"], request["mask"], request["seed"]
    samples = tiny.inpaint(y, mask, 2, seeds)
    np.testing.assert_allclose(answer["samples"], samples, atol=1e-5)
    np.testing.assert_allclose(answer["mean"], tiny.predict_mean(y, mask), atol=1e-5)
    np.testing.assert_allclose(answer["std"], samples.std(1, ddof=1), atol=1e-5)


# -- the C library --------------------------------------------------------------------------------


def libraries():
    """TensorFlow's shared libraries, without importing TensorFlow's Python."""
    folder = pathlib.Path(importlib.util.find_spec("tensorflow").origin).parent
    return [p for name in ("framework", "cc") for p in folder.glob(f"libtensorflow_{name}.*")]


WRONG = {
    "rank": ({"y": np.zeros((16, 16, 3), "float32")}, "must have the shape (N, H, W, 3)"),
    "channels": (
        {"y": np.zeros((3, 16, 16, 1), "float32")},
        "must have the shape (N, H, W, 3)",
    ),
    "mask": (
        {"mask": np.zeros((3, 16, 15, 1), "float32")},
        "Masks must have the size of their images",
    ),
    "seed": ({"seed": np.zeros((3, 1), "int64")}, "`seed` must have one row an image"),
    "count": ({"num_samples": np.zeros((1,), "int32")}, "`num_samples` must have one row"),
    "values": ({"y": np.full((3, 20, 30, 3), np.nan, "float32")}, "must be finite"),
    "dtype": ({"y": np.zeros((3, 16, 16, 3), "int32")}, ""),  # the session's own words
}
PIXELS = pixels((20, 12))


@pytest.fixture(scope="module")
def in_c(exported, request_arrays, tmp_path_factory):
    """Answers of the C library, in one process of its own: `{name: arrays}`."""
    from tensorflow.core.protobuf import saved_model_pb2

    if len(libraries()) < 2:
        pytest.skip("this TensorFlow comes without libtensorflow_cc")
    png = encode(PIXELS)
    draws = {"seed": np.array([1], "int64"), "num_samples": np.array([2], "int32")}
    files = {"image_bytes": [png], "mask_bytes": [b""], **draws}
    requests = {
        "0 floats": ("serving_default", request_arrays),
        **{f"1 {n}": ("serving_default", request_arrays | c) for n, (c, _) in WRONG.items()},
        "2 broken": ("image_bytes", {**files, "image_bytes": [png[:-9]]}),
        "3 files": ("image_bytes", files),
    }
    folder = tmp_path_factory.mktemp("c")
    for name in ("requests", "answers"):
        (folder / name).mkdir()
    saved = saved_model_pb2.SavedModel.FromString((exported / "1/saved_model.pb").read_bytes())
    for name, (signature, arrays) in requests.items():
        names = saved.meta_graphs[0].signature_def[signature]
        packed = {f"feed {names.inputs[n].name}": v for n, v in arrays.items()}
        packed |= {f"fetch {n}": np.array(o.name) for n, o in names.outputs.items()}
        np.savez(folder / "requests" / f"{name}.npz", **c_library.pack(packed))
    places = [exported / "1", folder / "requests", folder / "answers"]
    run([c_library.__file__, *libraries(), *places], folder)
    answers = {}
    for name in requests:
        with np.load(folder / "answers" / f"{name}.npz") as answer:
            answers[name] = c_library.unpack(answer)
    return answers


def test_the_c_library(tiny, in_c, request_arrays):
    check(in_c["0 floats"], tiny, request_arrays)


def test_the_c_library_reads_files(in_c):
    found = in_c["3 files"]
    assert found["samples_bytes"].shape == (1, 2)
    image = decode(found["samples_bytes"][0, 1])
    observed = PIXELS[..., 3] >= 128
    np.testing.assert_array_equal(image[observed], PIXELS[..., :3][observed])


@pytest.mark.parametrize("name", WRONG)
def test_shapes_that_a_server_lets_through(in_c, name):
    """A session does not compare what it is fed with the signature; the graph does, and lives on."""
    found = in_c[f"1 {name}"]
    assert found["code"] == 3, found  # INVALID_ARGUMENT
    assert WRONG[name][1] in str(found["message"])


def test_a_broken_file(in_c):
    assert in_c["2 broken"]["code"] == 3
