"""The gallery holds the right pixels of the right images at the right place."""

import numpy as np
import pytest
from PIL import Image

from keras_uai import presets
from keras_uai.metrics import figures, gallery, predictors
from keras_uai.metrics.batches import image_seeds
from keras_uai.metrics.evaluation_data import EvaluationData
from tests.metrics.test_evaluation_data import OPTIONS, clean, whole  # noqa: F401
from tests.metrics.test_figures import cells, eight_bits, scaled
from tests.testing import same_bits, tiny_uai

STEP = figures.CELL + figures.GAP


def band(title, count, size, seed, is_whole=True):
    """A band of random pixels, and these, as the columns of its rows show them."""
    y, x, mean = (eight_bits((count, size, size, 3), seed + i) for i in range(3))
    samples = eight_bits((count, 4, size, size, 3), seed + 3)
    shown = {"y": scaled(y), "samples": scaled(samples), "mean": scaled(mean)}
    shown |= {"title": title, "clean": scaled(x) if is_whole else None}
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
    alone = gallery.gallery([second], max_samples=2)
    head = len(figures.grid([[np.zeros((96, 96, 3), "uint8")]], None, None, "t")) - STEP
    for one, rows, size, at in ((second, 2, 16, 0), (first, 3, 32, 2 * STEP + head)):
        deviation = one["samples"].astype("float64").std(axis=1, ddof=1).mean(axis=-1)
        shown = cells(picture[: picture.shape[0] - at], size, rows, 6)[:, 4]
        assert np.array_equal(shown, figures.colour_map(deviation / limit))
    assert picture.shape[1] == alone.shape[1]


def test_an_unknown_truth_is_left_white():
    shown, _ = band("damaged", 1, 32, 0, is_whole=False)
    assert (cells(gallery.gallery([shown]), 32, 1, 8)[0, -1] == 255).all()


@pytest.fixture
def options(tmp_path, clean):  # noqa: F811
    model = tiny_uai("DropPixel(0.5)", generator={"predicts_mean": True})
    about = {"description": "a tiny one"}
    presets.save(model, tmp_path / "tiny", about, serving=False, float16=False)
    return {
        **OPTIONS,
        "presets": [str(tmp_path / "tiny")],
        "data": clean,
        "first": 3,
        "images": 2,
        "num_samples": 2,
        "seed": 5,
        "view": None,
        "out": str(tmp_path / "pictures" / "gallery.png"),
    }, model


def test_from_presets_to_a_picture(options, monkeypatch):
    (options, model), drawn, bands = options, gallery.gallery, []
    monkeypatch.setattr(gallery, "gallery", lambda b, **kw: bands.extend(b) or drawn(b, **kw))
    path = gallery.draw(options)
    (found,) = bands
    assert found["title"] == "tiny: a tiny one"
    data = whole(EvaluationData({**options, "images": None, "measurement": "DropPixel(0.5)"}))
    assert len(data["clean"]) > 5  # of which the fourth and fifth are shown, whatever --images
    y, mask = data["observation"][3:5], data["mask"][3:5]
    same_bits(np.stack(found["y"]), y)
    same_bits(np.stack(found["clean"]), data["clean"][3:5])
    seeds = image_seeds(5, np.arange(3, 5))
    np.testing.assert_allclose(found["samples"], model.inpaint(y, mask, 10, seeds), atol=1e-5)
    np.testing.assert_allclose(found["mean"], model.predict_mean(y, mask), atol=1e-5)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(drawn(bands, max_samples=2), picture)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"presets": []}, "`--presets` must name at least one preset. Received: none"),
        ({"presets": ["none"]}, "A model must be a preset's name.*Received: 'none'"),
        ({"data": "a,b"}, r"one data set for all presets, or one a preset \(1\). Received: 2"),
        ({"data": None}, "`--data` must name"),
        ({"first": 10}, "number of all images. Received: --first=10"),
    ],
)
def test_errors_of_users_are_named(options, change, message):
    with pytest.raises(ValueError, match=message):
        gallery.draw({**options[0], **change})


def test_presets_with_data_of_their_own_are_shown_these():
    models = [predictors.Predictor(None, settings={"data": d}) for d in ("drawn_faces", "photos")]
    assert gallery._data("others", models) == [None, "others"]
    assert gallery._data("a,b", models) == ["a", "b"]


def test_a_crop_is_of_folders_alone():
    options = {"center_crop": 64}
    assert gallery._shown("drawn_faces", options) == {"data": "drawn_faces", "center_crop": None}
    assert gallery._shown(None, options) == {"data": None, "center_crop": None}
    assert gallery._shown("photos", options) == {"data": "photos", "center_crop": 64}
