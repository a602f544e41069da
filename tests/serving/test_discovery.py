"""Input discovery: which files are filled in, their masks, and the names of their results."""

import os
import unicodedata

import numpy as np
import pytest

from keras_uai.serving import discovery
from tests.serving.photographs import encode, pixels


@pytest.fixture
def files(tmp_path):
    """Writes small images with alpha at relative paths; returns the folder."""

    def write(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(encode(pixels()))
        return tmp_path

    return write


def names(found):
    return {one.name: (one.mask_from, one.mask and one.mask.rsplit("/", 1)[-1]) for one in found}


def test_a_folder_is_mirrored(files):
    folder = files("a.png", "b/c.jpg", "b/d/e.webp", ".hidden.png", "b/note.txt", "f.tif")
    found = discovery.find([folder])
    assert names(found) == dict.fromkeys(("a", "b/c", "b/d/e", "f"), ("alpha", None))
    assert [one.path for one in found][:2] == [str(folder / "a.png"), str(folder / "b/c.jpg")]


def test_masks_lie_beside_images(files):
    folder = files("a.png", "a.mask.png", "b/c.jpg", "b/c_mask.png", "d.png", "masks/d.png")
    wanted = {"a": "a.mask.png", "b/c": "c_mask.png", "d": "d.png"}
    assert names(discovery.find([folder])) == {n: ("sidecar", m) for n, m in wanted.items()}
    assert {one.mask_from for one in discovery.find([folder], "alpha")} == {"alpha"}
    for path, mask in (("a.png", "a.mask.png"), ("b/c.jpg", "c_mask.png"), ("d.png", "d.png")):
        ((mask_from, name),) = names(discovery.find([folder / path])).values()
        assert (mask_from, name) == ("sidecar", mask)


def test_masks_in_a_folder_beside_the_folder(files):
    folder = files("photos/a.png", "masks/a.png")
    assert names(discovery.find([folder / "photos"])) == {"a": ("sidecar", "a.png")}


def test_one_mask_for_all(files):
    folder = files("photos/a.png", "photos/b.png", "hole.png")
    found = discovery.find([folder / "photos"], str(folder / "hole.png"))
    assert names(found) == dict.fromkeys("ab", ("sidecar", "hole.png"))


def test_results_within_the_folder_are_not_images(files):
    folder = files("a.png", "out/a/mean.png")
    assert list(names(discovery.find([folder], leave_out=folder / "out"))) == ["a"]
    assert list(names(discovery.find([folder]))) == ["a", "out/a/mean"]


def test_names_are_told_apart(files):
    folder = files("a.png", "a.jpg", "b.png", "other/b.png")
    assert list(names(discovery.find([folder]))) == ["a.jpg", "a.png", "b", "other/b"]
    assert list(names(discovery.find([folder / "b.png", folder / "b.png"]))) == ["b"]
    with pytest.raises(ValueError, match=r"the same name, b.png.*other/b.png"):
        discovery.find([folder / "b.png", folder / "other" / "b.png"])


# -- names and links that file systems allow ------------------------------------------------------


def test_a_shell_pattern_takes_no_masks_for_photographs(files):
    """`tools/inpaint DIR/*.png` (fault 09); a mask alone is an image like others."""
    folder = files("p.png", "p_mask.png", "q.png", "q.mask.png")
    found = discovery.find(sorted(folder.glob("*.png")))
    assert names(found) == {"p": ("sidecar", "p_mask.png"), "q": ("sidecar", "q.mask.png")}
    assert list(names(discovery.find([folder / "p_mask.png"]))) == ["p_mask"]


def test_loops_end_and_dangling_links_are_errors_of_their_own(files):
    """Faults 06 and 08."""
    folder = files("a.png", "b/c.png")
    os.symlink(".", folder / "here")
    os.symlink("..", folder / "b" / "up")
    os.symlink("/nonexistent.png", folder / "d.png")
    found = {one.name: one for one in discovery.find([folder])}
    assert list(found) == ["a", "b/c", "d"]
    with pytest.raises(ValueError, match="No such file"):
        found["d"].load()
    with pytest.raises(ValueError, match="Received: a link to a missing file"):
        discovery.find([folder / "d.png"])


def test_names_in_any_bytes_and_any_unicode_form(files):
    """Faults 07 and 21: Latin-1, and a mask whose name is decomposed."""
    folder = files("x.png", "m.png")
    odd = os.fsencode(folder) + b"/caf\xe9.png"
    os.rename(folder / "x.png", odd)
    image, mask = (unicodedata.normalize(form, "n\u00e9") for form in ("NFC", "NFD"))
    os.rename(folder / "m.png", folder / f"{mask}_mask.png")
    (folder / f"{image}.png").write_bytes(encode(pixels()))
    (folder / f"{mask}_mask.png").write_bytes(encode(pixels()[..., 3]))
    found = discovery.find([folder])
    assert names(found) == {"caf\udce9": ("alpha", None), image: ("sidecar", f"{mask}_mask.png")}
    for one in found:
        assert one.load()[0].shape == (20, 30, 3)


def test_other_files_are_no_masks(files):
    """An annotation beside a mask (fault 17)."""
    folder = files("p.png", "masks/p.png")
    (folder / "masks" / "p.json").write_text("{}")
    for path in (folder, folder / "p.png"):
        assert names(discovery.find([path])) == {"p": ("sidecar", "p.png")}


def test_wrong_paths(files):
    folder = files("empty/note.txt")
    with pytest.raises(ValueError, match=r"nowhere must be a file or folder"):
        discovery.find([folder / "nowhere"])
    with pytest.raises(ValueError, match=r"There are no images \(.jpg.*Received: .*empty"):
        discovery.find([folder / "empty"])
    with pytest.raises(ValueError, match=r"Received: mask_from='nose'"):
        discovery.find([folder], "nose")


# -- masks ----------------------------------------------------------------------------------------


def load(folder, mask="auto", name="a.png"):
    (found,) = discovery.find([folder / name], mask)
    return found.load()


def test_sources_of_masks(tmp_path):
    image = pixels()
    seen = image[..., 3] > 0
    rgb = image[..., :3]

    def check(mask="auto", wanted=seen, colours=rgb):
        found, mask = load(tmp_path, mask)
        np.testing.assert_array_equal(found, colours)
        np.testing.assert_array_equal(mask, wanted)

    (tmp_path / "a.png").write_bytes(encode(image))
    check()
    with pytest.raises(ValueError, match="There is no mask file"):
        load(tmp_path, "sidecar")
    painted = np.where(seen[..., None], rgb, np.uint8([255, 0, 255]))
    (tmp_path / "a.png").write_bytes(encode(painted))
    check("color:255,0,255", seen, painted)
    (tmp_path / "a.mask.png").write_bytes(encode(image[..., 3]))
    check("auto", seen, painted)
    # Transparent pixels beside a mask file are missing, too (fault 10).
    (tmp_path / "a.png").write_bytes(encode(np.dstack([rgb, np.roll(image[..., 3], 1, 0)])))
    check("auto", seen & np.roll(seen, 1, 0))
