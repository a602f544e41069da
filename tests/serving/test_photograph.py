"""A photograph that is not square goes through every way of serving with its aspect and bits."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest

from keras_uai import files
from keras_uai.serving import Client, RefusedError, errors
from keras_uai.serving.transports import SavedModel
from tests.serving.photographs import batch, encode, pixels
from tests.serving.servers import FailureError, grpc_server, rest_server
from tests.testing import ROOT, same_bits

SIZE = (24, 37)
DTYPES = ("uint8", "uint16")
SERVERS = {"grpc": (grpc_server, "INVALID_ARGUMENT"), "rest": (rest_server, 400)}


@pytest.fixture(scope="module")
def targets(exported, tiny, tmp_path_factory):
    """`{way: (target, requests to the server)}`."""
    model = SavedModel(exported / "1")
    folder = tmp_path_factory.mktemp("keras")
    tiny.save(folder / "tiny.keras")
    tiny.save_to_preset(folder / "preset", metadata={}, serving=False)
    found = {"SavedModel": (exported, []), "preset": (folder / "preset", [])}
    found["keras"] = (folder / "tiny.keras", [])
    with contextlib.ExitStack() as stack:
        for kind, (server, refusal) in SERVERS.items():
            asked = []

            def function(spec, inputs, asked=asked, refusal=refusal):
                asked.append(spec)
                try:
                    return model.call(spec["signature"], inputs, None)
                except errors.RefusedError as error:
                    raise FailureError(refusal, str(error)) from error

            found[kind] = stack.enter_context(server(function)), asked
        yield found


@pytest.fixture(scope="module")
def clients(targets):
    """`{way: Client}`."""
    found = {way: Client(target) for way, (target, _) in targets.items()}
    yield found
    for client in found.values():
        client.close()


def photograph(dtype):
    """`(image, seen, wanted)` in the image's units."""
    image = pixels(SIZE, 3).astype(dtype)
    image = image if dtype == "uint8" else image * np.uint16(257) + np.uint16(3)
    return image, pixels(SIZE, 2, seed=1)[..., 1] > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", ["SavedModel", "grpc", "rest", "keras", "preset"])
def test_the_client(targets, clients, tiny, tmp_path, way, dtype):
    image, seen = photograph(dtype)
    wanted = tiny.inpaint(image[None], seen[None], 2, seed=5)[0].astype(int)
    mean = tiny.predict_mean(image[None], seen[None])[0].astype(int)
    close = 1 if way != "preset" else 2 if dtype == "uint8" else 600  # kernels in float16
    files.write_image(tmp_path / "a.png", image, (seen * 255).astype("uint8"))
    for given, mask in ((image, seen), (tmp_path / "a.png", None)):
        found = clients[way].inpaint(given, mask, num_samples=2, seed=5)
        for one in (*found.samples, found.mean):
            assert one.dtype == dtype
            same_bits(one[seen], image[seen])
        assert np.abs(found.samples.astype(int) - wanted).max() <= close
        assert np.abs(found.mean.astype(int) - mean).max() <= close
        unit = np.iinfo(dtype).max / 255
        std = wanted.std(0, ddof=1)
        np.testing.assert_allclose(found.std, std, atol=unit * close, rtol=1e-2)
    signatures = {spec["signature"] for spec in targets[way][1]}
    assert signatures <= {"describe", "serving_default", "pixels", "image_bytes"}


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_servers_refuse_and_versions_are_asked_for(targets, way):
    url, asked = targets[way]
    y, mask = batch(1)
    with Client(url) as client, pytest.raises(RefusedError, match=r"must lie in \[1, 4\]"):
        client.inpaint(y, mask, num_samples=5)
    with Client(f"{url}/3" if way == "grpc" else f"{url}/versions/3") as client:
        client.inpaint(y, mask, 1)
    if way == "grpc":
        assert [(s["name"], s["version"]) for s in asked[-3:]] == [
            ("faces", None),
            *[("faces", 3)] * 2,
        ]
    else:
        assert asked[-1]["path"] == "/v1/models/faces/versions/3:predict"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_signature_of_files(serve, tiny, dtype):
    image, seen = photograph(dtype)
    data = files.encode_image(image, alpha=(seen * 255).astype("uint8"))
    rows = {"image_bytes": [data], "mask_bytes": [b""], "seed": [5], "num_samples": [2]}
    wanted = tiny.inpaint(image[None], seen[None], 2, seed=[5])[0]
    for sample, want in zip(serve("image_bytes", **rows)["samples_bytes"][0], wanted, strict=True):
        found = files.decode_image(sample)[0]
        same_bits(found[seen], image[seen])
        assert np.abs(found.astype(int) - want).max() <= 1


def test_the_command(targets, tmp_path):
    """A folder with an 8-bit, a 16-bit and a gray photograph, through a preset."""
    _, seen = photograph("uint8")
    images = {dtype: photograph(dtype)[0] for dtype in DTYPES} | {"gray": pixels(SIZE, 1)}
    (tmp_path / "in").mkdir()
    for name, image in images.items():
        files.write_image(tmp_path / "in" / f"{name}.png", image)
        (tmp_path / "in" / f"{name}_mask.png").write_bytes(encode((seen * 255).astype("uint8")))
    flags = ["--num_samples=1", f"--preset={targets['preset'][0]}", "--out=out", "in"]
    command = [sys.executable, ROOT / "tools" / "inpaint", *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    for name, image in images.items():
        found = files.read_image(tmp_path / "out" / name / "sample_01.png")[0]
        same_bits(found[seen], image[seen])
        assert (found[~seen] != image[~seen]).any()
