"""Targets of a client, and what happens when servers are busy, late or gone."""

import socket
import time

import numpy as np
import pytest

from keras_uai.serving import Client, FailedError, RefusedError, UnavailableError, transports
from keras_uai.serving.transports import refusal
from tests.serving.servers import FailureError, grpc_server, rest_server

SERVERS = {"grpc": grpc_server, "rest": rest_server}

# -- targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where", "version"),
    [
        ("grpc://host:8500/faces", "grpc://host:8500/faces", None),
        ("grpc://[::1]:8500/faces/3", "grpc://[::1]:8500/faces", 3),
        ("grpc://host:8500/faces/versions/3", "grpc://host:8500/faces", 3),
        ("grpcs://host:8500/faces", "grpcs://host:8500/faces", None),
        ("http://host:8501/v1/models/faces", "http://host:8501/v1/models/faces", None),
        ("https://host/v1/models/f/versions/3/", "https://host/v1/models/f/versions/3", None),
        ("http://host/a/v1/models/faces", "http://host/a/v1/models/faces", None),
    ],
)
def test_addresses(text, where, version):
    found = transports.connect(text)
    assert type(found) is (transports.Grpc if text.startswith("grpc") else transports.Rest)
    assert (found.where, getattr(found, "version", None)) == (where, version)
    found.close()


@pytest.mark.parametrize(
    "text",
    [
        "grpc://host/faces", "grpc://host:8500", "grpc://host:8500/faces/new", "grpc://host:999999/f",
        "grpc://:8500/faces", "http://host/faces", "http://host/v1/models/", "ftp://host/faces",
    ],
)  # fmt: skip
def test_incomplete_addresses(text):
    with pytest.raises(ValueError, match=r"A client's target must be a preset.*Received: "):
        transports.connect(text)


def test_folders(exported, tiny, tmp_path):
    """A version, the largest of several, or a saved Keras model."""
    for target in (exported, exported / "1"):
        assert transports.connect(target).where == str(exported / "1")
    (tmp_path / "10").mkdir()  # empty
    (tmp_path / "9").symlink_to(exported / "1")
    assert transports.connect(tmp_path).where == str(tmp_path / "9")
    tiny.save(tmp_path / "tiny.keras")
    assert isinstance(transports.connect(tmp_path / "tiny.keras"), transports.KerasModel)
    with pytest.raises(ValueError, match="Received: 'nobody'"):
        transports.connect("nobody")
    (tmp_path / "saved_model.pb").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"no SavedModel that can be loaded.*Received: "):
        transports.connect(tmp_path)


# -- failures -------------------------------------------------------------------------------------


def ask(url, **options):
    """One request without content."""
    with Client(url, **options) as client:
        return client.call("serving_default", {"seed": np.zeros(1, "int32")})


@pytest.fixture
def waited(monkeypatch):
    """Waits between attempts, which take no time."""
    found = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    return found


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("grpc", "UNAVAILABLE"), ("grpc", "DEADLINE_EXCEEDED"), ("rest", 503), ("rest", 429),
        ("rest", "cut"),
    ],
)  # fmt: skip
def test_transient_failures_are_tried_again(kind, code, waited):
    asked = []

    def function(spec, inputs):
        asked.append(spec)
        if len(asked) < 3:
            raise FailureError(code, "too busy")
        return {"answer": np.float32([7.0])}

    with SERVERS[kind](function) as url:
        assert ask(url)["answer"] == [7.0]
        assert len(asked) == 3
        assert len(waited) == 2
        asked.clear()
        with pytest.raises(UnavailableError, match=r"faces cannot be reached, in 1 attempts"):
            ask(url, retries=0)


@pytest.mark.parametrize(
    ("kind", "code", "error"),
    [
        ("grpc", "INVALID_ARGUMENT", RefusedError),
        ("grpc", "NOT_FOUND", RefusedError),
        ("grpc", "RESOURCE_EXHAUSTED", RefusedError),
        ("grpc", "INTERNAL", FailedError),
        ("rest", 400, RefusedError),
        ("rest", 404, RefusedError),
        ("rest", 500, FailedError),
        ("rest", "garbage", FailedError),
    ],
)
def test_lasting_failures_are_not(kind, code, error):
    asked = []

    def function(spec, inputs):
        asked.append(spec)
        raise FailureError(code, "Servable not found for request: Specific(faces, 7)")

    message = r"Specific\(faces, 7\)|TensorFlow Serving"
    with SERVERS[kind](function) as url, pytest.raises(error, match=message):
        ask(url)
    assert len(asked) == 1


@pytest.mark.parametrize("kind", list(SERVERS))
def test_a_late_server(kind):
    def function(spec, inputs):
        time.sleep(0.3)
        return {}

    late = pytest.raises(UnavailableError, match=r"(?i)DEADLINE|timed out")
    with SERVERS[kind](function) as url, late:
        ask(url, timeout=0.05, retries=0)


@pytest.mark.parametrize(
    "url", ["grpc://localhost:{}/faces", "http://localhost:{}/v1/models/faces"]
)
def test_no_server(url, waited):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match=rf"localhost:{port}.*in 2 attempts.*"):
        ask(url.format(port), retries=1)


@pytest.mark.parametrize("bad", [{"timeout": 0}, {"retries": -1}, {"concurrency": 0}])
def test_wrong_options(bad):
    with pytest.raises(ValueError, match="Received"):
        Client("grpc://localhost:1/faces", **bad)


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (
            "{{function_node __inference_f_12}} assertion failed: [`seed` has N values. Received:] "
            "[2] [for N =] [3]\n\t [[{{node Assert}}]]",
            "`seed` has N values. Received: [2] [for N =] [3]",
        ),
        ("assertion failed: [Wrong. Received:] [[1 2][3 4]]", "Wrong. Received: [[1 2][3 4]]"),
        (
            "Graph execution error:\n\nDetected at node x defined at\n<stack traces unavailable>\n"
            "Invalid PNG data, size 16\n\t [[{{node x}}]]\n\t [[x/_2]] [Op:__inference_1]",
            "Invalid PNG data, size 16",
        ),
        ("Servable not found for request: Latest(x)", "Servable not found for request: Latest(x)"),
        ("", ""),
    ],
)
def test_messages_from_within_a_graph(message, wanted):
    assert refusal(message) == wanted
