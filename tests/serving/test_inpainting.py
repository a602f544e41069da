"""The command `inpaint`: whole results or none, nothing overwritten, errors at the end."""

import errno
import os
import signal

import numpy as np
import pytest

from keras_uai import files
from keras_uai.serving import Client, FailedError, Reconstruction, UnavailableError, inpainting
from tests import forks
from tests.serving.photographs import decode, encode, pixels
from tests.testing import ROOT, same_bits

FILES = ["mean.png", "sample_01.png", "sample_02.png", "std.png", "uncertainty.png"]


def reconstruction(count=2, dtype="uint8"):
    image = pixels(channels=3).astype(dtype)
    return Reconstruction(np.stack([image] * count), image, np.full((20, 30, 3), 25.5, "float32"))


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
    options = {"model": None, "server": None, "mask": "auto", "num_samples": 2, "seed": 0}
    options |= {"overwrite": False, "timeout": 60.0, "retries": 0, "progress": False}
    options |= {"concurrency": None, "out": str(out)}
    return inpainting.run({**options, **given}, [str(p) for p in paths])


class Fake:
    """A client that needs no model."""

    concurrency = 1
    map = Client.map

    def __init__(self, answer=reconstruction):
        self.answer = answer
        self.asked = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def inpaint(self, image, mask, num_samples, seed):
        self.asked.append(image)
        return self.answer()


def raises(error):
    def answer():
        raise error

    return Fake(answer)


def test_a_folder(exported, photographs, tmp_path, capsys):
    """Mirrored; as the client gives it; the broken file named; a second run does nothing."""
    out = tmp_path / "out"
    assert run([photographs], out, model=str(exported)) == 1
    assert tree(out) == [f"{name}/{file}" for name in ("a", "trip/b") for file in FILES]
    error = capsys.readouterr().err
    assert f"{photographs / 'broken.png'}: not an image" in error
    assert f"3 images: 2 written to {out}, 1 failed" in error
    with Client(exported) as client:
        wanted = client.inpaint(photographs / "a.png", num_samples=2, seed=0)
    same_bits(decode((out / "a" / "sample_02.png").read_bytes()), wanted.samples[1])
    mean = (out / "a" / "mean.png").read_bytes()
    same_bits(decode(mean), wanted.mean)
    (photographs / "broken.png").unlink()
    (out / "a" / "mean.png").write_bytes(b"mine")
    assert run([photographs], out, model=str(exported)) == 0
    assert "2 were there already (--overwrite replaces them)" in capsys.readouterr().out
    assert (out / "a" / "mean.png").read_bytes() == b"mine"
    assert run([photographs], out, model=str(exported), overwrite=True) == 0
    assert (out / "a" / "mean.png").read_bytes() == mean
    assert tree(out) == [f"{name}/{file}" for name in ("a", "trip/b") for file in FILES]


def test_a_fixed_layout_is_told_once(exported_fixed, photographs, tmp_path, capsys):
    assert run([photographs], tmp_path / "out", model=str(exported_fixed)) == 1
    error = capsys.readouterr().err
    assert error.count("warning: This model has a fixed layout of 16 x 16 pixels.") == 1
    assert decode((tmp_path / "out/a/mean.png").read_bytes()).shape == (20, 30, 3)


def outcome(client, paths, out, monkeypatch, **given):
    """The exit code of the command with this client."""
    monkeypatch.setattr(inpainting, "Client", lambda *args, **kwargs: client)
    return run(paths, out, model="x", **given)


def test_existing_results_are_not_asked_for(photographs, tmp_path, monkeypatch, capsys):
    (tmp_path / "out/a").mkdir(parents=True)
    client = Fake()
    assert outcome(client, [photographs], tmp_path / "out", monkeypatch) == 1
    assert len(client.asked) == 1
    assert "1 written to" in capsys.readouterr().err


def test_a_server_that_fails_on_an_image(photographs, tmp_path, monkeypatch, capsys):
    client = raises(FailedError("INTERNAL"))
    assert outcome(client, [photographs], tmp_path / "out", monkeypatch) == 1
    assert "3 images: 0 written" in (text := capsys.readouterr().err)
    assert text.count("INTERNAL") == 2
    assert not (tmp_path / "out").exists()


