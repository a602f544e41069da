"""Servers for the tests of clients: TensorFlow Serving's interfaces before any function."""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import threading

import numpy as np

from tests.serving.server_double import to_json


class FailureError(Exception):
    """What a test's function raises to have the server answer with an error."""

    def __init__(self, code, message="", retry_after=None):
        super().__init__(message)
        self.code, self.retry_after = code, retry_after


@contextlib.contextmanager
def grpc_server(function):
    """The address of a server that answers with `function(spec, inputs) -> outputs`.

    `spec` is a dict of `name`, `version` and `signature`. A `FailureError`'s code is the name of a
    gRPC status.
    """
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802 (gRPC's name)
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None
            spec = {"name": spec.name, "version": version, "signature": spec.signature_name}
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            try:
                outputs = function(spec, inputs)
            except FailureError as failure:
                context.abort(getattr(grpc.StatusCode, failure.code), str(failure))
            response = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return response

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"grpc://localhost:{port}/faces"
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def rest_server(function):
    """The same over HTTP; a `FailureError`'s code is a number, or "garbage", "cut"."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            spec = {"path": self.path, "signature": body["signature_name"]}
            try:
                outputs = function(spec, {n: _array(n, v) for n, v in body["inputs"].items()})
                found = {"outputs": {n: to_json(n, np.asarray(v)) for n, v in outputs.items()}}
                self.answer(200, json.dumps(found).encode())
            except FailureError as failure:
                if failure.code == "garbage":
                    self.answer(200, b"<html>")
                elif failure.code == "cut":
                    self.close_connection = True
                else:
                    after = {"Retry-After": failure.retry_after} if failure.retry_after else {}
                    self.answer(failure.code, json.dumps({"error": str(failure)}).encode(), after)

        def answer(self, code, body, headers=None):
            self.send_response(code)
            for name, value in {**(headers or {}), "Content-Length": len(body)}.items():
                self.send_header(name, str(value))
            with contextlib.suppress(BrokenPipeError):  # of a client that waits no longer
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *args):
            """Nothing: tests are quiet."""

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/v1/models/faces"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _array(name, value):
    if name.endswith("_bytes"):
        return np.array([base64.b64decode(v["b64"]) for v in value], dtype=object)
    return np.array(value)
