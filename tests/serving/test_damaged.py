"""Which files are filled in, where each has its mask, and what its results are called."""

import numpy as np
import pytest

from keras_uai.serving import Limits, damaged
from tests.serving.photographs import decode, encode, pixels

LIMITS = Limits()


@pytest.fixture
def files(tmp_path):
    """Writes files; `{relative path: bytes}`, None for a small image with alpha."""

    def write(*paths, **given):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(encode(pixels()))
        return tmp_path

    return write


def names(found):
    return {one.name: (one.mask_from, one.mask and one.mask.rsplit("/", 1)[-1]) for one in found}


def test_a_folder_is_mirrored(files):
    folder = files("a.png", "b/c.jpg", "b/d/e.webp", ".hidden.png", "b/note.txt")
    found = damaged.find([folder])
    assert names(found) == {"a": ("alpha", None), "b/c": ("alpha", None), "b/d/e": ("alpha", None)}
    assert [one.path for one in found] == [
        str(folder / p) for p in ("a.png", "b/c.jpg", "b/d/e.webp")
    ]


def test_masks_lie_beside_images(files):
    folder = files("a.png", "a.mask.png", "b/c.jpg", "b/c_mask.png", "d.png", "masks/d.png")
    wanted = {"a": "a.mask.png", "b/c": "c_mask.png", "d": "d.png"}
    assert names(damaged.find([folder])) == {n: ("sidecar", m) for n, m in wanted.items()}
    assert names(damaged.find([folder], "alpha")) == dict.fromkeys(wanted, ("alpha", None))
    for path, mask in (("a.png", "a.mask.png"), ("b/c.jpg", "c_mask.png"), ("d.png", "d.png")):
        ((mask_from, name),) = names(damaged.find([folder / path])).values()
        assert (mask_from, name) == ("sidecar", mask)


def test_masks_in_a_folder_beside_the_folder(files):
    folder = files("photos/a.png", "masks/a.png")
    assert names(damaged.find([folder / "photos"])) == {"a": ("sidecar", "a.png")}


def test_one_mask_for_all(files):
    folder = files("photos/a.png", "photos/b.png", "hole.png")
    found = damaged.find([folder / "photos"], str(folder / "hole.png"))
    assert names(found) == dict.fromkeys("ab", ("sidecar", "hole.png"))


def test_results_within_the_folder_are_not_images(files):
    folder = files("a.png", "out/a/mean.png")
    assert list(names(damaged.find([folder], leave_out=folder / "out"))) == ["a"]
    assert list(names(damaged.find([folder]))) == ["a", "out/a/mean"]


def test_names_are_told_apart(files):
    folder = files("a.png", "a.jpg", "b.png", "other/b.png")
    assert list(names(damaged.find([folder]))) == ["a.jpg", "a.png", "b", "other/b"]
    assert list(names(damaged.find([folder / "b.png", folder / "b.png"]))) == ["b"]
    with pytest.raises(ValueError, match=r"called the same.*other/b.png"):
        damaged.find([folder / "b.png", folder / "other" / "b.png"])


def test_what_cannot_be_found(files):
    folder = files("empty/note.txt")
    with pytest.raises(ValueError, match=r"no such file or folder. Received: .*nowhere"):
        damaged.find([folder / "nowhere"])
    with pytest.raises(ValueError, match=r"There are no images \(.jpg.*Received: .*empty"):
        damaged.find([folder / "empty"])
    with pytest.raises(ValueError, match=r"`mask_from` is not known. Received: mask_from='nose'"):
        damaged.find([folder], "nose")


def load(folder, mask="auto"):
    (found,) = damaged.find([folder / "a.png"], mask)
    return found.load(LIMITS)


def test_where_masks_come_from(tmp_path):
    image = pixels()
    (tmp_path / "a.png").write_bytes(encode(image))
    assert load(tmp_path) == (encode(image), b"")
    with pytest.raises(ValueError, match="There is no mask file"):
        load(tmp_path, "sidecar")
    painted = np.where(image[..., 3:] == 0, np.uint8([255, 0, 255]), image[..., :3])
    (tmp_path / "a.png").write_bytes(encode(painted))
    with pytest.raises(ValueError, match="without an alpha channel needs a mask"):
        load(tmp_path)
    data, mask = load(tmp_path, "color:255,0,255")
    assert (decode(data) == painted).all()
    assert (decode(mask)[..., 0] == image[..., 3]).all()
    with pytest.raises(ValueError, match="Nothing is missing"):
        load(tmp_path, "color:1,2,3")
    (tmp_path / "a.mask.png").write_bytes(encode(image[..., 3]))
    assert load(tmp_path) == (encode(painted), encode(image[..., 3]))


def test_a_painted_photograph_that_exif_turns(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    image = pixels((20, 30), 3)
    image[:5] = (255, 0, 255)
    (tmp_path / "a.webp").write_bytes(encode(image, "WEBP", lossless=True, exif=exif.tobytes()))
    (found,) = damaged.find([tmp_path / "a.webp"], "color:255,0,255")
    data, mask = found.load(LIMITS)
    assert decode(data).shape == (30, 20, 3)
    assert (decode(mask)[..., 0] == 0)[:, 15:].all()
    assert (decode(mask)[..., 0] == 0).mean() == pytest.approx(0.25)
