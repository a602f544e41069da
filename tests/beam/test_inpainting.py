"""Through Beam's DirectRunner comes what tools/inpaint writes without it, wherever the files are."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from keras_uai.serving import Client, beam, beam_files, damaged, inpainting
from keras_uai.serving.beam_model import ImageBytesHandler, Job
from keras_uai.serving.errors import RefusedError
from keras_uai.serving.local import Local
from tests.beam import toy_files
from tests.serving import photographs

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """Images of several kinds and sizes; two of them cannot be filled in."""
    folder = tmp_path / "photos"
    (folder / "more" / "deep").mkdir(parents=True)
    for i, name in enumerate(("a.png", "b.webp", "more/c.png", "more/deep/d.d.png")):
        size = (20 + i, 30)
        kind = "WEBP" if name.endswith("webp") else "PNG"
        options = {"lossless": True} if kind == "WEBP" else {}
        data = photographs.encode(photographs.pixels(size, seed=i), kind, **options)
        (folder / name).write_bytes(data)
    for name in ("e.png", "e.jpg"):  # one stem: their results keep the extension
        (folder / name).write_bytes(photographs.encode(photographs.pixels(channels=3, seed=9)))
    mask = photographs.pixels(channels=1) // 128 * 255
    (folder / "e.mask.png").write_bytes(photographs.encode(mask))
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:600])
    (folder / "whole.png").write_bytes(photographs.encode(photographs.pixels(channels=3)))
    (folder / "notes.txt").write_text("no image")
    return folder


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file()
    }


def serial(exported, paths, out, **options):
    with Client(exported) as client:
        return inpainting.inpaint(client, damaged.find(paths), str(out), 3, 5, **options)


def through_beam(exported, paths, out, **options):
    return beam.inpaint(str(exported / "1"), paths, str(out), num_samples=3, seed=5, **options)


def errors(out):
    lines = (pathlib.Path(out) / beam.ERRORS).read_text().splitlines()
    return {one["path"]: one["error"] for one in map(json.loads, lines)}


def test_the_same_files_and_errors_as_without_beam(exported, folder, tmp_path):
    expected = serial(exported, [str(folder)], tmp_path / "serial")
    found = through_beam(exported, [str(folder)], tmp_path / "beam")
    assert (found.written, found.kept, found.failed) == (6, 0, 2)
    assert (expected.written, len(expected.errors)) == (6, 2)
    assert errors(tmp_path / "beam") == expected.errors
    (tmp_path / "beam" / beam.ERRORS).unlink()
    assert tree(tmp_path / "beam") == tree(tmp_path / "serial")
    assert found.describe().endswith(
        f"6 written to {tmp_path}/beam, 2 failed: {tmp_path}/beam/errors.jsonl says why"
    )


def test_what_is_there_is_kept_unless_asked(exported, folder, tmp_path):
    paths = [str(folder / "a.png"), str(folder / "more")]
    through_beam(exported, paths, tmp_path / "out")
    changed = tmp_path / "out" / "a" / "mean.png"
    before = changed.read_bytes()
    changed.write_bytes(b"mine")
    kept = through_beam(exported, paths, tmp_path / "out")
    assert (kept.written, kept.kept, kept.failed) == (0, 3, 0)
    assert "3 were there already (--overwrite replaces them)" in kept.describe()
    assert changed.read_bytes() == b"mine"
    assert through_beam(exported, paths, tmp_path / "out", overwrite=True).written == 3
    assert changed.read_bytes() == before
    assert not list((tmp_path / "out").glob(".*"))  # neither manifest nor drafts
    assert not (tmp_path / "out" / beam.ERRORS).exists()


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "toy").mkdir()
    toy_files.ROOT["path"] = str(tmp_path / "toy")
    yield tmp_path / "toy"
    toy_files.ROOT.clear()


def test_other_file_systems(exported, folder, toy, tmp_path):
    folder.rename(toy / "photos")
    expected = serial(exported, [str(toy / "photos")], tmp_path / "serial")
    found = through_beam(exported, ["toy://photos/"], "toy://out")
    assert (found.written, found.failed) == (6, 2)
    renamed = {path.replace(f"{toy}/", "toy://"): why for path, why in expected.errors.items()}
    assert errors(toy / "out") == renamed
    assert errors(toy / "out")["toy://photos/cut.png"].startswith("This image cannot be read")
    (toy / "out" / beam.ERRORS).unlink()
    assert tree(toy / "out") == tree(tmp_path / "serial")
    assert through_beam(exported, ["toy://photos/more/**.png"], "toy://out").written == 2
    again = through_beam(exported, ["toy://photos/"], "toy://out")
    assert (again.written, again.kept, again.failed) == (0, 6, 2)
    (toy / "out" / "a" / beam_files.LAST).unlink()  # was interrupted here
    (toy / "out" / "b" / "sample_09.png").write_bytes(b"of an earlier run")
    assert through_beam(exported, ["toy://photos/"], "toy://out").written == 1
    through_beam(exported, ["toy://photos/b.webp"], "toy://out", overwrite=True)
    assert not (toy / "out" / "b" / "sample_09.png").exists()


def test_patterns(folder, tmp_path):
    for pattern, expected in {
        "*.png": ["a", "cut", "e", "whole"],
        "**.png": ["a", "cut", "e", "more/c", "more/deep/d.d", "whole"],
        "more/*.png": ["c"],
        "[ab].*": ["a", "b"],
    }.items():
        found = damaged.find([f"{folder}/{pattern}"], list_pattern=beam_files.matching)
        assert [one.name for one in found] == expected
        assert {one.name: one.mask for one in found}.get("e") in (None, f"{folder}/e.mask.png")
    assert beam_files.matching(str(folder)) is beam_files.matching(str(folder / "a.png")) is None
    with pytest.raises(ValueError, match="There are no images"):
        damaged.find([f"{folder}/*.gif"], list_pattern=beam_files.matching)
    with pytest.raises(ValueError, match=r"cannot be listed: .*Received: nosuch://photos/"):
        damaged.find(["nosuch://photos/"], list_pattern=beam_files.matching)


def test_an_image_that_the_model_refuses_spoils_no_batch(exported):
    model = Local(str(exported / "1"))
    handler = ImageBytesHandler(str(exported / "1"), 2)
    good = photographs.encode(photographs.pixels())
    large = photographs.encode(photographs.pixels((70, 70)))  # beyond the export's limits
    images = [good, large, good, good, b"no image", good, good]
    jobs = [Job(f"{i}.png", str(i), image, b"", i) for i, image in enumerate(images)]
    answers = [one.inference for one in handler.run_inference(jobs, model)]
    refused = [i for i, answer in enumerate(answers) if isinstance(answer, RefusedError)]
    assert refused == [1, 4]
    assert "4000 pixels" in str(answers[1])
    with Client(exported) as client:
        alone = client.inpaint_encoded(good, num_samples=2, seed=6)
    assert answers[6].samples == alone.samples
    assert (answers[6].mean, answers[6].std) == (alone.mean, alone.std)


def test_names_stay_below_the_folder():
    with pytest.raises(ValueError, match=r"Results are written below toy://out"):
        beam_files.exists("toy://out", "../a")


@pytest.mark.parametrize("failing", [False, True])
def test_the_command(exported, folder, tmp_path, failing):
    paths = [str(folder)] if failing else [str(folder / "a.png")]
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "inpaint", f"--model={exported}", "--runner=DirectRunner",
         f"--out={tmp_path}/out", "--num_samples=2", *paths, "--", "--direct_num_workers=1"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == (1 if failing else 0), done.stderr
    text = done.stderr if failing else done.stdout
    assert f"{8 if failing else 1} images: {6 if failing else 1} written to {tmp_path}/out" in text
    assert np.array(sorted(p.name for p in (tmp_path / "out" / "a").iterdir())).tolist() == [
        "mean.png", "sample_01.png", "sample_02.png", "std.png", "uncertainty.png",
    ]  # fmt: skip
