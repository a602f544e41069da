"""Transports: the ways in which a client reaches a model.

Each has `call(signature, inputs, timeout)`, which returns the outputs of a signature as arrays,
`close()`, the address `where`, `concurrency`, the default number of requests at a time, and
`integers_by`, the signature that takes 8-bit images best.
"""

import base64
import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import tenacity

from keras_uai import backend
from keras_uai.serving import errors

MAX_WAIT = 60.0  # seconds, even if a server asks for more

_FORMS = (
    "A client's target must be a preset, a run's folder, a saved model (*.keras), a SavedModel's "
    "folder, grpc://host:port/model[/version], or "
    "http(s)://host:port/v1/models/model[/versions/version]."
)
_GRPC_TRANSIENT = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED")
_GRPC_FAILED = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "CANCELLED")
_HTTP_TRANSIENT = (408, 429, 502, 503, 504)
_JITTER = tenacity.wait_random_exponential(multiplier=0.25, max=8.0)


def with_retries(function, retries, where):
    """Returns `function()`, called again after each `TransientError`.

    Args:
        function: callable without arguments.
        retries: integer, further attempts after the first. The waits between them grow from a
            quarter of a second to 8 seconds, with jitter.
        where: string, the model's address for messages.

    Raises:
        UnavailableError: if the last attempt failed, too.
    """
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(errors.TransientError),
        stop=tenacity.stop_after_attempt(retries + 1),
        wait=_wait,
        reraise=True,
    )
    try:
        return attempts(function)
    except errors.TransientError as error:
        raise errors.UnavailableError(
            f"{where} cannot be reached, in {retries + 1} attempts. Received: {error}"
        ) from error


def _wait(state):
    """Seconds before the next attempt: at least what the server asks for."""
    asked = state.outcome.exception().wait or 0.0
    return min(MAX_WAIT, max(_JITTER(state), asked))


def connect(target):
    """Returns the transport of a target; see `keras_uai.serving.Client`.

    Raises:
        ValueError: if there is no such model on this machine, or the address is incomplete.
    """
    text = os.fspath(target)
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", text) is None:
        folder = saved_model_folder(text)
        if folder is not None:
            return SavedModel(folder)
        from keras_uai.serving.keras_model import KerasModel

        return KerasModel(text)
    parts = urllib.parse.urlsplit(text)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{_FORMS} Received: {text!r} ({error})") from error
    if parts.scheme in ("grpc", "grpcs"):
        found = re.fullmatch(r"/([^/]+)(?:/(?:versions/)?(\d+))?/?", parts.path)
        if host and port and found:
            version = int(found[2]) if found[2] else None
            return Grpc(parts.netloc, found[1], version, secure=parts.scheme == "grpcs")
    elif parts.scheme in ("http", "https"):
        model = r"(.*/v1/models/[^/:]+(?:/(?:versions|labels)/[^/:]+)?)(:predict)?/?"
        found = re.fullmatch(model, parts.path)
        if host and found:
            return Rest(f"{parts.scheme}://{parts.netloc}{found[1]}")
    raise ValueError(f"{_FORMS} Received: {text!r}")


def saved_model_folder(path):
    """Returns the folder of a SavedModel: `path`, its largest version, or None."""
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        return path
    names = os.listdir(path) if os.path.isdir(path) else []
    versions = [int(name) for name in names if name.isascii() and name.isdigit()]
    folders = [os.path.join(path, str(version)) for version in sorted(versions, reverse=True)]
    return next((f for f in folders if os.path.isfile(os.path.join(f, "saved_model.pb"))), None)


class SavedModel:
    """A SavedModel on this machine, run by TensorFlow.

    Args:
        path: string, the folder of one version, such as `NAME/serving/1`.

    Raises:
        ValueError: if the folder cannot be loaded.
    """

    concurrency = 1  # TensorFlow uses all cores for one request
    integers_by = "pixels"

    def __init__(self, path):
        tf = backend.tensorflow("A SavedModel is run by TensorFlow")
        self.where = os.fspath(path)
        try:
            self._module = tf.saved_model.load(self.where)
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                f"This folder holds no SavedModel that can be loaded: {error}. "
                f"Received: {self.where}"
            ) from error

    def call(self, signature, inputs, timeout):
        """Returns the outputs of a signature as arrays. `timeout` has no effect."""
        import tensorflow as tf

        if signature not in self._module.signatures:
            raise errors.RefusedError(
                f"The model has the signatures {sorted(self._module.signatures)}. "
                f"Received: {signature!r} of {self.where}"
            )
        function = self._module.signatures[signature]
        specs = function.structured_input_signature[1]
        try:
            feed = {name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()}
            return {name: value.numpy() for name, value in function(**feed).items()}
        except (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError) as error:
            raise errors.RefusedError(errors.refusal(error.message)) from error
        except tf.errors.ResourceExhaustedError as error:
            raise errors.RefusedError(
                "This machine has too little memory for the request: "
                f"{error.message.splitlines()[0]}"
            ) from error

    def close(self):
        self._module = None


