"""Entries x kinds of files: `load`, the client, the command and the served graph read the same.

The served graph does not turn images as EXIF says: its answers lie over the stored pixels.
"""

import os
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_uai import datasets, files
from keras_uai.serving import discovery, inpainting

HOLE = np.ones((12, 20), bool)
HOLE[3:8, 5:15] = False  # True = observed
PHOTO = np.full((12, 20, 3), 99, "uint8")
GRAY = HOLE * np.uint8(255)
CLEAR = np.dstack([PHOTO, np.where(np.arange(20) < 4, 0, 255).repeat(12).reshape(20, 12).T])
STROKES = np.dstack([np.zeros((12, 20, 3), "uint8"), 255 - GRAY])
HOLES = np.dstack([np.full((12, 20, 3), 255, "uint8"), GRAY])
RAMP = np.where(HOLE, 140, 120).astype("uint8")
WHITE = "A mask image must be white where the image is observed and black where it is missing"

#: kind: (photograph, mask, what is observed or the error)
FILES = {
    "8 bits": (PHOTO, GRAY, HOLE),
    "0 and 1": (PHOTO, HOLE.astype("uint8"), HOLE),
    "1 bit": (PHOTO, HOLE, HOLE),
    "16 bits": (PHOTO, HOLE * np.uint16(65535), HOLE),
    "16 bits of 0 and 255": (PHOTO, HOLE * np.uint16(255), HOLE),
    "16 bits of 0 and 1": (PHOTO, HOLE * np.uint16(1), HOLE),
    "RGB": (PHOTO, np.dstack([GRAY] * 3), HOLE),
    "strokes on a layer": (PHOTO, STROKES, HOLE),
    "holes in a layer": (PHOTO, HOLES, HOLE),
    "grays around the half": (PHOTO, RAMP, HOLE),
    "alpha": (CLEAR.astype("uint8"), None, CLEAR[..., 3] > 0),
    "alpha beside a mask": (CLEAR.astype("uint8"), GRAY, HOLE & (CLEAR[..., 3] > 0)),
    "0 and 127": (PHOTO, HOLE * np.uint8(127), WHITE),
    "0 and 2": (PHOTO, HOLE * np.uint8(2), WHITE),
    "transparent": (PHOTO, STROKES * np.uint8(0), "must not be transparent everywhere"),
    "another size": (PHOTO, GRAY[:, :19], "A mask must have (its image's size|the size of its)"),
}


def read_by_load(folder, **_):
    source = "sidecar" if len(list(folder.iterdir())) > 1 else "alpha"
    (found,) = datasets.load(str(folder), "all", mask_from=source, batch_size=1, strict=True)
    return np.asarray(found["mask"])[0, ..., 0] > 0.5


def read_by_client(folder, client, **_):
    return (client.inpaint(folder / "a.png", num_samples=1).samples[0] == 99).all(axis=-1)


def read_by_command(folder, client, **_):
    out = folder.parent / "out"
    (outcome,) = inpainting.inpaint(client, discovery.find([folder]), out, 1)[0].values()
    if isinstance(outcome, Exception):
        raise outcome
    return (files.decode_image(out / "a" / "sample_01.png")[0] == 99).all(axis=-1)


def read_by_graph(folder, served, **_):
    mask = folder / "a_mask.png"
    found = served["image_bytes"](
        tf.constant([(folder / "a.png").read_bytes()]),
        tf.constant([mask.read_bytes() if mask.exists() else b""]),
        tf.constant([0], "int64"),
        tf.constant([1]),
    )
    return (files.decode_image(found["samples_bytes"].numpy()[0, 0])[0] == 99).all(axis=-1)


@pytest.mark.parametrize("entry", [read_by_load, read_by_client, read_by_command, read_by_graph])
@pytest.mark.parametrize("kind", FILES)
def test_files(tmp_path, client, served, kind, entry):
    photo, mask, outcome = FILES[kind]
    (tmp_path / "d").mkdir()
    Image.fromarray(photo).save(tmp_path / "d" / "a.png")
    if mask is not None:
        Image.fromarray(mask).save(tmp_path / "d" / "a_mask.png")
    if isinstance(outcome, str):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=outcome):
            entry(tmp_path / "d", client=client, served=served)
    else:
        found = entry(tmp_path / "d", client=client, served=served)
        np.testing.assert_array_equal(found, outcome)


