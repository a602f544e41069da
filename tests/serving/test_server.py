"""An export behind TensorFlow Serving's interfaces (or a double of them), and in TensorFlow alone."""

import base64
import contextlib
import json
import os
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from keras_uai import files
from keras_uai.serving import Client, RefusedError
from keras_uai.serving.transports import SavedModel
from tests.serving import servers
from tests.serving.photographs import batch, decode, encode, pixels
from tests.testing import same_bits

tf = pytest.importorskip("tensorflow")

SIZE = (20, 30)  # not square


@pytest.fixture(scope="module", params=["double", "tensorflow_model_server"])
def urls(request, exported):
    """`{"grpc": address, "rest": URL}`."""
    with contextlib.ExitStack() as stack:
        if request.param == "double":
            model = SavedModel(exported / "1")
            yield {
                "grpc": stack.enter_context(
                    servers.grpc_server(answers(model, "INVALID_ARGUMENT"))
                ),
                "rest": stack.enter_context(servers.rest_server(answers(model, 400))),
            }
        elif servers.binary():
            found = stack.enter_context(servers.model_server(exported))
            yield dict(zip(("grpc", "rest"), found, strict=True))
        else:
            pytest.skip(
                "neither TENSORFLOW_MODEL_SERVER nor the PATH has a tensorflow_model_server"
            )


def answers(model, refusal):
    def function(spec, inputs):
        try:
            return model.call(spec["signature"], inputs, None)
        except RefusedError as error:
            raise servers.FailureError(refusal, str(error)) from error

    return function


@pytest.fixture(scope="module")
def local(exported, tiny, tmp_path_factory):
    """Clients of targets on this machine."""
    folder = tmp_path_factory.mktemp("keras")
    tiny.save(folder / "tiny.keras")
    tiny.save_to_preset(folder / "preset", metadata={}, serving=False)
    found = {"keras": folder / "tiny.keras", "preset": folder / "preset"}
    return {way: Client(target) for way, target in {"SavedModel": exported, **found}.items()}


# -- requests as other programs send them ----------------------------------------------------------


def post(url, **body):
    """The JSON that answers a request."""
    request = urllib.request.Request(f"{url}:predict", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def test_rest_by_columns_and_by_rows(urls, tiny):
    y, mask = batch(3)
    rows = {"seed": np.array([5, 6, 7]), "num_samples": np.array([4, 4, 4])}
    arrays = {"y": y, "mask": mask, **rows}
    wanted = tiny.inpaint(y, mask, 4, [5, 6, 7])
    found = post(urls["rest"], inputs={name: value.tolist() for name, value in arrays.items()})
    assert set(found["outputs"]) == {"samples", "mean", "std"}
    np.testing.assert_allclose(found["outputs"]["samples"], wanted, atol=1e-5)
    rows = [{name: value[i].tolist() for name, value in arrays.items()} for i in range(3)]
    found = post(urls["rest"], instances=rows)["predictions"]
    np.testing.assert_allclose([row["samples"] for row in found], wanted, atol=1e-5)


def test_rest_takes_files(urls):
    array = pixels((12, 20))
    image = {"b64": base64.b64encode(encode(array)).decode()}
    row = {"image_bytes": image, "mask_bytes": {"b64": ""}, "seed": 3, "num_samples": 2}
    (found,) = post(urls["rest"], signature_name="image_bytes", instances=[row])["predictions"]
    for sample in found["samples_bytes"]:
        png = decode(base64.b64decode(sample["b64"]))
        same_bits(png[array[..., 3] > 0], array[..., :3][array[..., 3] > 0])


# -- the client ------------------------------------------------------------------------------------


def photograph(dtype):
    """`(image, seen)`."""
    image = pixels(SIZE, 3).astype(dtype)
    image = image if dtype == "uint8" else image * np.uint16(257) + np.uint16(3)
    return image, pixels(SIZE, 2, seed=1)[..., 1] > 0


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_a_photograph_through_a_server(urls, tiny, way, tmp_path):
    with Client(urls[way]) as client:
        check_client(client, tiny, tmp_path)


@pytest.mark.parametrize("way", ["SavedModel", "keras", "preset"])
def test_a_photograph_on_this_machine(local, tiny, way, tmp_path):
    close = {"uint8": 2, "uint16": 600} if way == "preset" else {}  # kernels in float16
    check_client(local[way], tiny, tmp_path, **close)


def check_client(client, tiny, tmp_path, uint8=1, uint16=1):
    for dtype, close in (("uint8", uint8), ("uint16", uint16)):
        image, seen = photograph(dtype)
        wanted = tiny.inpaint(image[None], seen[None], 2, seed=5)[0].astype(int)
        mean = tiny.predict_mean(image[None], seen[None])[0].astype(int)
        files.write_image(tmp_path / "a.png", image, (seen * 255).astype("uint8"))
        for given, mask in ((image, seen), (tmp_path / "a.png", None)):
            found = client.inpaint(given, mask, num_samples=2, seed=5)
            for one in (*found.samples, found.mean):
                assert one.dtype == dtype
                same_bits(one[seen], image[seen])
            assert np.abs(found.samples.astype(int) - wanted).max() <= close
            assert np.abs(found.mean.astype(int) - mean).max() <= close
            unit = np.iinfo(dtype).max / 255
            std = wanted.std(0, ddof=1)
            np.testing.assert_allclose(found.std, std, atol=unit * close, rtol=1e-2)
    with pytest.raises(ValueError, match="num_samples"):
        client.inpaint(image, seen, num_samples=0)


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_servers_refuse(urls, way):
    y, mask = batch(1)
    with Client(urls[way]) as client, pytest.raises(RefusedError, match=r"must lie in \[1, 4\]"):
        client.inpaint(y, mask, num_samples=5)


# -- TensorFlow alone ------------------------------------------------------------------------------

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


def test_an_export_needs_none_of_this_package(tiny, exported, tmp_path):
    y, mask = batch(3)
    rows = {"seed": np.array([5, 6, 7]), "num_samples": np.array([4, 4, 4], "int32")}
    np.savez(tmp_path / "request.npz", y=y, mask=mask, **rows)
    done = subprocess.run(
        [sys.executable, "-P", "-c", _ALONE, exported / "1", "request.npz", "answer.npz"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert not done.returncode, done.stderr
    samples = tiny.inpaint(y, mask, 4, [5, 6, 7])
    with np.load(tmp_path / "answer.npz") as answer:
        np.testing.assert_allclose(answer["samples"], samples, atol=1e-5)
        np.testing.assert_allclose(answer["mean"], tiny.predict_mean(y, mask), atol=1e-5)
        np.testing.assert_allclose(answer["std"], samples.std(1, ddof=1), atol=1e-5)
