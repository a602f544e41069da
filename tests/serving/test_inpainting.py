"""tools/inpaint: whole results or none, nothing overwritten, errors at the end."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from keras_uai.serving import Client, FailedError, UnavailableError, damaged, inpainting, results
from keras_uai.serving.client import Encoded
from tests.serving.conftest import LIMITS
from tests.serving.photographs import decode, encode, pixels
from tests.testing import ROOT

FILES = ["mean.png", "sample_01.png", "sample_02.png", "std.png", "uncertainty.png"]


def encoded(count=2):
    image = encode(pixels(channels=3))
    return Encoded([image] * count, image, encode(np.full((20, 30), 51, "uint8")))


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    (folder / "a.png").write_bytes(encode(pixels(seed=1)))
    (folder / "trip" / "b.png").write_bytes(encode(pixels((8, 9), seed=2)))
    (folder / "broken.png").write_bytes(b"broken")
    return folder


def tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def run(paths, out, **given):
    options = {"preset": None, "model": None, "server": None, "mask": "auto", "num_samples": 2}
    options |= {"seed": 0, "overwrite": False, "timeout": 60.0, "retries": 0, "progress": False}
    options |= {"concurrency": None, "out": str(out)}
    return inpainting.run({**options, **given}, [str(p) for p in paths])


class Fake:
    """A client that needs no model."""

    limits, concurrency = LIMITS, 1
    map = Client.map

    def __init__(self, answer=None):
        self.answer, self.asked = answer or (lambda: encoded()), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def inpaint_encoded(self, image, mask, num_samples, seed):
        self.asked.append(image)
        return self.answer()


def test_a_folder(exported, photographs, tmp_path, capsys):
    """Mirrored; the same as the client gives; the broken one named; again: nothing is done."""
    out = tmp_path / "out"
    assert run([photographs], out, model=str(exported)) == 1
    assert tree(out) == [f"{name}/{file}" for name in ("a", "trip/b") for file in FILES]
    error = capsys.readouterr().err
    assert f"{photographs / 'broken.png'}: This image cannot be read" in error
    assert f"3 images: 2 written to {out}, 1 failed" in error
    wanted = Client(exported).inpaint_encoded(photographs / "a.png", num_samples=2, seed=0)
    assert (out / "a" / "sample_02.png").read_bytes() == wanted.samples[1]
    assert (out / "a" / "mean.png").read_bytes() == wanted.mean
    (photographs / "broken.png").unlink()
    (out / "a" / "mean.png").write_bytes(b"mine")
    assert run([photographs], out, model=str(exported)) == 0
    assert "2 were there already (--overwrite replaces them)" in capsys.readouterr().out
    assert (out / "a" / "mean.png").read_bytes() == b"mine"
    assert run([photographs], out, model=str(exported), overwrite=True) == 0
    assert (out / "a" / "mean.png").read_bytes() == wanted.mean
    assert tree(out) == [f"{name}/{file}" for name in ("a", "trip/b") for file in FILES]


def test_what_is_there_is_not_asked_for(photographs, tmp_path):
    found, client = damaged.find([photographs]), Fake()
    results.write(tmp_path / "out", "a", encoded())
    report = inpainting.inpaint(client, found, tmp_path / "out")
    assert (report.written, report.kept, len(client.asked)) == (1, 1, 1)


def test_a_server_that_fails_over_an_image(photographs, tmp_path):
    def fails():
        raise FailedError("INTERNAL")

    report = inpainting.inpaint(Fake(fails), damaged.find([photographs]), tmp_path / "out")
    assert len(report.errors) == 3
    assert report.stopped is None
    assert not (tmp_path / "out").exists()


def test_a_server_that_is_gone_ends_it(photographs, tmp_path):
    def fails():
        raise UnavailableError("grpc://x cannot be reached")

    client = Fake(fails)
    report = inpainting.inpaint(client, damaged.find([photographs]), tmp_path / "out")
    assert len(client.asked) == 1
    text = report.describe(3, "out")
    assert "grpc://x cannot be reached" in text
    assert "3 not tried (the same command goes on with them)" in text


def test_interrupted_while_writing(photographs, tmp_path, monkeypatch):
    """No part of a result is left, hidden or not."""

    def interrupted(found):
        raise KeyboardInterrupt

    results.write(tmp_path / "out", "a", encoded())
    before = (tmp_path / "out" / "a" / "mean.png").read_bytes()
    monkeypatch.setattr(results, "files", interrupted)
    found = damaged.find([photographs / "a.png"])
    report = inpainting.inpaint(Fake(), found, tmp_path / "out", overwrite=True)
    assert report.interrupted
    assert tree(tmp_path / "out") == [f"a/{file}" for file in FILES]
    assert os.listdir(tmp_path / "out") == ["a"]
    assert (tmp_path / "out" / "a" / "mean.png").read_bytes() == before


def test_a_full_disk(photographs, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results.os, "rename", full)
    report = inpainting.inpaint(Fake(), damaged.find([photographs / "a.png"]), tmp_path / "out")
    assert "No space left" in next(iter(report.errors.values()))
    assert os.listdir(tmp_path / "out") == []


def test_one_sample_has_no_deviation(tmp_path):
    assert list(results.files(encoded(1))) == ["sample_01.png", "mean.png"]
    results.write(tmp_path, "a", encoded())
    assert (decode((tmp_path / "a" / "std.png").read_bytes()) == 51).all()
    bright = decode((tmp_path / "a" / "uncertainty.png").read_bytes())
    assert (bright == (252, 255, 164)).all()  # everywhere as uncertain as it gets


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/a", "", ".", "a//b", "a\0b", ".."])
def test_results_stay_where_they_belong(tmp_path, name):
    with pytest.raises(ValueError, match="Results are written below"):
        results.write(tmp_path / "out", name, encoded())
    assert list(tmp_path.iterdir()) == []


def test_links_do_not_lead_elsewhere(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "else").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "else")
    with pytest.raises(ValueError, match="Results are written below"):
        results.write(tmp_path / "out", "a/b", encoded())
    assert list((tmp_path / "else").iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Name one of --preset, --model and --server. Received: none"),
        ({"preset": "x", "server": "y"}, "Received: --preset, --server"),
        ({"preset": "nobody"}, "There is no such preset"),
        ({"model": "x", "out": __file__}, "written into a folder"),
    ],
)
def test_commands_that_cannot_be(photographs, tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        run([photographs], given.pop("out", tmp_path / "out"), **given)
    assert not (tmp_path / "out").exists()


def test_the_command(exported, photographs, tmp_path):
    """As a user starts it."""
    tool = [sys.executable, str(ROOT / "tools" / "inpaint"), "--noprogress", "--num_samples=2"]
    command = [*tool, f"--out={tmp_path / 'out'}", f"--model={exported}", str(photographs)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "3 images: 2 written" in done.stderr
    assert tree(tmp_path / "out") == [
        f"{name}/{file}" for name in ("a", "trip/b") for file in FILES
    ]


def test_sigterm_is_an_interruption(photographs, tmp_path, monkeypatch, capsys):
    def dies():
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(inpainting, "Client", lambda *args, **kwargs: Fake(dies))
    assert run([photographs], tmp_path / "out", preset="x") == 130
    assert "3 not tried" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
    assert not (tmp_path / "out").exists()
