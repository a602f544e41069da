"""Which images, damaged how: flags before the run's settings before the model's."""

import numpy as np
import pytest
from PIL import Image

from keras_uai.measurements import DropPixel, Empirical
from keras_uai.metrics.evaluation_data import HOLDOUT, EvaluationData
from keras_uai.metrics.samplers import Sampler

OPTIONS = {
    "data": None, "data_dir": None, "split": "all", "split_seed": None, "image_size": None,
    "crop_size": None, "channels": None, "measurement": None, "mask_from": None, "holdout": None,
    "images": None,
}  # fmt: skip


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


def sampler(settings=None, measurement=None):
    return Sampler("m", None, "0", measurement, (8, 8, 3), settings=settings or {})


def test_options_come_first_then_the_runs_settings_then_the_model(clean):
    run = {"data": clean, "split_seed": 4, "measurement": "DropPixel(0.5)", "image_size": 16}
    data = EvaluationData(OPTIONS, sampler(run, DropPixel(0.75)))
    assert data.measurement == DropPixel(0.5)
    assert data.seed == 4
    assert data.given["image_size"] == 16
    data = EvaluationData(
        {**OPTIONS, "measurement": "DropPixel(0.9)", "split_seed": 0}, sampler(run)
    )
    assert data.measurement == DropPixel(0.9)
    assert data.seed == 0
    data = EvaluationData({**OPTIONS, "data": clean}, sampler(None, DropPixel(0.75)))
    assert data.measurement == DropPixel(0.75)
    assert data.given["image_size"] == 8


def test_batches_and_their_stamp(clean):
    options = {**OPTIONS, "data": clean, "measurement": "DropPixel(0.5)", "images": 6}
    data = EvaluationData(options)
    stamp = data.stamp()
    assert stamp.pop("content")
    assert stamp == {
        "dataset": "clean", "split": "all", "seed": 0, "images": 6, "image_size": "16x16x3",
        "measurement": repr(DropPixel(0.5)), "holdout": None,
    }  # fmt: skip
    batch = data.first(4)
    assert batch["observation"].shape == (4, 16, 16, 3)
    assert np.array_equal(batch["observation"], batch["clean"] * batch["mask"])
    whole = data.first(None)
    assert len(whole["clean"]) == 6
    assert np.array_equal(whole["mask"][:4], batch["mask"])
    again = EvaluationData(options).first(None)
    assert all(np.array_equal(again[name], whole[name]) for name in whole)


def test_clean_images_alone_need_no_measurement(clean):
    data = EvaluationData({**OPTIONS, "data": clean}, clean_only=True)
    batch = data.first(None)
    assert np.array_equal(batch["observation"], batch["clean"])
    assert batch["mask"].all()


def test_damaged_images_are_scored_on_held_out_pixels(folder, tmp_path):
    for path in (tmp_path / "photos").glob("*.clean.png"):
        path.unlink()
    data = EvaluationData({**OPTIONS, "data": folder, "mask_from": "alpha"})
    assert not data.has_whole_images
    assert data.holdout == HOLDOUT
    batch = data.first(None)
    assert isinstance(data.measurement, Empirical)
    assert (batch["mask"] <= batch["known"]).all()
    hidden = 1 - batch["mask"].sum() / batch["known"].sum()
    assert 0.05 < hidden < 0.4
    as_they_are = EvaluationData({**OPTIONS, "data": folder, "mask_from": "alpha"}, scored=False)
    assert not as_they_are.has_whole_images
    shown = as_they_are.first(None)
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
    for options in (kept_aside, {**kept_aside, "split": "withheld", "image_size": 8}):
        data = EvaluationData(options)
        assert data.has_whole_images
        batch = data.first(None)
        assert np.array_equal(batch["observation"], batch["clean"] * batch["mask"])
        assert 0 < batch["mask"].mean() < 1
    whole = EvaluationData(kept_aside).first(None)["clean"]
    for i, clean in enumerate(whole):
        with Image.open(tmp_path / "aside" / f"{i}.png") as file:
            assert np.array_equal(np.rint((clean + 1) * 127.5), file)
    assert isinstance(data.measurement, Empirical)
    assert data.stamp()["holdout"] is None
    none_hidden = EvaluationData({**kept_aside, "holdout": 0.0})
    assert none_hidden.has_whole_images
    assert none_hidden.stamp()["holdout"] is None


def test_a_damaged_image_that_is_skipped_takes_its_clean_one_along(kept_aside, tmp_path):
    before = EvaluationData(kept_aside).first(None)
    path = tmp_path / "photos" / "3.png"
    with Image.open(path) as file:
        file.putalpha(0)  # no pixel is left
        file.save(path)
    left = EvaluationData(kept_aside).first(None)
    for name, values in before.items():
        assert np.array_equal(left[name], np.delete(values, 3, axis=0))
    (tmp_path / "aside" / "5.png").write_bytes(b"no image")
    left = EvaluationData(kept_aside).first(None)
    assert np.array_equal(left["clean"], np.delete(before["clean"], [3, 5], axis=0))


def test_clean_images_that_are_not_those_behind_the_damaged_ones(kept_aside, tmp_path, clean):
    with pytest.raises(ValueError, match=r"shows something else.*Received: a mean difference of 0"):
        EvaluationData({**kept_aside, "clean_data": clean}).first(None)
    (tmp_path / "aside" / "3.png").unlink()
    with pytest.raises(ValueError, match=r"10 damaged and 9 clean images; only in .* folders: 3"):
        EvaluationData(kept_aside)
    with pytest.raises(ValueError, match=r"There is no such folder. Received: 'none'"):
        EvaluationData({**kept_aside, "clean_data": "none"})
    with pytest.raises(ValueError, match="goes with images that are damaged already"):
        EvaluationData(
            {**OPTIONS, "data": clean, "measurement": "DropPixel(0.5)", "clean_data": clean}
        )


def test_pixels_of_clean_images_can_be_held_out_too(clean):
    options = {**OPTIONS, "data": clean, "measurement": "DropPixel(0.5)", "holdout": 0.3}
    data = EvaluationData(options)
    batch = data.first(None)
    assert not data.has_whole_images
    assert batch["known"].mean() == pytest.approx(0.5)


def test_what_is_not_said_is_asked_for(clean):
    with pytest.raises(ValueError, match="Which images"):
        EvaluationData(OPTIONS)
    with pytest.raises(ValueError, match="How are the images damaged"):
        EvaluationData({**OPTIONS, "data": clean})
