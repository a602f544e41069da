"""The images of an evaluation: flags come before the run's settings, these before the model's."""

import numpy as np
import pytest
from PIL import Image

from keras_uai.measurements import DropPixel, Empirical
from keras_uai.metrics.batches import image_seeds, unpacked
from keras_uai.metrics.evaluation_data import HOLDOUT, UNDAMAGED, EvaluationData
from keras_uai.metrics.predictors import Predictor

OPTIONS = {
    "data": None,
    "data_dir": None,
    "split": "all",
    "split_seed": None,
    "image_size": None,
    "center_crop": None,
    "channels": None,
    "measurement": None,
    "mask_from": None,
    "holdout": None,
    "images": None,
}


def whole(data):
    """All images of an evaluation as one batch."""
    return joined(unpacked(data.batches(), data.measurement, needs_clean=False))


def joined(batches):
    batches = list(batches)
    names = [name for name, value in batches[0].items() if isinstance(value, np.ndarray)]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in names}


@pytest.fixture
def folder(tmp_path):
    """Ten images of 16 x 16, with an alpha channel that says what is missing."""
    path = tmp_path / "photos"
    path.mkdir()
    random = np.random.default_rng(0)
    for i in range(10):
        colour = random.integers(0, 256, (16, 16, 3), "uint8")
        alpha = np.where(random.random((16, 16, 1)) < 0.5, 255, 0).astype("uint8")
        Image.fromarray(np.concatenate([colour, alpha], axis=-1)).save(path / f"{i}.png")
        Image.fromarray(colour).save(path / f"{i}.clean.png")
    return str(path)


@pytest.fixture
def clean(tmp_path):
    path = tmp_path / "clean"
    path.mkdir()
    for i in range(10):
        colour = np.random.default_rng(i).integers(0, 256, (16, 16, 3), "uint8")
        Image.fromarray(colour).save(path / f"{i}.png")
    return str(path)


def predictor(settings=None, measurement=None, size=8):
    shape = (size, size, 3)
    return Predictor(None, measurement=measurement, image_shape=shape, settings=settings or {})


def test_options_come_first_then_the_runs_settings_then_the_model(clean):
    run = {"data": clean, "split_seed": 4, "measurement": "DropPixel(0.5)", "image_size": 16}
    data = EvaluationData(OPTIONS, predictor(run, DropPixel(0.75)))
    assert data.measurement == DropPixel(0.5)
    assert data.arguments["seed"] == 4
    assert data.given["image_size"] == 16
    data = EvaluationData(
        {**OPTIONS, "measurement": "DropPixel(0.9)", "split_seed": 0}, predictor(run)
    )
    assert data.measurement == DropPixel(0.9)
    assert data.arguments["seed"] == 0
    data = EvaluationData({**OPTIONS, "data": clean}, predictor(None, DropPixel(0.75)))
    assert data.measurement == DropPixel(0.75)
    assert data.given["image_size"] == (8, 8)
    data = EvaluationData({**OPTIONS, "data": clean}, predictor(None, DropPixel(0.75), None))
    assert data.given["image_size"] is None


def test_batches_and_their_provenance(clean):
    options = {**OPTIONS, "data": clean, "measurement": "DropPixel(0.5)", "images": 6}
    data = EvaluationData(options)
    found = data.provenance()
    assert found.pop("content")
    assert found == {
        "dataset": "clean",
        "split": "all",
        "seed": 0,
        "images": 6,
        "image_size": "16x16x3",
        "measurement": repr(DropPixel(0.5)),
        "holdout": None,
    }
    batch = whole(data)
    assert batch["observation"].shape == (6, 16, 16, 3)
    assert np.array_equal(batch["observation"], batch["clean"] * batch["mask"])
    again = whole(EvaluationData(options))
    assert all(np.array_equal(again[name], batch[name]) for name in batch)
    shown = data.shown(1, 3, seed=5)
    for name in ("observation", "mask", "clean"):
        assert np.array_equal(np.stack(shown[name]), batch[name][1:4])
    assert np.array_equal(shown["seeds"], image_seeds(5, [1, 2, 3]))
    with pytest.raises(ValueError, match=r"number of all images. Received: --first=6"):
        data.shown(6, 1)


def test_fields_with_holes(tmp_path):
    fields = np.random.default_rng(0).normal(280, 5, (10, 16, 24, 1)).astype("float32")
    fields[:, :8, :4] = np.nan
    np.save(tmp_path / "fields.npy", fields)
    data = EvaluationData({**OPTIONS, "data": str(tmp_path / "fields.npy")})
    assert not data.values.is_bounded
    batch = whole(data)
    assert not batch["known"][:, :8, :4].any()
    observed = batch["mask"] > 0.5
    values = data.values.decode(batch["observation"])[observed]
    assert values == pytest.approx(fields[observed], abs=1e-3)


