"""Batch unpacking: the accepted forms of data, and errors for others."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_uai
from keras_uai.batches import compared
from keras_uai.measurements import Empirical
from tests.testing import array, images, observations, same_bits, tiny_uai

CHANNELS = Empirical(np.random.default_rng(0).integers(0, 2, (5, 16, 16, 3)))


def test_batches_of_every_form():
    model = tiny_uai()
    y, mask = observations(model.measurement, 4)
    for data in (y, (y,), {"observation": y}, (y, None, None), tf.constant(y), y.astype("float64")):
        got = model.unpack(data)
        assert set(got) == {"y", "mask"}
        same_bits(got["y"], y)
        same_bits(got["mask"], mask)


@pytest.mark.parametrize("one", [np.uint8(1), np.uint8(255), True, np.float64(1)], ids=repr)
def test_values_under_an_explicit_mask_are_removed(one):
    model = tiny_uai()
    y, mask = observations(model.measurement, 4)
    given = (mask * one).astype(type(one))
    got = model.unpack({"observation": images(4), "mask": given, "clean": y, "index": 3})
    assert set(got) == {"y", "mask", "clean"}
    same_bits(got["y"], np.where(mask == 1, images(4), np.float32(0)))
    same_bits(got["mask"], mask)
    same_bits(got["clean"], y)
    assert all(v.dtype == tf.float32 for v in got.values())


def test_integers_and_nan_are_taken_as_inpaint_takes_them():
    model = tiny_uai()
    y, mask = observations(model.measurement, 4)
    for given in (mask, mask[..., 0], mask.astype(bool)):
        integers = np.rint((images(4) + 1) * 127.5).astype("uint8")
        got = model.unpack({"observation": integers, "mask": given})
        np.testing.assert_allclose(got["y"], y, atol=1e-6)
        same_bits(got["mask"], mask)
    got = model.unpack(np.where(mask == 1, y, np.float32(np.nan)))
    same_bits(got["y"], y)
    same_bits(got["mask"], mask)


def test_masks_of_channels():
    model = tiny_uai(CHANNELS)
    y, mask = observations(CHANNELS, 4)
    assert mask.shape == (4, 16, 16, 3)
    nan = np.where(mask == 1, y, np.float32(np.nan))
    for data in (y, nan, {"observation": images(4), "mask": mask}):
        got = model.unpack(data)
        same_bits(got["y"], y)
        same_bits(got["mask"], mask)
    one = model.unpack({"observation": images(4), "mask": mask[..., :1]})
    same_bits(one["mask"], np.repeat(mask[..., :1], 3, axis=-1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"image": images(2)}, r"a dict with 'observation'. Received: a dict with \['image'\]"),
        (images(2, (32, 32, 3)), r"shape \(N, 16, 16, 3\).* Received: shape \(2, 32, 32, 3\)"),
        (images(2, (16, 16, 1)), r"Received: shape \(2, 16, 16, 1\)"),
        (images(2)[0], r"single images \.batch\(n\).*Received: shape \(16, 16, 3\)"),
        ((images(2), images(2)), "Received: a tuple of 2"),
        (np.zeros((2, 16, 16, 3), "uint8"), r"integers need a mask.*Received: uint8 without"),
        (np.zeros((2, 16, 16, 3), "int32"), r"uint8 or uint16, or floats.*Received: .* of int32"),
        ({"observation": images(2), "clean": images(2) > 0}, r"`clean` must hold.* of bool"),
        (
            {"observation": images(2), "mask": np.ones((2, 8, 16))},
            r"`mask` must have shape \(N, 16, 16, 1\).* Received: shape \(2, 8, 16",
        ),
        (
            {"observation": images(2), "mask": np.ones((2, 16, 16, 3))},
            r"Received: shape \(2, 16, 16, 3\)",
        ),
    ],
)
def test_other_batches_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        tiny_uai().unpack(data)


def test_training_needs_sides_that_are_multiples_of_the_stride():
    """Inference and evaluation pad instead."""
    model = tiny_uai(image_shape=(None, None, 3), networks={"levels": 2})
    model.compile()
    assert model.generator.stride == 8
    data = {"observation": images(4, (16, 20, 3)), "mask": np.ones((4, 16, 20, 1))}
    with pytest.raises(ValueError, match=r"multiples of 8 pixels.*Received: shape .*16, 20, 3\)"):
        model.fit(data, verbose=0)
    assert np.isfinite(array(model.test_step(data)["std"]))


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


FORMS = {
    "arrays": lambda y, mask: {"observation": y, "mask": mask},
    "tuple": lambda y, mask: (y, None),
    "generator": lambda y, mask: ((part,) for part in np.split(y, 3)),
    "py_dataset": lambda y, mask: Batches([(part,) for part in np.split(y, 3)]),
    "dataset": lambda y, mask: tf.data.Dataset.from_tensor_slices(y).batch(16),
    "masks": lambda y, mask: tf.data.Dataset.from_tensors({"observation": y, "mask": mask}),
}


@pytest.mark.parametrize("form", FORMS)
def test_fit_compares_the_first_masks_with_the_measurement_once(form, monkeypatch):
    """Nothing is lost on the way, and nothing said where they are alike."""
    seen = []

    def fit(model, x, **options):
        batches = [x] if isinstance(x, (dict, tuple)) else x
        parts = [batch[0] if isinstance(batch, tuple) else batch for batch in batches]
        seen.append(
            np.concatenate([array(p["observation"] if isinstance(p, dict) else p) for p in parts])
        )

    monkeypatch.setattr(keras.Model, "fit", fit)
    model = tiny_uai("DropPixel(0.5)")
    for measurement, warned in (
        ("DropPixel(0.5)", 0),
        ("DropPixel(0.9)", 1),
        ("DropPixel(0.9)", 0),
    ):
        model.masks_compared &= not warned
        y, mask = observations(keras_uai.measurements.get(measurement), 48)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(FORMS[form](y, mask))
        told = [str(w.message) for w in caught if "masks of the data" in str(w.message)]
        assert len(told) == warned
        assert all("of the pixels are missing in the data, 50.0% in masks" in text for text in told)
        same_bits(seen[-1], y)


def test_batches_that_say_what_is_hidden_need_no_measurement():
    y, mask = observations(keras_uai.measurements.DropPixel(0.9), 16)
    batch = {"observation": y, "mask": mask, "seen": mask}
    for data in (batch, Batches([batch] * 2), tf.data.Dataset.from_tensors(batch)):
        model = tiny_uai("DropPixel(0.5)")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = compared(data, model)
            found = list(found) if isinstance(data, tf.data.Dataset) else found
        assert model.masks_compared
