"""Servers for tests: TensorFlow Serving's interfaces before any function, and its own server."""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request

import numpy as np


class FailureError(Exception):
    """What a test's function raises to have the server answer with an error."""

    def __init__(self, code, message=""):
        super().__init__(message)
        self.code = code


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
    """The same over HTTP, by columns or rows; a `FailureError`'s code is a number, "garbage", "cut"."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            spec = {"path": self.path, "signature": body.get("signature_name", "serving_default")}
            rows = body.get("instances")
            columns = body["inputs"] if rows is None else _columns(rows)
            try:
                outputs = function(spec, {n: _array(n, v) for n, v in columns.items()})
                outputs = {n: _to_json(n, np.asarray(v)) for n, v in outputs.items()}
                found = {"outputs": outputs}
                if rows is not None:
                    many = range(len(rows))
                    found = {"predictions": [{n: v[i] for n, v in outputs.items()} for i in many]}
                self.answer(200, json.dumps(found).encode())
            except FailureError as failure:
                if failure.code == "garbage":
                    self.answer(200, b"<html>")
                elif failure.code == "cut":
                    self.close_connection = True
                else:
                    self.answer(failure.code, json.dumps({"error": str(failure)}).encode())

        def answer(self, code, body):
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
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


def _columns(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def _array(name, value):
    if name.endswith("_bytes"):
        return np.array([base64.b64decode(v["b64"]) for v in value], dtype=object)
    return np.array(value)


def _to_json(name, value):
    """Strings are base64 if the output's name ends in `_bytes`, else text."""
    if value.dtype != object:
        return value.tolist()
    if value.ndim > 1:
        return [_to_json(name, v) for v in value]
    if not name.endswith("_bytes"):
        return [v.decode() for v in value]
    return [{"b64": base64.b64encode(v).decode()} for v in value]


# -- TensorFlow Serving ----------------------------------------------------------------------------


def binary():
    """Path of a `tensorflow_model_server`, or None."""
    return os.environ.get("TENSORFLOW_MODEL_SERVER") or shutil.which("tensorflow_model_server")


@contextlib.contextmanager
def model_server(folder):
    """The addresses of both interfaces of a `tensorflow_model_server`."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            ports.append(free.getsockname()[1])
    command = [binary(), f"--port={ports[0]}", f"--rest_api_port={ports[1]}"]
    command += ["--model_name=faces", f"--model_base_path={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://localhost:{ports[1]}/v1/models/faces"
    try:
        end = time.monotonic() + 180
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                if b"AVAILABLE" in answer.read():
                    break
            time.sleep(0.2)
        yield f"grpc://localhost:{ports[0]}/faces", url
    finally:
        process.terminate()
        process.wait(60)
