import numpy as np
import pytest

from keras_uai.datasets import geometry
from tests.datasets.images import noise


def test_the_crop_is_centred():
    """The paper's crop of CelebA: 178 x 218 to 128 x 128 starts at column 25, row 45."""
    rows, columns = np.mgrid[0:218, 0:178]
    found = geometry.center_crop(np.dstack([rows, columns]), 128, 128)
    assert found.shape == (128, 128, 2)
    assert found[0, 0].tolist() == [45, 25]


@pytest.mark.parametrize("ratio", [2, 3, 5])
def test_whole_ratios_are_means_of_blocks(ratio):
    pixels = noise(0, 8 * ratio, 8 * ratio)
    blocks = pixels.reshape(8, ratio, 8, ratio, 3).mean(axis=(1, 3), dtype="float64")
    assert np.array_equal(geometry.resize(pixels, 8, 8), np.rint(blocks))


@pytest.mark.parametrize(("source", "size"), [(89, 32), (13, 5), (20, 19), (7, 1)])
def test_other_ratios_are_means_over_areas(source, size):
    """Oracle: enlarge by repetition to a common multiple, then take means of blocks."""
    pixels = noise(0, source, source)
    fine = np.repeat(np.repeat(pixels.astype("float64"), size, 0), size, 1)
    expected = fine.reshape(size, source, size, source, 3).mean(axis=(1, 3))
    assert np.abs(geometry.resize(pixels, size, size) - expected).max() <= 0.5 + 1e-9
    observed = noise(1, source, source, 1) > 10
    fine = np.repeat(np.repeat(observed, size, 0), size, 1)
    expected = fine.reshape(size, source, size, source, 1).all(axis=(1, 3))
    assert np.array_equal(geometry.resize(observed, size, size), expected)


def test_shrinking_is_antialiased():
    stripes = np.tile(np.array([0, 255], "uint8")[:, None, None], (32, 64, 3))
    found = geometry.resize(stripes, 32, 32)
    assert set(np.unique(found)) <= {127, 128}


def test_enlarging_is_linear_and_keeps_constants():
    assert (geometry.resize(np.full((5, 5, 3), 77, "uint8"), 13, 13) == 77).all()
    ramp = np.broadcast_to(np.array([0, 100], "uint8")[None, :, None], (2, 2, 1))
    assert geometry.resize(ramp, 4, 4)[0, :, 0].tolist() == [0, 25, 75, 100]


@pytest.mark.parametrize("size", [5, 8, 13, 16, 24, 40])
def test_missing_pixels_never_bleed_into_observed_ones(size):
    """Whatever stands under the missing pixels, the observed ones come out the same."""
    observed = noise(3, channels=1) > 12
    one = np.where(observed, noise(0), np.uint8(0))
    other = np.where(observed, noise(0), np.uint8(255))
    kept = geometry.resize(observed, size, size)
    assert kept.shape == (size, size, 1)
    kept = kept[..., 0]
    assert kept.any()
    assert not kept.all()
    assert np.array_equal(
        geometry.resize(one, size, size)[kept], geometry.resize(other, size, size)[kept]
    )
    # ... and no more is given up than has to be: what is missing does depend on them.
    lost = np.abs(geometry.resize(one, size, size).astype(int) - geometry.resize(other, size, size))
    assert (lost[~kept].max(axis=-1) > 0).mean() > 0.9


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_every_dtype_and_sizes_that_are_not_square(dtype):
    pixels = (noise(0, 12, 8).astype("float64") * 200).astype(dtype)
    blocks = pixels.astype("float64").reshape(6, 2, 2, 4, 3).mean(axis=(1, 3))
    found = geometry.resize(pixels, 6, 2)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_allclose(found, np.rint(blocks) if dtype != "float32" else blocks, rtol=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "size", "window"),
    [
        (218, 178, (128, 128), (178, 178)),
        (100, 300, (50, 100), (100, 200)),
        (300, 100, (50, 100), (50, 100)),
        (7, 9, (7, 9), (7, 9)),
        (5, 8, (10, 16), (5, 8)),
    ],
)
def test_the_largest_window_of_an_aspect(height, width, size, window):
    assert geometry.largest_window(height, width, size) == window
