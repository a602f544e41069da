"""The stream of training batches is a function of the step; splits do not overlap."""

import itertools

import numpy as np
import pytest
from keras import ops
from PIL import Image

from keras_uai import measurements
from keras_uai.training import configuration
from keras_uai.training.data import Data, train_split


def observed(batch, name="observation"):
    """The observations of a batch as numbers, in whichever form the loader gives them."""
    return ops.convert_to_numpy(batch[name] if isinstance(batch, dict) else batch)


def batches(data, step, count, name="observation"):
    stream = itertools.islice(iter(data.stream(step)), count)
    return [observed(batch, name) for batch in stream]


@pytest.mark.parametrize(("model", "name"), [("UAI", "observation"), ("Unpaired", "unpaired")])
def test_the_stream_is_a_function_of_the_step(tiny, model, name):
    resolved = configuration.resolve({**tiny, "model": model})
    whole = batches(Data(resolved), 0, 17, name)  # 5 steps per epoch
    assert Data(resolved).steps_per_epoch == 5
    for step in (1, 5, 8, 14):
        parts = batches(Data(resolved), step, 3, name)
        np.testing.assert_array_equal(parts, whole[step : step + 3])


def test_an_epoch_has_every_image_once_in_another_order(tiny):
    data = Data(configuration.resolve({**tiny, "random_horizontal_flip": False}))
    stream = batches(data, 0, 10)
    epochs = [np.concatenate(stream[:5]), np.concatenate(stream[5:])]
    sums = [epoch.astype("float64").sum(axis=(1, 2, 3)) for epoch in epochs]
    assert not np.array_equal(*sums)
    np.testing.assert_array_equal(*map(np.sort, sums))


@pytest.mark.parametrize(
    ("model", "split", "names"),
    [
        ("UAI", "train", {"observation"}),
        ("MisGAN", "train", {"observation"}),
        ("Paired", "supervised_train", {"observation", "clean"}),
        ("Unpaired", "damaged", {"observation", "unpaired"}),
    ],
)
def test_models_get_the_images_they_need_and_no_test_images(tiny, model, split, names):
    supervised = model in ("UAI", "Unpaired")
    dropped = () if supervised else ("encoder", "model_arguments")
    flags = {n: v for n, v in tiny.items() if n not in dropped}
    given = {**flags, "model": model, "eval_split": "test", "limit": 60}
    data = Data(configuration.resolve({**given, "random_horizontal_flip": False}))
    assert train_split(data.settings) == split
    batch = next(iter(data.train))
    assert set(batch if isinstance(batch, dict) else {"observation"}) - {"mask"} == names
    for held_out in ("validation", "test"):
        for batch in data.scored(60, held_out):
            known = observed(batch, "clean")
            for name in names - {"observation"}:
                parts = [observed(b, name) for b in data.train]
                assert not (known[:, None] == np.concatenate(parts)[None]).all(axis=(2, 3, 4)).any()


def test_validation_images_are_whole_and_not_trained_on(tiny):
    data = Data(configuration.resolve(tiny))
    scored = np.concatenate([observed(b, "clean") for b in data.scored(6)])
    assert scored.shape == (6, 16, 16, 3)
    trained = data.load("train", clean=True, limit=40, shuffle=False, batch_size=40)
    trained = observed(next(iter(trained)), "clean")
    assert not (scored[:, None] == trained[None]).all(axis=(2, 3, 4)).any()
    assert data.image_shape == (16, 16, 3)
    assert data.measurement == measurements.DropPixel(0.5)


def test_crops_make_a_model_for_images_of_any_size(tiny):
    data = Data(configuration.resolve({**tiny, "crop_size": 8}))
    assert data.image_shape == (None, None, 3)
    assert batches(data, 0, 1)[0].shape == (8, 8, 8, 3)
    assert observed(next(iter(data.scored(6)))).shape[1:] == (16, 16, 3)


def test_less_than_a_batch_is_repeated(tiny):
    data = Data(configuration.resolve({**tiny, "limit": 6, "batch_size": 16}))
    assert data.steps_per_epoch == 1
    assert batches(data, 0, 1)[0].shape == (16, 16, 16, 3)


def test_damaged_images_bring_their_masks(tiny, tmp_path):
    """20 images with a hole in their alpha channel."""
    generator = np.random.default_rng(0)
    (tmp_path / "damaged").mkdir()
    for i in range(20):
        pixels = generator.integers(0, 256, (16, 16, 4), dtype="uint8")
        pixels[..., 3] = 255
        pixels[i % 8 : i % 8 + 6, 3:9, 3] = 0
        Image.fromarray(pixels, "RGBA").save(tmp_path / "damaged" / f"{i:02d}.png")
    damaged = {"data": str(tmp_path / "damaged"), "mask_from": "alpha", "measurement": None}
    data = Data(configuration.resolve({**tiny, **damaged, "random_horizontal_flip": False}))
    assert not data.has_clean
    bank = np.stack(data.measurement.bank)
    assert len(bank) == 16  # 17 of the 20, of which there are two full batches
    assert set(bank.reshape(16, -1).sum(axis=1).tolist()) == {256 - 36}
    batch = next(iter(data.scored(3)))
    assert set(batch) == {"observation", "mask"}
    y, mask = observed(batch), observed(batch, "mask")
    np.testing.assert_array_equal((y != 0).any(axis=-1, keepdims=True), mask > 0.5)
