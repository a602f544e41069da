import os
import shutil

import numpy as np
import pytest

from keras_uai import files
from keras_uai.datasets.folder import FolderSource, listing
from keras_uai.datasets.sources import Preparation
from keras_uai.files import UnreadableImageError
from tests.datasets.images import folder_of_noise, noise, save


def read(source, indices=None):
    indices = range(source.size) if indices is None else indices
    return source.decode(list(source.read(indices)))


def test_files_are_listed_sorted_nested_whatever_the_case(tmp_path):
    for name in ("b/2.PNG", "a.jpeg", "c/d/1.webp", "b/1.Jpg", "z.png"):
        save(tmp_path / name, noise(0))
    for name in ("notes.txt", ".hidden.png", ".git/x.png", "b/2.png.bak"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    source = FolderSource(tmp_path, Preparation())
    assert source.paths == ["a.jpeg", "b/1.Jpg", "b/2.PNG", "c/d/1.webp", "z.png"]
    assert source.size == 5
    assert source.label(2) == str(tmp_path / "b" / "2.PNG")


def test_crop_then_resize(tmp_path):
    pixels = noise(0, 20, 14)
    save(tmp_path / "x.png", pixels)

    def image(**arguments):
        return read(FolderSource(tmp_path, Preparation(**arguments)))[0][0]

    expected = pixels[6:14, 3:11].reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    assert np.array_equal(image(image_size=4, center_crop=8), np.rint(expected))
    assert np.array_equal(image(), pixels)  # whole, at its own size
    assert np.array_equal(image(image_size=14), pixels[3:17])  # the largest centred square
    assert np.array_equal(image(center_crop=8), pixels[6:14, 3:11])
    assert np.array_equal(
        image(image_size=(7, 7)), np.rint((pixels[3:17].reshape(7, 2, 7, 2, 3)).mean(axis=(1, 3)))
    )
    assert np.array_equal(image(image_size=(7, 14)), pixels[6:13])
    assert np.array_equal(
        image(image_size=(10, 7)), np.rint(pixels.reshape(10, 2, 7, 2, 3).mean(axis=(1, 3)))
    )


def test_bit_depths(tmp_path):
    """16 bits are kept; where the first image has others, the rest is converted."""
    wide = noise(0).astype("uint16") * 257
    files.write_image(tmp_path / "a.png", wide)
    save(tmp_path / "b.png", noise(1))
    found = read(FolderSource(tmp_path, Preparation()))
    assert np.array_equal(found[0][0], wide)
    assert np.array_equal(found[1][0], noise(1).astype("uint16") * 257)
    found = read(FolderSource(tmp_path, Preparation(dtype="uint8")))
    assert np.array_equal(found[0][0], noise(0))
    files.write_image(tmp_path / "c.tif", np.zeros((4, 4, 1), "float32"))
    with pytest.raises(ValueError, match=r"c\.tif.*all have integer"):
        read(FolderSource(tmp_path, Preparation(channels=1)))


def test_unreadable_images_and_masks_are_named(tmp_path):
    save(tmp_path / "a.png", noise(0))
    save(tmp_path / "a.mask.png", noise(0)[..., 0])
    (tmp_path / "b.png").write_bytes(b"nothing")
    save(tmp_path / "b.mask.png", noise(0)[..., 0])
    save(tmp_path / "c.png", noise(0))
    (tmp_path / "c.mask.png").write_bytes(b"")
    good, bad, mask = read(FolderSource(tmp_path, Preparation(mask_from="sidecar")))
    assert good[1] is not None
    assert isinstance(bad, UnreadableImageError)
    assert isinstance(mask, UnreadableImageError)
    assert "c.mask.png" in str(mask)


def test_fingerprint_changes_with_the_files(tmp_path):
    folder_of_noise(tmp_path, 3)
    first = FolderSource(tmp_path, Preparation())
    before = first.fingerprint()
    assert before == FolderSource(tmp_path, Preparation()).fingerprint()
    assert FolderSource(tmp_path, Preparation(image_size=8)).identity() != first.identity()
    save(tmp_path / "0001.png", noise(99, 15, 15))
    assert first.fingerprint() != before  # also while it is being read
    changed = FolderSource(tmp_path, Preparation())
    assert changed.fingerprint() == first.fingerprint()
    assert changed.identity() == first.identity()


def test_the_digest_of_the_contents_knows_no_place_and_no_dates(tmp_path):
    def digest(folder, **arguments):
        return FolderSource(tmp_path / folder, Preparation(**arguments)).content_digest()

    folder_of_noise(tmp_path / "a", 3)
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    before = digest("a")
    assert digest("b") == before
    os.rename(tmp_path / "b/0001.png", tmp_path / "b/00010.png")
    assert digest("b") != before
    os.rename(tmp_path / "b/00010.png", tmp_path / "b/0001.png")
    data = bytearray((tmp_path / "b/0001.png").read_bytes())
    data[-20] ^= 1
    (tmp_path / "b/0001.png").write_bytes(data)
    assert digest("b") != before
    for i in range(3):
        save(tmp_path / f"a/{i:04d}.mask.png", noise(9)[..., 0])
    masked = digest("a", mask_from="sidecar")
    save(tmp_path / "a/0000.mask.png", noise(8)[..., 0])
    assert len({before, masked, digest("a", mask_from="sidecar")}) == 3


def test_a_folder_that_vanishes_is_no_unreadable_image(tmp_path):
    folder_of_noise(tmp_path / "a", 3)
    source = FolderSource(tmp_path / "a", Preparation())
    os.rename(tmp_path / "a", tmp_path / "b")
    with pytest.raises(OSError, match=r"No such file.*must stay where they are.*0000\.png"):
        read(source)


def test_every_image_format_is_read_and_others_are_named(tmp_path, caplog):
    pixels = np.dstack([noise(0), np.full((16, 16), 255, "uint8")])
    for extension in ("png", "tif", "TIFF", "bmp", "gif"):
        image = pixels[..., :3] if extension in ("bmp", "gif") else pixels
        save(tmp_path / f"x.{extension}", image)
    (tmp_path / "y.heic").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    source = FolderSource(tmp_path, Preparation())
    assert source.size == 5
    assert all(image.shape == (16, 16, 3) for image, _ in read(source))
    assert "1 files of formats that are not read, such as y.heic" in caplog.text


@pytest.mark.parametrize(
    ("mask_from", "name"),
    [("alpha", None), ("color:255,0,255", None)]
    + [
        ("sidecar", name)
        for name in (
            "sub/{}.mask.png",
            "sub/{}_mask.png",
            "masks/sub/{}.png",
            "masks/sub/{}.mask.png",
            "../masks/sub/{}.webp",
        )
    ],
)
def test_masks_of_every_kind(tmp_path, mask_from, name):
    folder = tmp_path / "images"
    observed = [noise(50 + i)[..., 0] >= 100 for i in range(3)]
    for i, seen in enumerate(observed):
        pixels = noise(i)
        if mask_from == "alpha":
            pixels = np.dstack([pixels, np.where(seen, 200, 3).astype("uint8")])
        elif name is None:
            pixels[~seen] = (255, 0, 255)
        else:
            save(folder / name.format(i), seen * np.uint8(255))
        save(folder / "sub" / f"{i}.png", pixels)
    source = FolderSource(folder, Preparation(mask_from=mask_from))
    assert source.size == 3
    for i, (image, found) in enumerate(read(source)):
        assert np.array_equal(found[..., 0], observed[i])
        assert np.array_equal(image, noise(i) * found)


def test_links_and_names_of_other_encodings(tmp_path):
    """A loop is followed once; a link to nothing is an unreadable image."""
    pixels = folder_of_noise(tmp_path / "d", 3)
    (tmp_path / "d" / "here").symlink_to(".")
    (tmp_path / "d" / "y.png").symlink_to("/nonexistent.png")
    save(tmp_path / "x.png", noise(0))
    os.rename(os.fsencode(tmp_path / "x.png"), os.fsencode(tmp_path) + b"/d/z\xe9.png")
    source = FolderSource(tmp_path / "d", Preparation())
    assert source.paths[:4] == ["0000.png", "0001.png", "0002.png", "y.png"]
    assert source.size == 5
    found = read(source)
    assert np.array_equal([image for image, _ in found[:3]], pixels)
    assert isinstance(found[3], UnreadableImageError)
    assert np.array_equal(found[4][0], noise(0))
    assert source.label(4).encode().endswith(b"z\\xe9.png")
    assert source.fingerprint() == source.fingerprint()


FILES = {
    "a.png": noise(0),
    "narrow.png": noise(0, 16, 12),
    "gray.png": noise(0, channels=1),
    "clear.png": noise(0, channels=4),
    "a_mask.png": noise(0)[..., 0],
}


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        ([], {}, r"must hold images \(\.jpg.*with 1 other files"),
        (["a", "narrow"], {"image_size": 8, "center_crop": 14}, r"narrow\.png.*12 x 16 .* most 12"),
        (["a", "gray"], {}, r"gray\.png.*Received: .*a\.png with 3 and this one with 1\. Use"),
        (["clear"], {}, r'clear\.png.*transparent pixels.*mask_from="alpha"'),
        (
            ["a", "gray", "a_mask"],
            {"mask_from": "sidecar"},
            r"1 of 2 .*no mask.*first.*: gray\.png",
        ),
        (["a", "a_mask"], {}, r'1 mask files.*a_mask\.png.*mask_from="sidecar"'),
        (["a"], {"image_size": 0}, "image_size=0"),
        (["a"], {"image_size": 32.0}, "image_size=32.0"),
        (["a"], {"image_size": 10**9}, "at most 536,870,912 pixels. Received: image_size=10000"),
        (["a"], {"center_crop": True}, "center_crop=True"),
        (["a"], {"channels": 4}, "channels=4"),
        (["a"], {"mask_from": "beta"}, "mask_from='beta'"),
    ],
)
def test_errors(tmp_path, names, arguments, message):
    (tmp_path / "notes.txt").write_text("x")
    for name in names:
        save(tmp_path / f"{name}.png", FILES[f"{name}.png"])
    with pytest.raises(ValueError, match=message):
        read(FolderSource(tmp_path, Preparation(**arguments)))


def test_a_folder_that_cannot_be_listed(tmp_path):
    """Its images would be left out without a word."""
    with pytest.raises(FileNotFoundError, match="missing"):
        listing(tmp_path / "missing")


def test_a_mask_of_another_size(tmp_path):
    save(tmp_path / "a.png", noise(0))
    save(tmp_path / "a.mask.png", noise(0, 8, 8)[..., 0])
    with pytest.raises(ValueError, match=r"a\.png.*image's size, 16 x 16.*a\.mask\.png of 8 x 8"):
        read(FolderSource(tmp_path, Preparation(mask_from="sidecar")))
