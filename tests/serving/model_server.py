"""Model servers to test exports on: TensorFlow's own if there is one, and a small double."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

from tests.serving import server_double


@contextlib.contextmanager
def double(name, folder):
    """`(host:port of gRPC, URL of REST)` of the double."""
    process = subprocess.Popen(
        [sys.executable, server_double.__file__, name, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    try:
        grpc_port, rest_port = process.stdout.readline().split()
        yield f"localhost:{grpc_port}", f"http://localhost:{rest_port}"
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@contextlib.contextmanager
def started(name, command, end, grpc_port, rest_port):
    """The same of a server's command, once a version is there."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet)
    try:
        url = f"http://localhost:{rest_port}"
        _wait(f"{url}/v1/models/{name}", lambda: process.poll() is None)
        yield f"localhost:{grpc_port}", url
    finally:
        end(process)
        process.wait(60)


def binary(name, folder):
    """The same of a `tensorflow_model_server`."""
    ports = _free_port(), _free_port()
    command = [_binary(), f"--port={ports[0]}", f"--rest_api_port={ports[1]}"]
    command += [f"--model_name={name}", f"--model_base_path={folder}"]
    return started(name, command, lambda process: process.terminate(), *ports)


def container(name, folder):
    """The same of the image tensorflow/serving."""
    ports = _free_port(), _free_port()
    container, engine = f"keras_uai-{uuid.uuid4().hex[:8]}", _engine()
    command = [engine, "run", "--rm", "--name", container, "-p", f"{ports[0]}:8500"]
    command += ["-p", f"{ports[1]}:8501", "-v", f"{folder}:/models/{name}:ro"]
    command += ["-e", f"MODEL_NAME={name}", "tensorflow/serving"]

    def end(process):
        subprocess.run([engine, "kill", container], capture_output=True, check=False)

    return started(name, command, end, *ports)


SERVERS = {"double": double, "tensorflow_model_server": binary, "container": container}


def why_not(kind):
    """Why there is no such server here, or None."""
    if kind == "tensorflow_model_server" and not _binary():
        return "no tensorflow_model_server: neither TENSORFLOW_MODEL_SERVER nor the PATH has one"
    if kind == "container":
        engine = _engine()
        if not engine:
            return "no container engine: neither docker nor podman is on the PATH"
        done = subprocess.run([engine, "info"], capture_output=True, timeout=60, check=False)
        if done.returncode:
            return f"the container engine {engine} has no daemon that answers"
        image = [engine, "image", "inspect", "tensorflow/serving"]
        if subprocess.run(image, capture_output=True, timeout=60, check=False).returncode:
            return f"no image tensorflow/serving here: {engine} pull tensorflow/serving"
    return None


def _binary():
    return os.environ.get("TENSORFLOW_MODEL_SERVER") or shutil.which("tensorflow_model_server")


def _engine():
    return shutil.which("docker") or shutil.which("podman")


def _free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def _wait(url, alive, seconds=180):
    """Until the server says that a version is there."""
    end = time.monotonic() + seconds
    while alive() and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if b"AVAILABLE" in answer.read():
                return
        time.sleep(0.2)
    raise RuntimeError(f"The server did not come up. Received: {url}")