class Grpc:
    """A model behind TensorFlow Serving's gRPC interface.

    Args:
        address: string, `host:port`.
        model: string, the model's name.
        version: integer, or None for the server's latest.
        secure: boolean, whether the connection is encrypted.
    """

    concurrency = 8
    integers_by = "pixels"

    def __init__(self, address, model, version=None, secure=False):
        try:
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc
        except ImportError as error:
            raise ImportError(
                "grpc:// needs the packages grpcio and tensorflow-serving-api; http:// needs "
                f"neither. Received: {error}"
            ) from error

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
        """Returns the outputs of a signature as arrays."""
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
            raise _grpc_error(error.code().name, error.details() or "", timeout) from error
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    def close(self):
        self._channel.close()


def _grpc_error(code, details, timeout):
    text = errors.refusal(details)
    if code in _GRPC_TRANSIENT:
        late = f" within {timeout:g} s" if code == "DEADLINE_EXCEEDED" else ""
        return errors.TransientError(f"{code}{late}: {text}")
    if code in _GRPC_FAILED:
        return errors.FailedError(f"The server failed with {code}: {text}")
    return errors.RefusedError(f"{text} ({code})")


class Rest:
    """A model behind TensorFlow Serving's REST interface.

    Args:
        url: string, `http(s)://host:port/v1/models/NAME`, with `/versions/N` if needed.
    """

    concurrency = 8
    integers_by = "image_bytes"  # JSON is no format for pixels

    def __init__(self, url):
        self.where = url

    def call(self, signature, inputs, timeout):
        """Returns the outputs of a signature as arrays."""
        columns = {name: _to_json(name, value) for name, value in inputs.items()}
        body = {"signature_name": signature, "inputs": columns}
        request = urllib.request.Request(
            f"{self.where}:predict",
            json.dumps(body, allow_nan=False).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise _http_error(error) from error
        except ValueError as error:
            raise self._not_serving(error) from error
        except (OSError, http.client.HTTPException) as error:
            # Refused, reset, cut short, too late: URLError and TimeoutError are OSErrors.
            reason = getattr(error, "reason", error)
            raise errors.TransientError(f"{type(reason).__name__}: {reason}") from error
        outputs = answer.get("outputs") if isinstance(answer, dict) else None
        if not isinstance(outputs, dict):
            raise self._not_serving("no outputs")
        return {name: _from_json(name, value) for name, value in outputs.items()}

    def _not_serving(self, found):
        return errors.FailedError(
            f"{self.where} does not answer as TensorFlow Serving does. Received: {found}"
        )

    def close(self):
        pass


def _to_json(name, value):
    value = np.asarray(value)
    if not name.endswith("_bytes"):
        return value.tolist()
    return [{"b64": base64.b64encode(v).decode("ascii")} for v in value.tolist()]


def _from_json(name, value):
    if not name.endswith("_bytes"):
        return np.asarray(value)
    rows = [_from_json(name, v) if isinstance(v, list) else v["b64"] for v in value]
    if rows and isinstance(rows[0], str):
        rows = [base64.b64decode(row) for row in rows]
    found = np.empty((len(rows), *np.shape(rows[0])) if rows else (0,), dtype=object)
    for i, row in enumerate(rows):
        found[i] = row
    return found


def _http_error(error):
    text = error.read().decode("utf-8", "replace")
    try:
        text = str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        text = text.strip() or str(error.reason)
    text = f"{errors.refusal(text)} (HTTP {error.code})"
    if error.code in _HTTP_TRANSIENT:
        wait = error.headers.get("Retry-After", "")
        return errors.TransientError(text, float(wait) if wait.isdigit() else None)
    if 400 <= error.code < 500:
        return errors.RefusedError(text)
    return errors.FailedError(f"The server failed: {text}")