def test_undamaged_images(clean):
    batch = whole(EvaluationData({**OPTIONS, "data": clean, "measurement": UNDAMAGED}))
    assert np.array_equal(batch["observation"], batch["clean"])
    assert batch["mask"].all()


def test_damaged_images_are_scored_on_held_out_pixels(folder, tmp_path):
    for path in (tmp_path / "photos").glob("*.clean.png"):
        path.unlink()
    data = EvaluationData({**OPTIONS, "data": folder, "mask_from": "alpha"})
    assert not data.has_whole_images
    assert data.holdout == HOLDOUT
    batch = whole(data)
    assert isinstance(data.measurement, Empirical)
    assert (batch["mask"] <= batch["known"]).all()
    hidden = 1 - batch["mask"].sum() / batch["known"].sum()
    assert 0.05 < hidden < 0.4
    given = {"data": folder, "mask_from": "alpha", "holdout": 0.0}
    as_they_are = EvaluationData({**OPTIONS, **given})
    assert not as_they_are.has_whole_images
    shown = whole(as_they_are)
    assert set(shown) == {"observation", "mask"}
    assert np.array_equal(shown["mask"], batch["known"])


@pytest.fixture
def kept_aside(folder, tmp_path):
    """The damaged folder, and another one of the clean images behind it."""
    aside = tmp_path / "aside"
    aside.mkdir()
    for path in (tmp_path / "photos").glob("*.clean.png"):
        path.rename(aside / path.name.replace(".clean", ""))
    return {**OPTIONS, "data": folder, "mask_from": "alpha", "clean_data": str(aside)}


def test_damaged_images_are_scored_against_clean_ones_that_were_kept_aside(kept_aside, tmp_path):
    for options in (kept_aside, {**kept_aside, "split": "validation", "image_size": 8}):
        data = EvaluationData(options)
        assert data.has_whole_images
        batch = whole(data)
        assert np.array_equal(batch["observation"], batch["clean"] * batch["mask"])
        assert 0 < batch["mask"].mean() < 1
    aside = whole(EvaluationData(kept_aside))["clean"]
    for i, clean in enumerate(aside):
        with Image.open(tmp_path / "aside" / f"{i}.png") as file:
            assert np.array_equal(np.rint((clean + 1) * 127.5), file)
    assert isinstance(data.measurement, Empirical)
    assert data.provenance()["holdout"] is None
    none_hidden = EvaluationData({**kept_aside, "holdout": 0.0})
    assert none_hidden.has_whole_images
    assert none_hidden.provenance()["holdout"] is None


def test_a_damaged_image_that_is_skipped_takes_its_clean_one_along(kept_aside, tmp_path):
    before = whole(EvaluationData(kept_aside))
    path = tmp_path / "photos" / "3.png"
    with Image.open(path) as file:
        file.putalpha(0)  # no pixel is left
        file.save(path)
    left = whole(EvaluationData(kept_aside))
    for name, values in before.items():
        assert np.array_equal(left[name], np.delete(values, 3, axis=0))
    (tmp_path / "aside" / "5.png").write_bytes(b"no image")
    left = whole(EvaluationData(kept_aside))
    assert np.array_equal(left["clean"], np.delete(before["clean"], [3, 5], axis=0))


def test_clean_images_that_are_not_those_behind_the_damaged_ones(kept_aside, tmp_path, clean):
    with pytest.raises(ValueError, match=r"must show the same.*a mean difference of 0"):
        whole(EvaluationData({**kept_aside, "clean_data": clean}))
    (tmp_path / "aside" / "3.png").unlink()
    with pytest.raises(ValueError, match=r"10 damaged and 9 clean images; only in .* folders: 3"):
        EvaluationData(kept_aside)
    with pytest.raises(ValueError, match=r"must be a folder\. Received: 'none'"):
        EvaluationData({**kept_aside, "clean_data": "none"})
    with pytest.raises(ValueError, match="is for images that are damaged already"):
        EvaluationData(
            {**OPTIONS, "data": clean, "measurement": "DropPixel(0.5)", "clean_data": clean}
        )


def test_pixels_of_clean_images_can_be_held_out_too(clean):
    options = {**OPTIONS, "data": clean, "measurement": "DropPixel(0.5)", "holdout": 0.3}
    data = EvaluationData(options)
    batch = whole(data)
    assert not data.has_whole_images
    assert batch["known"].mean() == pytest.approx(0.5)


def test_missing_flags_are_named(clean):
    with pytest.raises(ValueError, match="`--data` must name"):
        EvaluationData(OPTIONS)
    with pytest.raises(ValueError, match="`--measurement` must say"):
        EvaluationData({**OPTIONS, "data": clean})
