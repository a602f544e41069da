"""A double of TensorFlow's model server: `python server_double.py NAME FOLDER`.

Its gRPC and REST interfaces, as far as test_server.py uses them, over its own protos and stubs.
Prints its two ports and serves the versions in FOLDER until its input ends.
"""

import base64
import concurrent.futures
import http.server
import json
import pathlib
import re
import sys
import threading


class RequestError(Exception):
    """A request that is answered with an error; `code` is the name of a gRPC status."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


_HTTP = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404}


class Models:
    """The versions of one model, run without this package."""

    def __init__(self, name, folder):
        import tensorflow as tf

        self.tf, self.name = tf, name
        versions = sorted(int(p.name) for p in pathlib.Path(folder).iterdir() if p.name.isdecimal())
        self.loaded = {v: tf.saved_model.load(str(pathlib.Path(folder) / str(v))) for v in versions}

    def find(self, name, version=None):
        """`(version, loaded)`; the largest where none is asked for."""
        version = max(self.loaded) if version is None else int(version)
        if name != self.name or version not in self.loaded:
            raise RequestError("NOT_FOUND", f"Servable not found for request: {name}/{version}")
        return version, self.loaded[version]

    def signature(self, loaded, name):
        name = name or "serving_default"
        if name not in loaded.signatures:
            raise RequestError("INVALID_ARGUMENT", f"Serving signature name not found: {name!r}")
        return loaded.signatures[name]

    def predict(self, signature, feeds):
        """Tensors in, numpy arrays out."""
        specs = signature.structured_input_signature[1]
        if set(feeds) != set(specs):
            raise RequestError(
                "INVALID_ARGUMENT",
                f"Inputs are {sorted(specs)}; missing or unknown: {sorted(set(feeds) ^ set(specs))}",
            )
        for name, value in feeds.items():
            if value.dtype != specs[name].dtype:
                wanted = specs[name].dtype.name
                raise RequestError(
                    "INVALID_ARGUMENT", f"{name} is to be {wanted} but is {value.dtype.name}"
                )
        try:
            return {name: value.numpy() for name, value in signature(**feeds).items()}
        except (self.tf.errors.OpError, TypeError, ValueError) as error:
            raise RequestError("INVALID_ARGUMENT", str(error)) from error


def grpc_server(models):
    """A started gRPC server, and its port."""
    import grpc
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    tf = models.tf

    def answer(function):
        def method(self, request, context):
            try:
                version = request.model_spec.version.value or None
                found = models.find(request.model_spec.name, version)
                return function(request, *found)
            except RequestError as error:
                return context.abort(getattr(grpc.StatusCode, error.code), str(error))

        return method

    def predict(request, version, loaded):
        signature = models.signature(loaded, request.model_spec.signature_name)
        feeds = {n: tf.constant(tf.make_ndarray(v)) for n, v in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, value in models.predict(signature, feeds).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        response.model_spec.CopyFrom(request.model_spec)
        response.model_spec.version.value = version
        return response

    def metadata(request, version, loaded):
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name, response.model_spec.version.value = models.name, version
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in loaded.signatures.items():
            definition = found.signature_def[name]
            definition.method_name = "tensorflow/serving/predict"
            inputs = signature.structured_input_signature[1].items()
            for kind, specs in (
                ("inputs", inputs),
                ("outputs", signature.structured_outputs.items()),
            ):
                for key, spec in specs:
                    getattr(definition, kind)[key].dtype = spec.dtype.as_datatype_enum
                    getattr(definition, kind)[key].tensor_shape.CopyFrom(spec.shape.as_proto())
        response.metadata["signature_def"].Pack(found)
        return response

    def status(request, version, loaded):
        response = get_model_status_pb2.GetModelStatusResponse()
        for there in [version] if request.model_spec.version.value else models.loaded:
            one = response.model_version_status.add(version=there)
            one.state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        return response

    class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
        Predict = answer(predict)
        GetModelMetadata = answer(metadata)

    class Model(model_service_pb2_grpc.ModelServiceServicer):
        GetModelStatus = answer(status)

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Model(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    return server, port


_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>\d+))?(?P<verb>/metadata|:predict)?$"
)


def rest_server(models):
    """A started HTTP server, and its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.answer(None)

        def do_POST(self):
            self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def answer(self, body):
            try:
                code, found = 200, rest(models, self.path, body)
            except RequestError as error:
                code, found = _HTTP[error.code], {"error": str(error)}
            data = json.dumps(found).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            """Nothing: tests are quiet."""

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server, server.server_port


