import numpy as np
import pytest
from PIL import Image

from keras_uai import files
from keras_uai.datasets import damage
from tests.datasets.images import noise, save


@pytest.mark.parametrize(
    ("text", "kind", "color"),
    [
        (None, None, None),
        ("alpha", "alpha", None),
        ("sidecar", "sidecar", None),
        ("color:255,0,255", "color", [255, 0, 255]),
        ("color: 1 , 2,3", "color", [1, 2, 3]),
        ("color:#ff8000", "color", [255, 128, 0]),
    ],
)
def test_parse(text, kind, color):
    found = damage.parse(text)
    assert found[0] == kind
    assert (found[1] if color is None else found[1].tolist()) == color


@pytest.mark.parametrize(
    "wrong",
    ["Alpha", "color:256,0,0", "color:red", "color:1,2", "color:#fff", "", True, 3, ["alpha"]],
)
def test_parse_says_what_there_is(wrong):
    with pytest.raises(ValueError, match=r'`mask_from` must be "alpha".*Received: mask_from='):
        damage.parse(wrong)


def test_alpha_below_half_is_missing(tmp_path):
    alpha = np.array([[0, 127, 128, 255]], "uint8")
    path = save(tmp_path / "a.png", np.dstack([noise(0, 1, 4), alpha]))
    pixels, observed = damage.read_damaged(path, "alpha")
    assert np.array_equal(pixels, noise(0, 1, 4))
    assert observed.tolist() == [[False, False, True, True]]
    path = save(tmp_path / "b.png", noise(0))
    assert damage.read_damaged(path, "alpha")[1].all()
    assert damage.read_damaged(path, None)[1] is None


def test_transparent_pixels_are_missing_beside_a_mask_file_or_a_colour(tmp_path):
    """Whatever colour lies under them."""
    pixels = np.full((8, 8, 4), 200, "uint8")
    pixels[2:5, 2:5] = 0
    mask = np.full((8, 8), 255, "uint8")
    mask[:1] = 0
    save(tmp_path / "a.png", pixels)
    save(tmp_path / "mask.png", mask)
    expected = (mask > 0) & (pixels[..., 3] > 0)
    found = damage.read_damaged(tmp_path / "a.png", "sidecar", tmp_path / "mask.png")[1]
    assert np.array_equal(found, expected)
    found = damage.read_damaged(tmp_path / "a.png", "color:200,200,200")[1]
    assert not found.any()


def test_nan_of_floating_point_files(tmp_path):
    pixels = np.random.default_rng(0).normal(size=(6, 7, 1)).astype("float32")
    pixels[1:3, 2] = np.nan
    files.write_image(tmp_path / "a.tif", pixels)
    found, observed = damage.read_damaged(tmp_path / "a.tif", "nan")
    assert np.array_equal(found, pixels, equal_nan=True)
    assert np.array_equal(observed, ~np.isnan(pixels[..., 0]))
    with pytest.raises(ValueError, match=r'must not have NaN.*mask_from="nan"'):
        damage.read_damaged(tmp_path / "a.tif", None)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_files_do_not_keep_a_colour(tmp_path, name):
    Image.fromarray(noise(0)).save(tmp_path / name)
    for file in (tmp_path / name, (tmp_path / name).read_bytes()):
        with pytest.raises(ValueError, match="without loss"):
            damage.read_damaged(file, "color:#ff00ff")
    lossless = save(tmp_path / "b.webp", np.full((4, 4, 3), (255, 0, 255), "uint8"))
    assert not damage.read_damaged(lossless, "color:#ff00ff")[1].any()


def test_listing_tells_masks_from_images():
    images, masks = damage.split_listing(
        ["a.jpg", "a.mask.png", "b/c.png", "b/c_MASK.png", "d.png", "masks/d.png", "face_mask.jpg"]
        + ["e.png", "masks/d.json", "masks/e_mask.png", "masks/deep/f.png", "deep/f.webp"]
    )
    # masks/p.json is no image, and face_mask.jpg is a photograph: no image `face` lies beside it.
    assert images == ["a.jpg", "b/c.png", "d.png", "face_mask.jpg", "e.png", "deep/f.webp"]
    assert masks == {
        "a": "a.mask.png",
        "b/c": "b/c_MASK.png",
        "d": "masks/d.png",
        "e": "masks/e_mask.png",
        "deep/f": "masks/deep/f.png",
    }


def test_names_that_look_the_same_are_the_same():
    """A photograph named in composed form, its mask in decomposed form, as macOS writes it."""
    images, masks = damage.split_listing(["caf\u00e9.png", "cafe\u0301_mask.png"])
    assert images == ["caf\u00e9.png"]
    assert masks[damage.stem(images[0])] == "cafe\u0301_mask.png"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_only_exactly_that_color_is_missing(dtype):
    rows = np.array([[[255, 0, 255], [255, 0, 254], [255, 1, 255], [0, 0, 0]]], "uint8")
    pixels = rows if dtype == "uint8" else rows.astype("uint16") * 257
    found = damage.read_damaged(files.encode_image(pixels), "color:255,0,255")[1]
    assert found.tolist() == [[False, True, True, True]]
    gray = files.encode_image(np.array([[[7], [8]]], "uint8"))
    assert damage.read_damaged(gray, "color:7,7,7")[1].tolist() == [[False, True]]
    assert damage.read_damaged(gray, "color:7,7,8")[1].all()
