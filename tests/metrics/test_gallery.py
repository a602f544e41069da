"""The gallery holds the right pixels of the right images at the right place."""

import numpy as np
import pytest
from PIL import Image

from keras_uai.metrics import evaluation, figures, gallery
from keras_uai.metrics.evaluation_data import EvaluationData
from tests.metrics.test_evaluation_data import OPTIONS, clean  # noqa: F401
from tests.metrics.test_figures import eight_bits, scaled
from tests.testing import same_bits, tiny_uai

STEP = figures.CELL + figures.GAP


def cells(picture, size, rows, columns):
    """The pictures of a gallery's last `rows` rows, reduced to their own pixels again."""
    zoom = figures.CELL // size
    found = np.zeros((rows, columns, size, size, 3), "uint8")
    for row in range(rows):
        for column in range(columns):
            top = picture.shape[0] - (rows - row) * STEP
            left = picture.shape[1] - (columns - column) * STEP
            cell = picture[top : top + size * zoom, left : left + size * zoom]
            blocks = cell.reshape(size, zoom, size, zoom, 3)
            assert np.array_equal(blocks, np.broadcast_to(blocks[:, :1, :, :1], blocks.shape))
            found[row, column] = blocks[:, 0, :, 0]
    return found


def band(name, count, size, seed, whole=True):
    """A band of random pixels, and these, as the columns of its rows show them."""
    y, x, mean = (eight_bits((count, size, size, 3), seed + i) for i in range(3))
    samples = eight_bits((count, 4, size, size, 3), seed + 3)
    shown = {"y": scaled(y), "samples": scaled(samples), "mean": scaled(mean)}
    shown |= {"name": name, "description": "what it is", "clean": scaled(x) if whole else None}
    return shown, [y, samples[:, 0], samples[:, 1], mean, None, x]


def test_each_row_is_an_image_and_each_band_a_preset():
    first, _ = band("first", 3, 32, 10)
    second, expected = band("second", 2, 16, 20)
    first["samples"] /= 4  # spread less
    picture = gallery.gallery([first, second], max_samples=2)
    found = cells(picture, 16, 2, 6)
    for column, images in enumerate(expected):
        if images is not None:
            assert np.array_equal(found[:, column], images)
    deviation = second["samples"].astype("float64").std(axis=1, ddof=1).mean(axis=-1)
    limit = np.quantile(deviation, 0.995)
    for one, rows, size, at in ((second, 2, 16, 0), (first, 3, 32, 2 * STEP + figures.GAP)):
        deviation = one["samples"].astype("float64").std(axis=1, ddof=1).mean(axis=-1)
        above = picture[: picture.shape[0] - at - (gallery.HEAD if at else 0)]
        shown = cells(above, size, rows, 6)[:, 4].astype(int)
        assert np.abs(shown - figures.colour_map(deviation / limit)).max() <= 1
    assert picture.shape[1] == 6 * STEP + 2 * figures.GAP


def test_what_is_not_known_is_left_white():
    shown, _ = band("damaged", 1, 32, 0, whole=False)
    assert (cells(gallery.gallery([shown]), 32, 1, 8)[0, -1] == 255).all()


@pytest.fixture
def options(tmp_path, clean):  # noqa: F811
    model = tiny_uai("DropPixel(0.5)", generator={"predicts_mean": True})
    about = {"description": "a tiny one"}
    model.save_to_preset(tmp_path / "tiny", about, serving=False, float16=False)
    return {
        **OPTIONS, "presets": [str(tmp_path / "tiny")], "data": clean, "first": 3, "images": 2,
        "num_samples": 2, "seed": 5, "out": str(tmp_path / "pictures" / "gallery.png"),
    }, model  # fmt: skip


def test_from_presets_to_a_picture(options, monkeypatch):
    (options, model), drawn, bands = options, gallery.gallery, []
    monkeypatch.setattr(gallery, "gallery", lambda b, **kw: bands.extend(b) or drawn(b, **kw))
    path = gallery.draw(options)
    (found,) = bands
    assert (found["name"], found["description"]) == ("tiny", "a tiny one")
    data = EvaluationData({**options, "images": None, "measurement": "DropPixel(0.5)"}).first(None)
    assert len(data["clean"]) > 5  # of which the fourth and fifth are shown, whatever --images
    y, mask = data["observation"][3:5], data["mask"][3:5]
    same_bits(found["y"], y)
    same_bits(found["clean"], data["clean"][3:5])
    seeds = evaluation.image_seeds(5, np.arange(3, 5))
    np.testing.assert_allclose(found["samples"], model.inpaint(y, mask, 10, seeds), atol=1e-5)
    np.testing.assert_allclose(found["mean"], model.mean(y, mask), atol=1e-5)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(drawn(bands, max_samples=2), picture)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"presets": []}, r"Name them \(--presets=A,B\). Received: none"),
        ({"presets": ["none"]}, "There is no such preset.*Received: 'none'"),
        ({"data": "a,b"}, "one data set for all presets, or one a preset: 1. Received: 2"),
        ({"data": None}, "Which images"),
        ({"first": 10}, "clean has fewer all images. Received: --first=10"),
    ],
)
def test_what_the_user_can_put_right(options, change, message):
    with pytest.raises(ValueError, match=message):
        gallery.draw({**options[0], **change})


def test_presets_with_data_of_their_own_are_shown_these():
    own = gallery._data("photos", ["drawn_faces_32_drop_pixel", "faces_32_drop_pixel"])
    assert own == [None, "photos"]


def test_a_crop_is_of_folders_alone():
    options = {"crop_size": 64}
    assert gallery._shown("drawn_faces", options) == {"data": "drawn_faces", "crop_size": None}
    assert gallery._shown(None, options) == {"data": None, "crop_size": None}
    assert gallery._shown("photos", options) == {"data": "photos", "crop_size": 64}
