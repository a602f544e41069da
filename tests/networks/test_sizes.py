"""Image shapes, and strides, widths and attention of the levels."""

import pytest

from keras_uai.networks import Levels, check_image_shape

ANY = (None, None, 3)


@pytest.mark.parametrize(
    ("shape", "levels", "space_to_depth", "width", "max_width", "expected"),
    [
        ((32, 32, 3), None, 1, 64, 256, [(1, 64), (2, 128), (4, 256), (8, 256)]),  # to 4 x 4
        ((16, 16, 1), None, 2, 8, 16, [(2, 8), (4, 16)]),
        ((128, 128, 3), None, 4, 32, 32, [(4, 32), (8, 32), (16, 32), (32, 32)]),
        ((16, 16, 3), None, 4, 8, 64, [(4, 8)]),
        ((48, 80, 3), None, 2, 8, 64, [(2, 8), (4, 16), (8, 32)]),  # the shorter side counts
        ((48, 80, 3), 1, 2, 8, 64, [(2, 8)]),
        (ANY, None, 2, 40, 96, [(2, 40), (4, 80), (8, 96), (16, 96)]),
        (ANY, 2, 1, 8, 64, [(1, 8), (2, 16)]),
    ],
)
def test_levels(shape, levels, space_to_depth, width, max_width, expected):
    pyramid = Levels(shape, levels, space_to_depth, width, max_width)
    assert list(pyramid) == expected
    assert pyramid.stride == expected[-1][0]


@pytest.mark.parametrize(
    ("shape", "attention_level", "stride"),
    [
        ((64, 64, 3), "auto", 2),  # features of 32 x 32, as in the paper
        ((16, 16, 3), "auto", None),
        (ANY, "auto", None),
        (ANY, 3, 8),
        ((64, 64, 3), None, None),
    ],
)
def test_attention(shape, attention_level, stride):
    assert Levels(shape, None, 1, 8, 64, attention_level).attention_stride == stride


@pytest.mark.parametrize("shape", [(32, 32, 3), [64, 48, 1], (16.0, 20, 7), ANY])
def test_image_shapes(shape):
    assert check_image_shape(shape) == tuple(shape)
    assert {type(n) for n in check_image_shape(shape)} <= {int, type(None)}


@pytest.mark.parametrize(
    "shape", [32, None, (32, 32), (32, None, 3), (None, None, None), (0, 32, 3), (32, 32, -1), "32"]
)
def test_image_shapes_that_cannot_be(shape):
    with pytest.raises(ValueError, match=r"images of any size\. Received: image_shape="):
        check_image_shape(shape)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space_to_depth": 3}, "Received: space_to_depth=3"),
        ({"space_to_depth": "1"}, "Received: space_to_depth='1'"),
        ({"width": 0}, "Received: width=0, max_width=64"),
        ({"width": 128}, "Received: width=128, max_width=64"),
        ({"levels": 0}, "Received: levels=0"),
        ({"levels": 4}, r"multiples of 8 pixels\. Received: image_shape=\(20, 32, 3\)"),
        ({"levels": 2, "attention_level": 2}, "Received: attention_level=2"),
    ],
)
def test_levels_that_cannot_be(arguments, message):
    defaults = {"levels": None, "space_to_depth": 1, "width": 8, "max_width": 64}
    with pytest.raises(ValueError, match=message):
        Levels((20, 32, 3), **{**defaults, **arguments})
