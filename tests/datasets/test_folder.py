import os
import unicodedata

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


def alpha_image(seed):
    missing = noise(seed + 50)[..., 0] < 100
    return noise(seed), np.where(missing, 3, 200).astype("uint8"), ~missing


@pytest.mark.parametrize(
    "names",
    [
        ("{}.mask.png",),
        ("{}_mask.png",),
        ("masks/{}.png",),
        ("masks/{}.mask.png",),
        ("../masks/{}.webp",),
    ],
)
def test_sidecars(tmp_path, names):
    folder = tmp_path / "images"
    for i in range(3):
        pixels, _, observed = alpha_image(i)
        save(folder / "sub" / f"{i}.png", pixels)
        name = names[0].format(i)
        if "masks/" in name:
            name = name.replace("masks/", "masks/sub/")
            path = folder / name
        else:
            path = folder / "sub" / name
        save(path, observed * np.uint8(255))
    source = FolderSource(folder, Preparation(mask_from="sidecar"))
    assert source.size == 3
    for i, (image, found) in enumerate(read(source)):
        pixels, _, observed = alpha_image(i)
        assert np.array_equal(found[..., 0], observed)
        assert np.array_equal(image, pixels * observed[..., None])


def test_alpha_and_color_give_the_same_as_sidecars(tmp_path):
    for i in range(2):
        pixels, alpha, observed = alpha_image(i)
        save(tmp_path / "alpha" / f"{i}.png", np.dstack([pixels, alpha]))
        pixels[~observed] = (255, 0, 255)
        save(tmp_path / "color" / f"{i}.png", pixels)
    for kind in ("alpha", "color"):
        mask_from = "alpha" if kind == "alpha" else "color:255,0,255"
        source = FolderSource(tmp_path / kind, Preparation(mask_from=mask_from))
        for i, (image, found) in enumerate(read(source)):
            pixels, _, observed = alpha_image(i)
            assert np.array_equal(found[..., 0], observed)
            assert np.array_equal(image, pixels * observed[..., None])


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


def test_links(tmp_path):
    """A loop is followed once; a link to nothing is an unreadable image."""
    pixels = folder_of_noise(tmp_path / "d", 3)
    (tmp_path / "d" / "here").symlink_to(".")
    (tmp_path / "d" / "z.png").symlink_to("/nonexistent.png")
    source = FolderSource(tmp_path / "d", Preparation())
    assert source.paths == ["0000.png", "0001.png", "0002.png", "z.png"]
    found = read(source)
    assert np.array_equal([image for image, _ in found[:3]], pixels)
    assert isinstance(found[3], UnreadableImageError)
    assert source.fingerprint() == source.fingerprint()


def test_names_of_other_encodings(tmp_path):
    save(tmp_path / "x.png", noise(0))
    os.rename(os.fsencode(tmp_path / "x.png"), os.fsencode(tmp_path) + b"/caf\xe9.png")
    source = FolderSource(tmp_path, Preparation())
    assert np.array_equal(read(source)[0][0], noise(0))
    source.fingerprint()
    assert source.label(0).encode().endswith(b"caf\\xe9.png")


def test_masks_of_decomposed_names(tmp_path):
    name = "caf\u00e9"
    save(tmp_path / f"{name}.png", noise(0))
    mask = noise(1, channels=1) > 90
    path = tmp_path / f"{unicodedata.normalize('NFD', name)}_mask.png"
    save(path, mask[..., 0])
    source = FolderSource(tmp_path, Preparation(mask_from="sidecar"))
    assert np.array_equal(read(source)[0][1], mask)
    assert listing(tmp_path)[1] == []


# -- errors ---------------------------------------------------------------------------------------


def test_no_images(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"must hold images \(\.jpg.*with 1 other files"):
        FolderSource(tmp_path, Preparation())


def test_smaller_than_the_crop(tmp_path):
    save(tmp_path / "a.png", noise(0))
    save(tmp_path / "b.png", noise(0, 16, 12))
    source = FolderSource(tmp_path, Preparation(8, 14))
    with pytest.raises(ValueError, match=r"b\.png.*12 x 16 pixels.*center_crop=14.*at most 12"):
        read(source)


def test_mixed_channels(tmp_path):
    save(tmp_path / "a.png", noise(0))
    save(tmp_path / "b.png", noise(0, channels=1))
    message = r"b\.png.*channels\. Received: .*a\.png with 3 and this one with 1\. Use channels=3"
    with pytest.raises(ValueError, match=message):
        read(FolderSource(tmp_path, Preparation(image_size=16)))


def test_transparency_is_not_ignored(tmp_path):
    pixels, alpha, _ = alpha_image(0)
    save(tmp_path / "a.png", np.dstack([pixels, np.full_like(alpha, 255)]))
    assert np.array_equal(read(FolderSource(tmp_path, Preparation()))[0][0], pixels)
    save(tmp_path / "a.png", np.dstack([pixels, alpha]))
    with pytest.raises(ValueError, match=r'a\.png.*transparent pixels.*mask_from="alpha"'):
        read(FolderSource(tmp_path, Preparation()))


def test_missing_sidecars(tmp_path):
    folder_of_noise(tmp_path, 3)
    save(tmp_path / "0001_mask.png", noise(0)[..., 0])
    with pytest.raises(ValueError, match=r"2 of 3 images have no mask file.*first.*: 0000\.png"):
        FolderSource(tmp_path, Preparation(mask_from="sidecar"))


def test_sidecars_that_nobody_asked_for(tmp_path):
    folder_of_noise(tmp_path, 2)
    save(tmp_path / "0001_mask.png", noise(0)[..., 0])
    with pytest.raises(ValueError, match=r'1 mask files.*0001_mask\.png.*mask_from="sidecar"'):
        FolderSource(tmp_path, Preparation())


def test_sidecar_of_another_size(tmp_path):
    save(tmp_path / "a.png", noise(0))
    save(tmp_path / "a.mask.png", noise(0, 8, 8)[..., 0])
    with pytest.raises(ValueError, match=r"a\.png.*image's size, 16 x 16.*a\.mask\.png of 8 x 8"):
        read(FolderSource(tmp_path, Preparation(mask_from="sidecar")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "image_size=0"),
        ({"image_size": 32.0}, "image_size=32.0"),
        ({"center_crop": True}, "center_crop=True"),
        ({"channels": 4}, "channels=4"),
        ({"mask_from": "beta"}, "mask_from='beta'"),
    ],
)
def test_arguments(tmp_path, arguments, message):
    save(tmp_path / "a.png", noise(0))
    with pytest.raises(ValueError, match=message):
        FolderSource(tmp_path, Preparation(**arguments))
