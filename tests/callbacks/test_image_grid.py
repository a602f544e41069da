"""The same images and noise in every picture, as PNG and in TensorBoard."""

import numpy as np
import pytest
from PIL import Image

from keras_uai import callbacks
from keras_uai.metrics import figures
from keras_uai.metrics.batches import image_seeds
from tests.callbacks.toy import Toy
from tests.testing import images, observations


def fit(model, callback, epochs):
    model.compile(loss="mse", run_eagerly=True)
    y, _ = observations(model.measurement, 4)
    model.fit(y, y, batch_size=4, epochs=epochs, callbacks=[callback], verbose=0)


def test_pictures_of_every_third_epoch(tmp_path):
    tf = pytest.importorskip("tensorflow")
    model = Toy()
    y, mask = observations(model.measurement, 3)
    batches = [{"observation": y, "mask": mask, "clean": images(3)}]
    callback = callbacks.ImageGrid(
        batches, tmp_path / "png", tmp_path / "board", every=3, num_images=2, num_samples=3
    )
    fit(model, callback, epochs=4)
    names = sorted(path.name for path in (tmp_path / "png").iterdir())
    assert names == ["epoch_0001.png", "epoch_0003.png", "epoch_0004.png"]
    samples = model.inpaint(y[:2], mask[:2], 3, image_seeds(0, np.arange(2)))
    expected = figures.sample_grid(y[:2], samples, images(3)[:2], max_samples=4)
    last = np.asarray(Image.open(tmp_path / "png" / "epoch_0004.png"))
    assert np.array_equal(last, expected)
    events = [
        (event.step, value)
        for path in (tmp_path / "board").rglob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert [step for step, _ in events] == [0, 2, 3]
    png = tf.make_ndarray(events[-1][1].tensor)[2]
    assert np.array_equal(tf.io.decode_png(png).numpy(), expected)


def test_observations_alone_are_enough(tmp_path):
    model = Toy()
    fit(model, callbacks.ImageGrid([observations(model.measurement, 9)[0]], tmp_path), epochs=1)
    picture = np.asarray(Image.open(tmp_path / "epoch_0001.png"))
    rows = 1 + 4 + 2  # y, samples, mean and std
    assert picture.shape[0] == figures.GAP + rows * (96 + figures.GAP)
    assert picture.shape[1] > 8 * (96 + figures.GAP)


def test_somewhere_to_write_is_needed():
    with pytest.raises(ValueError, match="Received: neither"):
        callbacks.ImageGrid([])
