"""Transports: the ways in which a client reaches a model, and how they fail."""

import base64
import http.client
import json
import os
import re
import urllib.error
import urllib.request

import numpy as np

from keras_uai import backend
from keras_uai.presets import hubs
from keras_uai.serving.contract import Contract, predicts_mean

_GRPC_TRANSIENT = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED")
_GRPC_FAILED = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "CANCELLED")
_HTTP_TRANSIENT = (408, 429, 502, 503, 504)


class RefusedError(ValueError):
    """The model refuses the request. The same request is refused again."""


class UnavailableError(ConnectionError):
    """The model cannot be reached, or does not answer in time."""


class FailedError(RuntimeError):
    """The server failed on this request, or serves no model of keras_uai."""


def connect(target):
    """Returns the transport of a target; see `keras_uai.serving.Client`.

    Raises:
        ValueError: if there is no such model on this machine, or the address is incomplete.
    """
    text = os.fspath(target)
    if "://" not in text or hubs.is_uri(text):
        folder = _saved_model_folder(text)
        return KerasModel(text) if folder is None else SavedModel(folder)
    host = r"(?:[^/:\[\]]+|\[[^/\]]+\])"
    grpc = rf"grpc(s?)://({host}:\d{{1,5}})/([^/]+)(?:/(?:versions/)?(\d+))?/?"
    rest = rf"(https?://{host}(?::\d{{1,5}})?/(?:[^:]*/)?v1/models/[^/:]+(?:/versions/\d+)?)/?"
    if found := re.fullmatch(grpc, text):
        secure, address, model, version = found.groups()
        return Grpc(address, model, version and int(version), secure=bool(secure))
    if found := re.fullmatch(rest, text):
        return Rest(found[1])
    raise ValueError(
        "A client's target must be a preset, a run's folder, a saved model (*.keras), a "
        "SavedModel's folder, grpc://host:port/model[/version], or "
        f"http(s)://host:port/v1/models/model[/versions/version]. Received: {text!r}"
    )


def _saved_model_folder(path):
    """Returns the folder of a SavedModel: `path`, its largest version, or None."""
    names = os.listdir(path) if os.path.isdir(path) else []
    versions = sorted((name for name in names if name.isdecimal()), key=int, reverse=True)
    for folder in (path, *(os.path.join(path, version) for version in versions)):
        if os.path.isfile(os.path.join(folder, "saved_model.pb")):
            return folder
    return None


class Transport:
    """A way to reach a model, whose address is `where`.

    `call(signature, inputs, timeout)` returns the outputs of a signature as arrays. It raises the
    errors of this module.
    """

    remote = False  # whether requests travel to a server

    def close(self):
        """Ends connections."""


class KerasModel(Transport):
    """A preset, a run or a `.keras` file, run by Keras on any backend; large images by tiles."""

    def __init__(self, target):
        from keras_uai import presets

        self.where = target
        self.model = presets.load_model(target).model

    def call(self, signature, inputs, timeout):
        contract = Contract.of(self.model)
        if signature == "describe":
            return {"contract": np.array([contract.to_json()])}
        values = contract.values
        y, mask, seeds = (inputs[name] for name in ("y", "mask", "seed"))
        y = y if values.is_bounded else values.encode(y)
        inference, tiles = self.model.inference, (32, "auto")  # the client has checked the arrays
        samples = inference.inpaint(y, y, mask, int(inputs["num_samples"].max()), seeds, *tiles)
        mean = samples.mean(axis=1)
        if predicts_mean(self.model):
            mean = inference.predict_mean(y, y, mask, *tiles)
        std = samples.std(axis=1, ddof=1) if samples.shape[1] > 1 else np.zeros_like(mean)
        if not values.is_bounded:
            samples, mean, std = values.decode(samples), values.decode(mean), std * values.scale
        return {"samples": samples, "mean": mean, "std": std}