def test_files_that_say_nothing_is_missing_are_named(tmp_path, client):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: Nothing is missing in this image"):
        client.inpaint(tmp_path / "a.png")
    Image.fromarray(GRAY | 255).save(tmp_path / "a_mask.png")
    with pytest.raises(ValueError, match=r"a\.png and its mask .*a_mask\.png: Nothing is missing"):
        client.inpaint(tmp_path / "a.png")


@pytest.fixture(scope="module")
def anything(tmp_path_factory):
    """A folder of eight photographs that are good and one that is not, each with a mask file.

    Of several formats; named in other encodings and forms of Unicode; links, one to nothing, one
    to the folder itself; and a photograph that EXIF turns, with a mask over what is shown.
    """
    folder = tmp_path_factory.mktemp("anything") / "d"
    folder.mkdir()
    for name in ("a.png", "b.tif", "c.bmp", "e.gif", "caf\u00e9.png"):
        Image.fromarray(PHOTO).save(folder / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.ascontiguousarray(np.swapaxes(PHOTO, 0, 1)))
    stored.save(folder / "turned.jpg", quality=95, exif=exif)
    latin = os.fsencode(folder) + b"/n\xe9"
    Image.fromarray(PHOTO).save(latin + b".png")
    Image.fromarray(PHOTO).save(folder.parent / "real.png")
    (folder / "link.png").symlink_to("../real.png")
    (folder / "gone.png").symlink_to("/nonexistent.png")
    (folder / "here").symlink_to(".")
    names = (
        "a",
        "b",
        "c",
        "e",
        unicodedata.normalize("NFD", "caf\u00e9"),
        "turned",
        "link",
        "gone",
    )
    for name in names:
        Image.fromarray(GRAY).save(folder / f"{name}_mask.png")
    Image.fromarray(GRAY).save(latin + b"_mask.png")
    return folder


def test_load_finds_anything(anything):
    found = datasets.load(str(anything), "all", mask_from="sidecar", batch_size=8)
    (batch,) = found  # without the link to nothing
    assert (np.asarray(batch["mask"])[..., 0] == HOLE).all()
    assert len(batch["mask"]) == 8
    y = np.asarray(batch["observation"])[:, HOLE]
    np.testing.assert_allclose(y, 99 / 127.5 - 1, atol=1e-6)


def test_the_command_finds_anything(anything, client):
    """The folder, and all that a shell makes of `*`."""
    found = discovery.find([anything])
    given = [p for p in anything.iterdir() if p.name not in ("gone.png", "gone_mask.png", "here")]
    assert [one.name for one in discovery.find(given)] == [
        n.name for n in found if n.name != "gone"
    ]
    outcomes, stopped = inpainting.inpaint(client, found, anything.parent / "out", 1)
    assert stopped is None
    bad = {os.path.basename(path): v for path, v in outcomes.items() if v != "written"}
    assert list(bad) == ["gone.png"]
    assert "No such file" in str(bad["gone.png"])
    written = [
        os.path.join(path, "mean.png")
        for path, _, names in os.walk(anything.parent / "out")
        if names
    ]
    assert len(written) == 8
    for path in written:
        seen = (files.decode_image(path)[0] == 99).all(axis=-1)
        assert seen[HOLE].all()


def test_the_client_finds_the_masks_of_anything(anything, client):
    for path in anything.iterdir():
        if "_mask" not in path.name and path.name not in ("here", "gone.png"):
            found = client.inpaint(path, num_samples=1).samples[0]
            np.testing.assert_array_equal((found == 99).all(axis=-1), HOLE)
    with pytest.raises(ValueError, match=r"gone\.png: .*No such file"):
        client.inpaint(anything / "gone.png")
