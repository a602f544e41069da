"""The stream of training batches is a function of the step; damaged folders bring their masks."""

import itertools

import numpy as np
import pytest
from keras import ops
from PIL import Image

from keras_uai import measurements
from keras_uai.experiment import settings
from keras_uai.experiment.data import Data


def batches(data, step, count):
    return [np.asarray(batch) for batch in itertools.islice(data.stream(step), count)]


def test_the_stream_is_a_function_of_the_step(tiny):
    resolved = settings.resolve(tiny)
    whole = batches(Data(resolved), 0, 17)  # 5 steps an epoch
    assert Data(resolved).steps_per_epoch == 5
    for step in (1, 5, 8, 10, 14):
        parts = batches(Data(resolved), step, 3)
        for found, expected in zip(parts, whole[step:], strict=False):
            np.testing.assert_array_equal(found, expected)


def test_an_epoch_has_every_image_once_in_another_order(tiny):
    data = Data(settings.resolve(tiny))
    stream = batches(data, 0, 10)
    epochs = [np.concatenate(stream[:5]), np.concatenate(stream[5:])]
    sums = [epoch.sum(axis=(1, 2, 3)) for epoch in epochs]
    assert not np.array_equal(*sums)
    np.testing.assert_array_equal(*map(np.sort, sums))


def test_withheld_images_come_clean_and_are_not_trained_on(tiny):
    data = Data(settings.resolve(tiny))
    withheld = np.concatenate([batch["clean"] for batch in data.withheld(6, 4)])
    assert withheld.shape == (6, 16, 16, 3)
    trained = data.load("train", clean=True, limit=40, shuffle=False, batch_size=40)
    trained = np.asarray(next(iter(trained))["clean"])
    assert not (withheld[:, None] == trained[None]).all(axis=(2, 3, 4)).any()
    assert data.image_shape == (16, 16, 3)
    assert data.measurement == measurements.DropPixel(0.5)


@pytest.mark.parametrize(
    ("model", "split", "names"),
    [
        ("UAI", "train", {"observation"}),
        ("MisGAN", "train", {"observation"}),
        ("Paired", "supervised_train", {"observation", "clean"}),
        ("Unpaired", "damaged", {"observation", "unpaired"}),
    ],
)
def test_models_are_shown_what_they_need_and_not_the_test_images(tiny, model, split, names):
    flags = {n: v for n, v in tiny.items() if n != "encoder" or model in ("UAI", "Unpaired")}
    data = Data(settings.resolve({**flags, "model": model, "eval_split": "test", "limit": 60}))
    assert data.train_split == split
    batch = next(iter(data.train))
    assert set(batch if isinstance(batch, dict) else {"observation": batch}) == names
    for held_out in ("withheld", "test"):
        for batch in data.withheld(60, split=held_out):
            known = np.asarray(batch["clean"])
            for name in names - {"observation"}:
                trained = np.concatenate([np.asarray(b[name]) for b in data.train])
                assert not (known[:, None] == trained[None]).all(axis=(2, 3, 4)).any()


def test_unpaired_images_come_again_where_a_run_is_resumed(tiny):
    data = Data(settings.resolve({**tiny, "model": "Unpaired"}))
    whole = [np.asarray(b["unpaired"]) for b in itertools.islice(data.stream(0), 9)]
    again = Data(settings.resolve({**tiny, "model": "Unpaired"})).stream(6)
    for found, expected in zip(itertools.islice(again, 3), whole[6:], strict=True):
        np.testing.assert_array_equal(found["unpaired"], expected)


def test_less_than_a_batch_must_still_divide(tiny):
    changed = {**tiny, "limit": 6, "micro_batches": 4, "batch_size": 16}
    with pytest.raises(ValueError, match=r"6 images to train on.*cut into 4 micro-batches"):
        _ = Data(settings.resolve(changed)).train
    changed = {**changed, "micro_batches": 2}
    assert Data(settings.resolve(changed)).steps_per_epoch == 1


@pytest.fixture
def damaged(tiny, tmp_path):
    """Flags of a run on 20 images with a hole in their alpha channel."""
    generator = np.random.default_rng(0)
    for i in range(20):
        pixels = generator.integers(0, 256, (16, 16, 4), dtype="uint8")
        pixels[..., 3] = 255
        pixels[i % 8 : i % 8 + 6, 3:9, 3] = 0
        (tmp_path / "damaged").mkdir(exist_ok=True)
        Image.fromarray(pixels, "RGBA").save(tmp_path / "damaged" / f"{i:02d}.png")
    return {**tiny, "data": str(tmp_path / "damaged"), "mask_from": "alpha", "measurement": None}


def test_damaged_images_bring_their_masks(damaged):
    data = Data(settings.resolve(damaged))
    assert not data.has_clean
    assert data.measurement.bank.shape == (16, 16, 16)  # 17 of 20, of which two full batches
    assert set(data.measurement.bank.sum(axis=(1, 2)).tolist()) == {256 - 36}
    batch = next(iter(data.withheld(3, 3)))
    assert set(batch) == {"observation", "mask"}
    y, mask = (ops.convert_to_numpy(batch[name]) for name in ("observation", "mask"))
    np.testing.assert_array_equal((y != 0).any(axis=-1, keepdims=True), mask > 0.5)
