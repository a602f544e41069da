"""Baselines keep what was observed, know nothing else, and give known answers on known images."""

import numpy as np
import pytest

from keras_uai.metrics import baselines


def images(shape, seed=0):
    eight_bits = np.random.default_rng(seed).integers(0, 256, shape)
    return (eight_bits / 127.5 - 1).astype("float32")


def damaged(shape=(3, 12, 10, 3), share=0.4, seed=0):
    x = images(shape, seed)
    mask = (np.random.default_rng(seed + 1).random((*shape[:3], 1)) < share).astype("float32")
    return x, x * mask, mask


@pytest.fixture(params=sorted(baselines.BASELINES))
def baseline(request):
    return baselines.BASELINES[request.param]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_observed_pixels_come_back_bit_equal(baseline, channels):
    _, y, mask = damaged((2, 12, 10, channels))
    x = baseline(y, mask)
    assert x.dtype == np.float32
    assert x.shape == y.shape
    seen = np.broadcast_to(mask > 0.5, y.shape)
    assert np.array_equal(x[seen], y[seen])
    assert np.abs(x).max() <= 1


def test_what_stands_at_missing_pixels_does_not_matter(baseline):
    _, y, mask = damaged()
    for other in (np.nan, 0.7):
        assert np.array_equal(baseline(np.where(mask > 0.5, y, other), mask), baseline(y, mask))


def test_an_image_does_not_depend_on_its_batch(baseline):
    _, y, mask = damaged()
    assert np.array_equal(baseline(y, mask)[1:2], baseline(y[1:2], mask[1:2]))


def test_no_pixel_observed_gives_mid_grey_and_all_observed_the_image(baseline):
    x = images((2, 12, 10, 3))
    mask = np.zeros((2, 12, 10, 1))
    mask[1] = 1
    filled = baseline(x * mask, mask)
    assert np.array_equal(filled[0], np.zeros((12, 10, 3)))
    assert np.array_equal(filled[1], x[1])


@pytest.mark.parametrize("pixels", [[(3, 4)], [(3, 4), (7, 2)], [(1, 1), (2, 2), (9, 9)]])
def test_few_pixels_and_pixels_on_a_line(baseline, pixels):
    mask = np.zeros((1, 12, 10, 1), "float32")
    for row, column in pixels:
        mask[0, row, column] = 1
    y = np.full((1, 12, 10, 3), 51 / 127.5 - 1, "float32") * mask
    filled = baseline(y, mask)
    assert np.isfinite(filled).all()
    if baseline is not baselines.BASELINES["biharmonic"]:
        rounding = 6 / 127.5 if baseline is baselines.BASELINES["telea"] else 1e-6
        assert np.allclose(filled, 51 / 127.5 - 1, atol=rounding)


def test_the_mask_is_recovered_from_zeros(baseline):
    _, y, mask = damaged()
    assert np.array_equal(baseline(y), baseline(y, mask))


def test_a_mask_a_channel(baseline):
    """Each channel is filled as an image of its own."""
    x = images((2, 12, 10, 3))
    mask = (np.random.default_rng(1).random(x.shape) < 0.4).astype("float32")
    mask[1, ..., 2] = 0
    filled = baseline(x * mask, mask)
    assert np.array_equal(filled[mask > 0.5], x[mask > 0.5])
    assert not filled[1, ..., 2].any()
    for c in (slice(0, 1), slice(1, 2), slice(2, 3)):
        assert np.array_equal(filled[..., c], baseline((x * mask)[..., c], mask[..., c]))


def test_values_of_fields_are_not_clipped(baseline):
    rows, columns = np.mgrid[:64, :64]
    field = np.stack([3 + 0.1 * columns - 0.05 * rows, -0.2 * rows], axis=-1)[None]
    mask = (np.random.default_rng(0).random((1, 64, 64, 1)) < 0.5).astype("float32")
    filled = baseline(field * mask, mask)
    error = np.sqrt(((filled - field) ** 2)[np.broadcast_to(mask < 0.5, field.shape)].mean())
    assert error < (4 if baseline is baselines.mean_colour else 0.3)  # the range is 9.4 and 12.6


