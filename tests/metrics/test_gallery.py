"""The gallery holds the right pixels of the right images at the right place."""

import numpy as np
import pytest
from PIL import Image

from keras_uai import presets
from keras_uai.metrics import figures, gallery, predictors
from keras_uai.metrics.batches import image_seeds
from keras_uai.metrics.evaluation_data import EvaluationData
from tests.metrics.test_evaluation_data import OPTIONS, clean, whole  # noqa: F401
from tests.metrics.test_figures import cells
from tests.testing import tiny_uai


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


def test_from_presets_to_a_picture(options):
    """A band a preset, a row an image: y, samples, mean, deviation with common colours, x."""
    options, model = options
    preset = options["presets"][0]
    with Image.open(gallery.draw({**options, "presets": [preset, preset]})) as file:
        picture = np.asarray(file)
    found = cells(picture, 16, 2, 6)
    title = "tiny: a tiny one"
    title = len(figures.grid([[np.zeros((96, 96, 3), "uint8")]], title=title)) - 96 - figures.GAP
    first_band = picture[: len(picture) - 2 * (96 + figures.GAP) - title]
    assert np.array_equal(cells(first_band, 16, 2, 6), found)
    data = whole(EvaluationData({**options, "images": None, "measurement": "DropPixel(0.5)"}))
    assert len(data["clean"]) > 5  # of which the fourth and fifth are shown, whatever --images
    y, mask = data["observation"][3:5], data["mask"][3:5]
    samples = model.inpaint(y, mask, 10, image_seeds(5, np.arange(3, 5)))
    spread = figures.deviations(samples)
    expected = [y, samples[:, 0], samples[:, 1], model.predict_mean(y, mask)]
    expected = [figures.to_rgb(images) for images in (*expected, data["clean"][3:5])]
    expected.insert(4, [figures.colour_map(d / figures.brightest(spread)) for d in spread])
    for column, images in enumerate(expected):
        assert np.abs(found[:, column].astype(int) - images).max() <= 2


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
