"""Damaged images are resized as data sets resize, and nothing bleeds across the damage."""

import numpy as np
import pytest

from keras_uai.datasets import imagefile

tf = pytest.importorskip("tensorflow")

from keras_uai.serving import resizing  # noqa: E402 (needs TensorFlow)


@pytest.mark.parametrize("size", [(12, 4), (12, 5), (7, 7), (4, 9), (5, 32), (1, 3), (9, 1)])
def test_as_data_sets_resize(size):
    source, target = size
    image = np.random.default_rng(0).uniform(-1, 1, (2, source, source, 3)).astype("float32")
    found = resizing.resample(image, target, target + 1)
    for got, one in zip(found.numpy(), image, strict=True):
        wanted = imagefile._resample(imagefile._resample(one, target, 0), target + 1, 1)
        np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_rows_are_means():
    for source, target in ((1000, 7), (7, 1000), (333, 32)):
        np.testing.assert_allclose(np.sum(resizing.matrix(source, target), 1), 1, atol=1e-5)


def test_nothing_bleeds():
    """Under the mask lies what would show; a value is the mean of the observed pixels under it."""
    image = np.full((1, 40, 24, 1), np.nan, "float32")
    mask = np.zeros((1, 40, 24, 1), "float32")
    for i, (row, column) in enumerate([(0, 0), (5, 7), (4, 6), (39, 23)]):
        image[0, row, column], mask[0, row, column] = 0.1 * (i + 1), 1
    y, seen = (t.numpy()[0, ..., 0] for t in resizing.observe(image, mask, (20, 12), tau=-0.5))
    wanted = np.full((20, 12), -0.5)
    wanted[0, 0], wanted[2, 3], wanted[19, 11] = 0.1, 0.25, 0.4
    np.testing.assert_allclose(y, wanted, atol=1e-6)
    np.testing.assert_array_equal(seen, wanted > 0)


def test_less_than_half_a_pixel_is_not_seen():
    image, mask = np.ones((1, 3, 3, 1), "float32"), np.zeros((1, 3, 3, 1), "float32")
    mask[0, 1, 1] = 1  # a target pixel of 2 x 2 covers a quarter of it
    _, seen = resizing.observe(image, mask, (2, 2), 0.0)
    assert not seen.numpy().any()
    _, seen = resizing.observe(image, mask, (9, 9), 0.0)
    assert 5 <= seen.numpy().sum() <= 13  # the damage keeps its size where the image grows


def test_the_same_size_is_left_alone():
    image = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype("float32")
    mask = np.random.default_rng(1).random((2, 16, 16, 1)) < 0.5
    y, seen = resizing.observe(image, mask.astype("float32"), (16, 16), 0.25)
    np.testing.assert_array_equal(y, np.where(mask, image, np.float32(0.25)))
    np.testing.assert_array_equal(seen, mask)
    samples = image[:, None]
    np.testing.assert_array_equal(resizing.answer(tf.constant(samples), 16, 16), samples)


def test_what_is_whole_stays_whole():
    whole = np.ones((1, 100, 37, 1), "float32")
    for size in ((16, 16), (100, 64), (128, 16)):
        y, seen = resizing.observe(0.5 * whole, whole, size, 0.0)
        assert seen.numpy().all()
        np.testing.assert_allclose(y, 0.5, atol=1e-5)
