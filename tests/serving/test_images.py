"""Images in a fixed layout: where holes vanish in it, no model fills them."""

import numpy as np
import pytest

from keras_uai.serving.contract import Contract
from keras_uai.serving.images import prepare
from keras_uai.values import ValueScaling
from tests.testing import same_bits


def contract(size):
    return Contract((*size, 3), 1, ValueScaling("uint8"), 0.0, 4, 8, None)


@pytest.mark.parametrize("scale", [1, 127.5])
def test_pixels_without_a_model_have_the_deviation_of_their_neighbours(scale):
    """Columns of two values 100 levels apart. Every second row misses: a pixel of the layout is the
    mean of 4 x 4 pixels, of which 8 are observed. A large hole is the model's.
    """
    image = np.full((1, 64, 64, 3), 0.5, "float32")
    image[:, :, ::2] -= np.float32(100 / 127.5)
    if scale != 1:
        image = np.rint((image + 1) * scale).astype("uint8")
    mask = np.ones((1, 64, 64, 1), bool)
    mask[:, ::2] = False
    scattered = ~mask
    mask[:, 16:40, 16:40] = False
    found = prepare(image, mask, contract((16, 16)))
    vanished = found.vanished()
    assert not vanished[mask].any()
    assert not vanished[:, 16:40, 16:40].any()
    assert vanished[:, :12, :12][scattered[:, :12, :12]].all()
    std = found.finish_std(np.where(found.mask > 0.5, 0.0, np.full((1, 16, 16, 3), 0.2)))
    assert (std[~np.broadcast_to(mask, std.shape)] > 0).all()
    same_bits(std[np.broadcast_to(mask, std.shape)], np.zeros(3 * mask.sum(), "float32"))
    levels = std * 127.5 if scale == 1 else std
    outside = np.broadcast_to(vanished, std.shape)
    np.testing.assert_allclose(levels[outside], 50.0, rtol=0.02)
    np.testing.assert_allclose(levels[:, 24:32, 24:32], 0.2 * 127.5, rtol=1e-4)


def test_enlarged_images_lose_no_hole():
    mask = np.random.default_rng(0).random((1, 10, 12, 1)) < 0.5
    found = prepare(np.full((1, 10, 12, 3), 99, "uint8"), mask, contract((32, 32)))
    assert not found.vanished().any()
