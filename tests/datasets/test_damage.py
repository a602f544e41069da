import numpy as np
import pytest

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
        ("color:7", "color", [7, 7, 7]),
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
    with pytest.raises(ValueError, match=r"Received: mask_from=.*Use mask_from=\"alpha\""):
        damage.parse(wrong)


def test_alpha_below_half_is_missing():
    alpha = np.array([[0, 127, 128, 255]], "uint8")
    assert damage.observed_from_alpha(alpha, (1, 4)).tolist() == [[False, False, True, True]]
    assert damage.observed_from_alpha(None, (1, 4)).all()


def test_only_exactly_that_color_is_missing():
    pixels = np.array([[[255, 0, 255], [255, 0, 254], [255, 1, 255], [0, 0, 0]]], "uint8")
    found = damage.observed_from_color(pixels, np.array([255, 0, 255], "uint8"))
    assert found.tolist() == [[False, True, True, True]]
    gray = np.array([[[7], [8]]], "uint8")
    assert damage.observed_from_color(gray, np.array([7, 7, 7], "uint8")).tolist() == [
        [False, True]
    ]
    assert damage.observed_from_color(gray, np.array([7, 7, 8], "uint8")).all()


def test_mask_files(tmp_path):
    mask = noise(0)[..., 0] > 100
    for number, values in enumerate((mask * 255, mask * 1, np.dstack([mask * 255] * 3))):
        path = save(tmp_path / f"{number}.png", values.astype("uint8"))
        assert np.array_equal(damage.observed_from_file(path), mask), number
    path = save(tmp_path / "bits.png", mask)
    assert np.array_equal(damage.observed_from_file(path), mask)
    soft = np.array([[0, 1, 127, 128, 200, 255]], "uint8")
    path = save(tmp_path / "soft.png", soft)
    assert damage.observed_from_file(path).tolist() == [[False] * 3 + [True] * 3]


def test_listing_tells_masks_from_images():
    images, masks = damage.split_listing(
        ["a.jpg", "a.mask.png", "b/c.png", "b/c_MASK.png", "d.png", "masks/d.png", "face_mask.jpg"]
        + ["e.png", "masks/e_mask.png", "masks/deep/f.png", "deep/f.webp"]
    )
    # face_mask.jpg is a photograph: no image `face` lies beside it.
    assert images == ["a.jpg", "b/c.png", "d.png", "face_mask.jpg", "e.png", "deep/f.webp"]
    assert masks == {
        "a": "a.mask.png",
        "b/c": "b/c_MASK.png",
        "d": "masks/d.png",
        "e": "masks/e_mask.png",
        "deep/f": "masks/deep/f.png",
    }