def test_mean_colour_is_the_mean_of_the_observed_pixels():
    mask = np.zeros((1, 4, 4, 1))
    mask[0, 0, :2] = 1
    y = np.zeros((1, 4, 4, 2), "float32")
    y[0, 0, 0], y[0, 0, 1] = (0.5, -1), (0.25, 0)
    assert np.allclose(baselines.mean_colour(y, mask)[0, 2, 3], (0.375, -0.5))


def test_nearest_is_the_argmin_of_the_distance():
    _, y, mask = damaged((1, 12, 10, 1), 0.1)
    filled = baselines.nearest(y, mask)[0, ..., 0]
    at = np.argwhere(mask[0, ..., 0] > 0.5)
    for row, column in np.ndindex(12, 10):
        distances = ((at - (row, column)) ** 2).sum(axis=1)
        nearest = at[distances == distances.min()]
        assert filled[row, column] in y[0, nearest[:, 0], nearest[:, 1], 0]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_linear_interpolation_is_exact_on_affine_images(share):
    rows, columns = np.mgrid[:12, :10]
    x = (0.05 * rows - 0.07 * columns + 0.03)[None, ..., None].astype("float32")
    mask = (np.random.default_rng(3).random((1, 12, 10, 1)) < share).astype("float32")
    mask[0, [0, 0, -1, -1], [0, -1, 0, -1]] = 1  # the corners: every pixel is in the hull
    assert np.allclose(baselines.linear_interpolation(x * mask, mask), x, atol=1e-6)


def test_linear_interpolation_outside_of_the_hull_is_nearest():
    mask = np.zeros((1, 9, 9, 1), "float32")
    for row, column in ((3, 3), (3, 5), (5, 4)):
        mask[0, row, column] = 1
    y = images((1, 9, 9, 3)) * mask
    linear, nearest = baselines.linear_interpolation(y, mask), baselines.nearest(y, mask)
    assert np.array_equal(linear[0, 0], nearest[0, 0])
    assert np.allclose(linear[0, 3, 4], (y[0, 3, 3] + y[0, 3, 5]) / 2, atol=1e-6)


def test_dropping_inner_pixels_changes_no_triangle():
    """Pixels with eight observed neighbours are left out of the triangulation, for speed."""
    from scipy import interpolate

    x, mask = np.zeros((1, 16, 16, 1), "float32"), np.zeros((1, 16, 16, 1), "float32")
    mask[0, 1:6, 2:8] = mask[0, 9:15, 8:14] = 1
    rows, columns = np.mgrid[:16, :16]
    x[0, ..., 0] = np.sin(0.3 * rows) * np.cos(0.2 * columns) * 0.9
    at = np.argwhere(mask[0, ..., 0] > 0.5)
    expected = interpolate.griddata(at, x[0, ..., 0][tuple(at.T)], (rows, columns))
    filled = baselines.linear_interpolation(x * mask, mask)[0, ..., 0]
    inside = np.isfinite(expected)
    assert inside.sum() > mask.sum() + 20
    assert np.allclose(filled[inside], expected[inside], atol=1e-5)


def test_biharmonic_continues_a_plane():
    rows, columns = np.mgrid[:16, :16]
    x = (0.05 * rows - 0.04 * columns)[None, ..., None].astype("float32")
    mask = np.ones((1, 16, 16, 1), "float32")
    mask[0, 6:9, 6:9] = 0
    assert np.allclose(baselines.biharmonic(x * mask, mask), x, atol=0.01)


def test_bad_arguments_are_named():
    _, y, mask = damaged()
    with pytest.raises(ValueError, match=r"mean_colour, nearest.*Received: 'median'"):
        baselines.get("median")
    with pytest.raises(ValueError, match=r"\(N, H, W, C\).*Received: y of shape \(12, 10, 3\)"):
        baselines.nearest(y[0], mask)
    with pytest.raises(ValueError, match=r"Received: mask of shape \(3, 12, 10\)"):
        baselines.nearest(y, mask[..., 0])