def test_an_unavailable_server_ends_the_command(photographs, tmp_path, monkeypatch, capsys):
    client = raises(UnavailableError("grpc://x cannot be reached"))
    assert outcome(client, [photographs], tmp_path / "out", monkeypatch) == 1
    assert len(client.asked) == 1
    text = capsys.readouterr().err
    assert "grpc://x cannot be reached" in text
    assert "3 not tried (the same command continues with them)" in text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_full_or_read_only_disk_ends_the_command(
    photographs, tmp_path, monkeypatch, capsys, number
):
    def full(*args):
        raise OSError(number, os.strerror(number))

    client = Fake()
    with monkeypatch.context() as patch:
        patch.setattr(inpainting.files, "atomic_folder", full)
        assert outcome(client, [photographs], tmp_path / "out", patch) == 1
    assert len(client.asked) == 1  # no image is filled in vain
    text = capsys.readouterr().err
    assert os.strerror(number) in text
    assert "3 not tried (the same command continues with them)" in text
    assert outcome(client, [photographs], tmp_path / "out", monkeypatch) == 1
    assert "2 written" in capsys.readouterr().err  # the third is broken


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_interrupted_while_writing(photographs, tmp_path, monkeypatch, capsys, error):
    """No part of a result is left, hidden or not; older results stay."""

    def fails(*args):
        raise error

    out = tmp_path / "out"
    image = [photographs / "a.png"]
    assert outcome(Fake(), image, out, monkeypatch) == 0
    before = (out / "a" / "mean.png").read_bytes()
    monkeypatch.setattr(files.os, "rename", fails)
    interrupted = isinstance(error, KeyboardInterrupt)
    assert outcome(Fake(), image, out, monkeypatch, overwrite=True) == (130 if interrupted else 1)
    assert ("Stopped" if interrupted else "No space left") in capsys.readouterr().err
    assert tree(out) == [f"a/{file}" for file in FILES]
    assert os.listdir(out) == ["a"]
    assert (out / "a" / "mean.png").read_bytes() == before


def test_sigterm_is_an_interruption(photographs, tmp_path, monkeypatch, capsys):
    def dies():
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    before = signal.getsignal(signal.SIGTERM)
    assert outcome(Fake(dies), [photographs], tmp_path / "out", monkeypatch) == 130
    assert "3 not tried" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"--model \(or --preset\), or --server. Received: neither"),
        ({"model": "x", "server": "y"}, "Received: \\['x', 'y'\\]"),
        ({"model": "nobody"}, "Received: 'nobody'"),
        ({"model": "x", "out": __file__}, "--out must be a folder"),
    ],
)
def test_wrong_commands(photographs, tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        run([photographs], given.pop("out", tmp_path / "out"), **given)
    assert not (tmp_path / "out").exists()


def test_the_command(exported, photographs, tmp_path):
    """As a user starts it, with a shell pattern and a name that is no Unicode (faults 07 and 09)."""
    photo, seen = pixels((12, 9), 3), pixels((12, 9), 2)[..., 1]
    (photographs / "c.png").write_bytes(encode(photo))
    (photographs / "c_mask.png").write_bytes(encode(seen))
    os.rename(photographs / "a.png", os.fsencode(photographs) + b"/caf\xe9.png")
    os.rename(photographs / "broken.png", os.fsencode(photographs) + b"/b\xe9.png")
    flags = "--noprogress", "--num_samples=1", f"--out={tmp_path / 'out'}", f"--model={exported}"
    images = photographs.glob("*.png")
    done = forks.run(ROOT / "tools" / "inpaint", *flags, *images, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "3 images: 2 written" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path / "out")) == ["c", "caf\udce9"]
    found = decode((tmp_path / "out/c/mean.png").read_bytes())
    same_bits(found[seen > 0], photo[seen > 0])


# -- files ----------------------------------------------------------------------------------------


def test_files_of_a_result():
    """One sample has no deviation; white is half of the range; depth and units are kept."""
    assert list(inpainting.encode(reconstruction(1))) == ["sample_01.png", "mean.png"]
    found = {
        name: files.decode_image(v)[0] for name, v in inpainting.encode(reconstruction()).items()
    }
    assert (found["std.png"] == round(25.5 / 127.5 * 65535)).all()
    assert found["std.png"].dtype == np.uint16
    assert (found["uncertainty.png"] == (252, 254, 164)).all()  # everywhere the largest
    wide = reconstruction(dtype="uint16")
    same_bits(files.decode_image(inpainting.encode(wide)["mean.png"])[0], wide.mean)
    field = reconstruction(dtype="float32")
    field = Reconstruction(*(v[..., :1] for v in (field.samples, field.mean, field.std)))
    found = {name: files.decode_image(v)[0] for name, v in inpainting.encode(field).items()}
    same_bits(found["sample_02.tif"], field.samples[1])
    same_bits(found["std.tif"], field.std)