class SavedModel(Transport):
    """A SavedModel on this machine, run by TensorFlow; `path` is the folder of one version."""

    def __init__(self, path):
        tf = backend.tensorflow("A SavedModel is run by TensorFlow")
        self.where = os.fspath(path)
        try:
            self._module = tf.saved_model.load(self.where)  # owns the signatures' variables
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                f"This folder holds no SavedModel that can be loaded: {error}. "
                f"Received: {self.where}"
            ) from error

    def call(self, signature, inputs, timeout):
        import tensorflow as tf

        signatures = self._module.signatures
        if signature not in signatures:
            raise RefusedError(
                f"The SavedModel must be an export of keras_uai. Received: {self.where}, with the "
                f"signatures {sorted(signatures)}"
            )
        function = signatures[signature]
        specs = function.structured_input_signature[1]
        try:
            feed = {name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()}
            return {name: value.numpy() for name, value in function(**feed).items()}
        except tf.errors.OpError as error:
            raise RefusedError(refusal(error.message)) from error


class Grpc(Transport):
    """A model behind TensorFlow Serving's gRPC interface at the address `host:port`."""

    remote = True

    def __init__(self, address, model, version, secure):
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self.where = f"grpc{'s' if secure else ''}://{address}/{model}"
        self.model = model
        self.version = version
        # An answer may be as large as the model's limits allow.
        options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        if secure:
            credentials = grpc.ssl_channel_credentials()
            self._channel = grpc.secure_channel(address, credentials, options=options)
        else:
            self._channel = grpc.insecure_channel(address, options=options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def call(self, signature, inputs, timeout):
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        if self.version is not None:
            request.model_spec.version.value = self.version
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            response = self._stub.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            code, text = error.code().name, refusal(error.details() or "")
            if code in _GRPC_TRANSIENT:
                raise UnavailableError(f"{code}: {text}") from error
            if code in _GRPC_FAILED:
                raise FailedError(f"The server failed with {code}: {text}") from error
            raise RefusedError(f"{text} ({code})") from error
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    def close(self):
        self._channel.close()


class Rest(Transport):
    """A model behind TensorFlow Serving's REST interface: `http(s)://host:port/v1/models/NAME`."""

    remote = True

    def __init__(self, url):
        self.where = url

    def call(self, signature, inputs, timeout):
        columns = {name: _to_json(name, value) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.where}:predict", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                outputs = json.load(response)["outputs"]
        except urllib.error.HTTPError as error:
            with error:
                text = f"{_error_text(error.read())} (HTTP {error.code})"
            if error.code in _HTTP_TRANSIENT:
                raise UnavailableError(text) from error
            if error.code >= 500:
                raise FailedError(f"The server failed: {text}") from error
            raise RefusedError(text) from error
        except (ValueError, TypeError, KeyError) as error:
            raise FailedError(
                f"{self.where} does not answer as TensorFlow Serving does. Received: {error!r}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            # Refused, reset, cut short, too late: URLError and TimeoutError are OSErrors.
            reason = getattr(error, "reason", error)
            raise UnavailableError(f"{type(reason).__name__}: {reason}") from error
        return {name: _from_json(name, value) for name, value in outputs.items()}


def refusal(message):
    """Returns the readable part of an error message from a graph: its text and values."""
    message = message.split("<stack traces unavailable>")[-1]
    message = re.split(r"\n\t ?\[\[|\[\[?\{\{node", message)[0].strip()
    _, assertion, text = message.partition("assertion failed: [")
    return text.replace("Received:]", "Received:", 1) if assertion else message


def _error_text(body):
    try:
        return refusal(str(json.loads(body)["error"]))
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()


def _to_json(name, value):
    if not name.endswith("_bytes"):
        return np.asarray(value).tolist()
    return [{"b64": base64.b64encode(data).decode("ascii")} for data in value]


def _from_json(name, value):
    if not name.endswith("_bytes"):
        return np.asarray(value)
    decode = np.vectorize(lambda item: base64.b64decode(item["b64"]), otypes=[object])
    return decode(np.array(value, dtype=object))
