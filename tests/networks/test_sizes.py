"""Resolutions and widths of the levels."""

import pytest

from keras_uai.networks.sizes import check_image_shape, levels


@pytest.mark.parametrize(
    ("shape", "stem", "width", "max_width", "expected"),
    [
        ((32, 32, 3), 1, 64, 256, [(32, 64), (16, 128), (8, 256), (4, 256)]),
        ((16, 16, 1), 2, 8, 16, [(8, 8), (4, 16)]),
        ((128, 128, 3), 4, 32, 32, [(32, 32), (16, 32), (8, 32), (4, 32)]),
        ((16, 16, 3), 4, 8, 64, [(4, 8)]),
    ],
)
def test_levels(shape, stem, width, max_width, expected):
    assert levels(shape, stem, width, max_width) == expected


@pytest.mark.parametrize("shape", [(32, 32, 3), [64, 64, 1], (16.0, 16, 3)])
def test_image_shapes(shape):
    assert check_image_shape(shape) == tuple(shape)
    assert all(type(n) is int for n in check_image_shape(shape))


@pytest.mark.parametrize(
    "shape",
    [32, None, (32, 32), (32, 64, 3), (24, 24, 3), (8, 8, 3), (512, 512, 3), (32, 32, 4), "32"],
)
def test_image_shapes_that_cannot_be(shape):
    with pytest.raises(ValueError, match=r"16, 32, 64, 128 or 256 .* 1 or 3 channels\. Received: "):
        check_image_shape(shape)


@pytest.mark.parametrize("stem", [0, 3, 8, 16, "1"])
def test_stems_that_cannot_be(stem):
    with pytest.raises(ValueError, match="Received: stem="):
        levels((16, 16, 3), stem, 8, 16)


def test_widths_that_cannot_be():
    for width, most in ((0, 8), (16, 8)):
        with pytest.raises(ValueError, match=f"Received: width={width}, max_width={most}"):
            levels((16, 16, 3), 1, width, most)
