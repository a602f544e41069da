"""The REST and gRPC contracts of a served export, on a model server or a double of it."""

import base64
import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.serving import model_server
from tests.serving.photographs import batch, decode, encode, pixels
from tests.testing import same_bits

tf = pytest.importorskip("tensorflow")
grpc = pytest.importorskip("grpc")
apis = pytest.importorskip("tensorflow_serving.apis")

NAME = "tiny"


@pytest.fixture(scope="module", params=model_server.SERVERS)
def server(request, exported):
    """`(host:port of gRPC, URL of the model)`."""
    reason = model_server.why_not(request.param)
    if reason:
        pytest.skip(f"not run on {request.param}: {reason}")
    with model_server.SERVERS[request.param](NAME, exported) as (address, url):
        yield address, f"{url}/v1/models/{NAME}"


@pytest.fixture(scope="module")
def arrays(tiny):
    y, mask = batch(2, (16, 23))
    return {"y": y, "mask": mask, "seed": np.array([5, 6]), "num_samples": np.array([2, 2])}


@pytest.fixture(scope="module")
def wanted(tiny, arrays):
    return tiny.inpaint(arrays["y"], arrays["mask"], 2, arrays["seed"])


# -- REST -----------------------------------------------------------------------------------------


def ask(url, body=None):
    """`(status, JSON)`; a `body` is posted."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_rest_columns(server, arrays, wanted):
    inputs = {name: value.tolist() for name, value in arrays.items()}
    status, found = ask(f"{server[1]}:predict", {"inputs": inputs})
    assert status == 200, found
    np.testing.assert_allclose(found["outputs"]["samples"], wanted, atol=1e-5)
    assert set(found["outputs"]) == {"samples", "mean", "std"}


def test_rest_rows(server, arrays, wanted):
    rows = [{name: value[i].tolist() for name, value in arrays.items()} for i in range(2)]
    status, found = ask(f"{server[1]}:predict", {"instances": rows})
    assert status == 200, found
    samples = [row["samples"] for row in found["predictions"]]
    np.testing.assert_allclose(samples, wanted, atol=1e-5)
    assert np.shape(found["predictions"][0]["std"]) == (16, 23, 3)


def test_rest_rows_of_files(server):
    array = pixels((12, 20))
    file = encode(array)
    row = {
        "image_bytes": {"b64": base64.b64encode(file).decode()},
        "mask_bytes": {"b64": ""}, "seed": 3, "num_samples": 2,
    }  # fmt: skip
    body = {"signature_name": "image_bytes", "instances": [row]}
    status, found = ask(f"{server[1]}/versions/1:predict", body)
    assert status == 200, found
    (prediction,) = found["predictions"]
    for sample in prediction["samples_bytes"]:
        png = decode(base64.b64decode(sample["b64"]))
        observed = array[..., 3] >= 128
        same_bits(png[observed], array[..., :3][observed])


def test_rest_status_and_metadata(server):
    status, found = ask(server[1])
    assert status == 200
    (version,) = found["model_version_status"]
    assert (version["version"], version["state"]) == ("1", "AVAILABLE")
    status, found = ask(f"{server[1]}/metadata")
    assert status == 200
    assert found["model_spec"]["name"] == NAME
    signatures = found["metadata"]["signature_def"]["signature_def"]
    names = {"serving_default", "tile", "pixels", "image_bytes", "encode", "describe"}
    assert names <= set(signatures)
    image = signatures["serving_default"]["inputs"]["y"]
    assert image["dtype"] == "DT_FLOAT"
    assert [d["size"] for d in image["tensor_shape"]["dim"]] == ["-1", "-1", "-1", "3"]
    for name in names:  # TensorFlow Serving splits requests and answers along it
        tensors = signatures[name]["inputs"] | signatures[name]["outputs"]
        for tensor in tensors.values():
            assert tensor["tensor_shape"]["dim"][0]["size"] == "-1"


@pytest.mark.parametrize(
    ("path", "change", "code", "message"),
    [
        (":predict", {"num_samples": [9, 9]}, 400, "must lie in [1, 4]"),
        (
            ":predict",
            {"mask": np.ones((2, 16, 15, 1)).tolist()},
            400,
            "must have the size of their images",
        ),
        (":predict", {"y": np.full((2, 16, 23, 3), 7.0).tolist()}, 400, "lie in [-1, 1]"),
        (":predict", {"seed": None}, 400, ""),
        (":predict", {"seed": ["five", 6]}, 400, ""),
        ("/versions/7:predict", {}, 404, ""),
        ("2:predict", {}, 404, ""),
    ],
)
def test_rest_errors(server, arrays, path, change, code, message):
    inputs = {name: value.tolist() for name, value in arrays.items()} | change
    inputs = {name: value for name, value in inputs.items() if value is not None}
    status, found = ask(server[1] + path, {"inputs": inputs})
    assert status == code, found
    assert message in found["error"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"inputs": 3}', b'{"signature_name": "none"}']
)
def test_rest_garbage(server, body):
    status, found = ask(f"{server[1]}:predict", body)
    assert status == 400
    assert found["error"]


# -- gRPC -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stubs(server):
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    with grpc.insecure_channel(server[0]) as channel:
        yield (
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def predict(stubs, signature, inputs, name=NAME, version=None):
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if version is not None:
        request.model_spec.version.value = version
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    outputs = stubs[0].Predict(request, timeout=120).outputs
    return {key: tf.make_ndarray(value) for key, value in outputs.items()}


def typed(arrays):
    return {**arrays, "num_samples": arrays["num_samples"].astype("int32")}


def test_grpc(stubs, arrays, wanted):
    found = predict(stubs, "serving_default", typed(arrays), version=1)
    np.testing.assert_allclose(found["samples"], wanted, atol=1e-5)


def test_grpc_files(stubs):
    array = pixels((12, 20))
    file = encode(array)
    draws = {"seed": np.array([3]), "num_samples": np.array([2], "int32")}
    found = predict(stubs, "image_bytes", {"image_bytes": [file], "mask_bytes": [b""], **draws})
    png = decode(found["mean_bytes"][0])
    same_bits(png[array[..., 3] >= 128], array[..., :3][array[..., 3] >= 128])


def test_grpc_encode(stubs, tiny, arrays):
    found = predict(stubs, "encode", {name: arrays[name] for name in ("y", "mask")})
    mean, _ = tiny.encoder.encode(arrays["y"], arrays["mask"])
    np.testing.assert_allclose(found["mean"], mean, atol=1e-5)


@pytest.mark.parametrize(
    ("signature", "change", "where", "code", "message"),
    [
        ("serving_default", {"num_samples": np.int32([0, 1])}, {}, "INVALID_ARGUMENT", "[1, 4]"),
        ("serving_default", {"seed": np.int64([0])}, {}, "INVALID_ARGUMENT", "`seed` must have"),
        ("serving_default", {"seed": np.float32([0, 1])}, {}, "INVALID_ARGUMENT", ""),
        ("serving_default", {"y": None}, {}, "INVALID_ARGUMENT", ""),
        ("serving_default", {}, {"name": "other"}, "NOT_FOUND", ""),
        ("serving_default", {}, {"version": 7}, "NOT_FOUND", ""),
    ],
)
def test_grpc_errors(stubs, arrays, signature, change, where, code, message):
    inputs = {n: v for n, v in (typed(arrays) | change).items() if v is not None}
    with pytest.raises(grpc.RpcError) as error:
        predict(stubs, signature, inputs, **where)
    assert error.value.code() == getattr(grpc.StatusCode, code)
    assert message in error.value.details()


def test_grpc_status_and_metadata(stubs):
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = NAME
    (version,) = stubs[1].GetModelStatus(request, timeout=60).model_version_status
    assert version.version == 1
    assert version.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = NAME
    found = stubs[0].GetModelMetadata(request, timeout=60).metadata["signature_def"]
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert found.Unpack(signatures)
    inputs = signatures.signature_def["image_bytes"].inputs
    assert set(inputs) == {"image_bytes", "mask_bytes", "seed", "num_samples"}


def test_a_server_outlives_bad_requests(server, arrays, wanted):
    """After all of the above."""
    test_rest_columns(server, arrays, wanted)