def rest(models, path, body):
    """The JSON that answers a request; `body` is None for GET."""
    match = _PATH.match(path)
    if not match or (body is None) != (match["verb"] != ":predict"):
        raise RequestError("INVALID_ARGUMENT", f"Malformed request: {path}")
    version, loaded = models.find(match["name"], match["version"])
    if match["verb"] == "/metadata":
        spec = {"name": models.name, "signature_name": "", "version": str(version)}
        return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": {
            name: _described(signature) for name, signature in loaded.signatures.items()
        }}}}  # fmt: skip
    if body is None:
        there = [version] if match["version"] else sorted(models.loaded, reverse=True)
        fine = {"error_code": "OK", "error_message": ""}
        return {"model_version_status": [
            {"version": str(v), "state": "AVAILABLE", "status": fine} for v in there
        ]}  # fmt: skip
    try:
        request = json.loads(body)
    except ValueError as error:
        raise RequestError("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
    if not isinstance(request, dict) or ("instances" in request) == ("inputs" in request):
        raise RequestError("INVALID_ARGUMENT", "JSON must have one of 'instances' and 'inputs'")
    signature = models.signature(loaded, request.get("signature_name"))
    rows = request.get("instances")
    columns = request.get("inputs") if rows is None else _columns(rows)
    outputs = models.predict(signature, _tensors(models.tf, signature, columns))
    if rows is None:
        return {"outputs": {name: to_json(name, value) for name, value in outputs.items()}}
    values = {name: to_json(name, value) for name, value in outputs.items()}
    return {"predictions": [{n: v[i] for n, v in values.items()} for i in range(len(rows))]}


def _described(signature):
    def info(specs):
        return {
            name: {
                "dtype": f"DT_{'FLOAT' if s.dtype.name == 'float32' else s.dtype.name.upper()}",
                "tensor_shape": {
                    "dim": [{"size": str(n or -1), "name": ""} for n in s.shape],
                    "unknown_rank": False,
                },
            }
            for name, s in specs.items()
        }

    return {
        "inputs": info(signature.structured_input_signature[1]),
        "outputs": info(signature.structured_outputs),
        "method_name": "tensorflow/serving/predict",
    }


def _columns(rows):
    if not rows or not all(isinstance(row, dict) and set(row) == set(rows[0]) for row in rows):
        raise RequestError(
            "INVALID_ARGUMENT", "'instances' is a list of objects with the same keys"
        )
    return {name: [row[name] for row in rows] for name in rows[0]}


def _tensors(tf, signature, columns):
    specs = signature.structured_input_signature[1]
    if not isinstance(columns, dict):
        raise RequestError("INVALID_ARGUMENT", f"The inputs {sorted(specs)} must be named")
    try:
        return {
            name: tf.constant(_decoded(value), specs[name].dtype)
            for name, value in columns.items()
            if name in specs
        }
    except (ValueError, TypeError) as error:
        raise RequestError("INVALID_ARGUMENT", f"JSON Value: {error}") from error


def _decoded(value):
    if isinstance(value, list):
        return [_decoded(v) for v in value]
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    return value


def to_json(name, value):
    """Strings are base64 if the output's name ends in `_bytes`, else text."""
    if value.dtype != object:
        return value.tolist()
    if value.ndim > 1:
        return [to_json(name, v) for v in value]
    if not name.endswith("_bytes"):
        return [v.decode() for v in value]
    return [{"b64": base64.b64encode(v).decode()} for v in value]


def main(name, folder):
    models = Models(name, folder)
    server, grpc_port = grpc_server(models)
    _, rest_port = rest_server(models)
    print(grpc_port, rest_port, flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main(*sys.argv[1:])
