import numpy as np
import pytest

from keras_uai import checks, values

SHAPE = (None, None, 3)


def images(seed=0, count=2, height=5, width=6, channels=3):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (count, height, width, channels)).astype("float32")


def test_integers():
    assert checks.check_integer("f", "n", np.int64(3), 1) == 3
    assert checks.check_integer("f", "n", -3) == -3
    for wrong in (0, True, 1.0, "1", None):
        with pytest.raises(ValueError, match=r"f: `n` must be an integer of at least 1. Received"):
            checks.check_integer("f", "n", wrong, 1)


def test_seeds():
    assert checks.per_image_seeds(7, 3).tolist() == [7, 8, 9]
    assert checks.per_image_seeds([5, 5], 2).tolist() == [5, 5]
    assert checks.per_image_seeds(2**31, 1).tolist() == [0]
    for wrong in (1.0, [1, 2, 3], None):
        with pytest.raises(ValueError, match="`seed` must be"):
            checks.per_image_seeds(wrong, 2)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int64", "float32", "float64"])
@pytest.mark.parametrize("form", ["NHW1", "NHW", "NHWC"])
def test_masks_in_every_form(dtype, form):
    seen = np.random.default_rng(0).random((2, 5, 6)) < 0.5
    channels = 3 if form == "NHWC" else 1
    mask = {"NHW1": seen[..., None], "NHW": seen, "NHWC": np.stack([seen] * 3, -1)}[form]
    highs = {"uint8": (1, 255), "uint16": (1, 255, 65535), "int64": (1, 255)}.get(dtype, (1,))
    for high in highs:
        found = checks.check_mask(
            mask.astype(dtype) * np.array(high, dtype), (2, 5, 6, 3), channels
        )
        assert found.dtype == np.float32
        assert np.array_equal(found, np.broadcast_to(seen[..., None], (2, 5, 6, channels)))


@pytest.mark.parametrize(
    "mask",
    [
        np.full((2, 5, 6), 0.5),
        np.full((2, 5, 6), 255.0),
        np.where(np.eye(6)[:5] > 0, 127, 0).astype("uint8")[None].repeat(2, 0),
        np.array([0, 2, 0, 2, 0, 2] * 10).reshape(2, 5, 6),
        np.array([0, 1, 255] * 20, "uint8").reshape(2, 5, 6),
        np.full((2, 5, 6), np.nan),
        np.full((2, 5, 6), "x"),
    ],
)
def test_soft_masks_are_refused(mask):
    with pytest.raises(ValueError, match=r"`mask` must hold 1 where .* Received: "):
        checks.check_mask(mask, (2, 5, 6, 3))


@pytest.mark.parametrize("shape", [(2, 5, 6, 3), (2, 6, 5), (3, 5, 6), (6, 5), (2, 1, 5, 6), (2,)])
def test_masks_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"`mask` must have shape .* Received: shape"):
        checks.check_mask(np.ones(shape, bool), (2, 5, 6, 3))


def test_nan_is_missing_and_combines_with_a_mask():
    y = images()
    y[0, 1, 2, 0] = np.nan
    mask = np.ones((2, 5, 6), bool)
    mask[1, 0, 0] = False
    found, seen = checks.check_images(y, mask, SHAPE)
    expected = mask.copy()
    expected[0, 1, 2] = False
    assert np.array_equal(seen[..., 0] > 0, expected)
    assert np.array_equal(found, np.where(expected[..., None], y, 0).astype("float32"))
    _, seen = checks.check_images(y, None, SHAPE, mask_channels=3)
    assert np.array_equal(seen > 0, ~np.isnan(y))


def test_masked_arrays():
    hidden = np.random.default_rng(1).random((2, 5, 6, 3)) < 0.2
    y = np.ma.masked_array(images(), hidden)
    found, seen = checks.check_images(y, None, SHAPE, mask_channels=3)
    assert np.array_equal(seen > 0, ~hidden)
    assert (found[hidden] == 0).all()
    _, seen = checks.check_images(y, None, SHAPE)
    assert np.array_equal(seen[..., 0] > 0, ~hidden.any(axis=-1))


def test_tau_marks_missing_pixels_only_where_nothing_else_does():
    y = images()
    y[0, 0, 0] = 0.0
    y[0, 0, 1, 0] = 0.0
    _, seen = checks.check_images(y, None, SHAPE, tau=0.0)
    assert np.argwhere(seen == 0).tolist() == [[0, 0, 0, 0]]
    assert checks.check_images(y, None, SHAPE)[1].all()
    assert checks.check_images(y, np.ones((2, 5, 6)), SHAPE, tau=0.0)[1].all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_integers_are_scaled(dtype):
    v = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3)).astype(dtype)
    mask = np.random.default_rng(1).random((2, 5, 6)) < 0.5
    found, seen = checks.check_images(v, mask, SHAPE)
    expected = values.ValueScaling(dtype).encode(v)
    assert np.array_equal(found, np.where(mask[..., None], expected, 0))
    assert np.array_equal(seen[..., 0] > 0, mask)


def test_floats_in_the_units_of_the_values():
    scaling = values.ValueScaling("float32", [280.0], [20.0])
    v = np.array([270.0, np.nan, 310.0, 280.0], "float64").reshape(1, 2, 2, 1)
    found, seen = checks.check_images(v, None, (2, 2, 1), values=scaling, network_units=False)
    assert found.ravel().tolist() == [-0.5, 0.0, 1.5, 0.0]
    assert seen.ravel().tolist() == [1, 0, 1, 1]
    found, _ = checks.check_images(np.float32(v - 280), None, (2, 2, 1), values=scaling)
    assert found.ravel().tolist() == [-10.0, 0.0, 30.0, 0.0]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ({"observation": 1}, r"must be an array .* Received: a dict with \['observation'\]"),
        ([[1.0]], "Received: a list"),
        (images(height=4, width=4)[0], r"use y\[None\]"),
        (np.moveaxis(images(), -1, 1), "channels must come last"),
        (images(channels=2), r"must have shape \(N, H, W, 3\).*Received"),
        (images(count=0), "Received: shape"),
        (images() * 200, r"must lie in \[-1, 1\]"),
        (np.where(images() > 0.9, np.inf, images()), "must be finite"),
        (images() > 0, "Received: an array of bool"),
        (images().astype("int32"), "Received: an array of int32"),
        (images().astype(object), "Received: an array of object"),
    ],
)
def test_wrong_images_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        checks.check_images(y, None, SHAPE)


def test_floats_between_0_and_1_warn():
    y = images(height=20, width=20)
    with pytest.warns(UserWarning, match=r"lie in \[0, 1\].*Use 2 \* y - 1"):
        checks.check_images(np.abs(y), None, SHAPE)
