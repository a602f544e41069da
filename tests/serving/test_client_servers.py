"""The client of a server: the same answers over gRPC and REST, and what happens when there are none."""

import time

import numpy as np
import pytest

from keras_uai.serving import (
    Client,
    FailedError,
    RefusedError,
    Retries,
    UnavailableError,
    errors,
    retrying,
)
from keras_uai.serving.local import Local
from tests.serving.photographs import encode, pixels
from tests.serving.servers import FailureError, grpc_server, rest_server
from tests.testing import observations, same_bits

SERVERS = {"grpc": grpc_server, "rest": rest_server}
QUICK = Retries(2, 0.001)


@pytest.fixture(scope="module")
def local(exported):
    return Local(exported / "1")


@pytest.fixture(scope="module", params=list(SERVERS))
def server(request, local):
    """`(url, specs)` of a server of the model, and what was asked of it."""
    specs = []

    def function(spec, inputs):
        specs.append(spec)
        try:
            return local.call(spec["signature"], inputs, None)
        except errors.RefusedError as error:
            raise FailureError(
                "INVALID_ARGUMENT" if request.param == "grpc" else 400, str(error)
            ) from error

    with SERVERS[request.param](function) as url:
        yield url, specs


def test_servers_answer_as_the_local_model(server, exported, tiny):
    y, mask = observations(tiny.measurement, 3)
    with Client(server[0]) as far, Client(exported) as near:
        a, b = (c.inpaint(y, mask, 2, seed=5) for c in (far, near))
        np.testing.assert_allclose(a.samples, b.samples, atol=1e-6)
        np.testing.assert_allclose(a.std, b.std, atol=1e-6)
        assert a.samples.dtype == "float32"
        images = [pixels((8, 9)), encode(pixels()), encode(pixels(seed=2))]
        for x, z in zip(
            *(c.inpaint(images, num_samples=2, seed=1) for c in (far, near)), strict=True
        ):
            same_bits(x.samples, z.samples)
            same_bits(x.mean, z.mean)
        with pytest.raises(RefusedError, match=r"must lie in \[1, 4\]"):
            far.inpaint(y, mask, num_samples=5)
    assert {spec["signature"] for spec in server[1]} == {"serving_default", "uint8", "image_bytes"}


def test_versions_are_asked_for(server, tiny):
    url, specs = server
    y, mask = observations(tiny.measurement, 1)
    plain, version = (url, f"{url}/3") if url.startswith("grpc") else (url, f"{url}/versions/3")
    for target in (plain, version):
        with Client(target) as client:
            client.inpaint(y, mask, 1)
    if url.startswith("grpc"):
        assert [(s["name"], s["version"]) for s in specs[-2:]] == [("faces", None), ("faces", 3)]
    else:
        paths = ["/v1/models/faces:predict", "/v1/models/faces/versions/3:predict"]
        assert [s["path"] for s in specs[-2:]] == paths


def ask(url, **options):
    """One request that says nothing."""
    with Client(url, **{"retries": QUICK, **options}) as client:
        return client.call("serving_default", {"seed": np.zeros(1, "int32")})


@pytest.mark.parametrize(
    ("kind", "code"),
    [("grpc", "UNAVAILABLE"), ("grpc", "DEADLINE_EXCEEDED"), ("rest", 503), ("rest", 429), ("rest", "cut")],
)  # fmt: skip
def test_what_may_pass_is_tried_again(kind, code):
    asked = []

    def function(spec, inputs):
        asked.append(spec)
        if len(asked) < 3:
            raise FailureError(code, "too busy")
        return {"answer": np.float32([7.0])}

    with SERVERS[kind](function) as url:
        assert ask(url)["answer"] == [7.0]
        assert len(asked) == 3
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
def test_what_does_not_pass_is_not(kind, code, error):
    asked = []

    def function(spec, inputs):
        asked.append(spec)
        raise FailureError(code, "Servable not found for request: Specific(faces, 7)")

    with (
        SERVERS[kind](function) as url,
        pytest.raises(error, match=r"Specific\(faces, 7\)|TensorFlow Serving"),
    ):
        ask(url)
    assert len(asked) == 1


@pytest.mark.parametrize("kind", list(SERVERS))
def test_a_server_that_is_late(kind):
    def function(spec, inputs):
        time.sleep(0.3)
        return {}

    with (
        SERVERS[kind](function) as url,
        pytest.raises(UnavailableError, match=r"(?i)DEADLINE|timed out"),
    ):
        ask(url, timeout=0.05, retries=0)


@pytest.mark.parametrize(
    "url", ["grpc://localhost:{}/faces", "http://localhost:{}/v1/models/faces"]
)
def test_a_server_that_is_not_there(url):
    import socket

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match=rf"localhost:{port}.*in 2 attempts.*"):
        ask(url.format(port), retries=Retries(1, 0.001))


def test_a_server_of_something_else():
    message = r"none of keras_uai's: no output 'samples'"
    server = rest_server(lambda spec, inputs: {"y": np.zeros(1)})
    with server as url, Client(url) as client, pytest.raises(FailedError, match=message):
        client.inpaint(np.eye(16)[..., None])


# -- back-off -------------------------------------------------------------------------------------


def test_waits_double_up_to_the_longest_with_jitter():
    class Longest:
        def uniform(self, low, high):
            assert (low, high) == (0.5, 1.0)
            return high

    assert list(Retries(5, 1.0, 6.0).waits(Longest())) == [1.0, 2.0, 4.0, 6.0, 6.0]


def test_what_the_server_asks_for_is_waited_for_but_not_for_ever():
    waited = []

    def fails():
        raise errors.TransientError("busy", wait=1e9)

    with pytest.raises(
        UnavailableError, match=r"here cannot be reached, in 3 attempts. Received: busy"
    ):
        retrying.call(fails, QUICK, "here", waited.append)
    assert waited == [retrying.MAX_WAIT] * 2


def test_the_server_says_how_long():
    def function(spec, inputs):
        raise FailureError(429, "busy", retry_after=12)

    waited = []
    with (
        rest_server(function) as url,
        Client(url) as client,
        pytest.raises(UnavailableError, match="busy"),
    ):
        retrying.call(lambda: client._transport.call("s", {}, 5), QUICK, url, waited.append)
    assert waited == [12.0, 12.0]


@pytest.mark.parametrize("bad", [{"timeout": 0}, {"retries": -1}, {"concurrency": 0}])
def test_options_that_cannot_be(bad):
    with pytest.raises(ValueError, match="Received"):
        Client("grpc://localhost:1/faces", **bad)
