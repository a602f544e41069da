"""How widths and resolutions of the networks follow from the image size, and the checks they share."""

SMALLEST = 4  # features end at 4 x 4


def levels(image_shape, stem, width, max_width):
    """`[(side, channels), ...]` from the stem's resolution down to 4 x 4; channels double up to `max_width`.

    Halving the side and doubling the channels keeps the cost of a convolution the same, and wide convolutions at low
    resolution run at two to three times the rate of narrow ones at full resolution.
    """
    height = check_image_shape(image_shape)[0]
    if stem not in (1, 2, 4) or height // stem < SMALLEST:
        raise ValueError(
            f"`stem` is 1, 2 or 4 and leaves at least {SMALLEST} pixels. Received: stem={stem!r}"
        )
    if width < 1 or max_width < width:
        raise ValueError(
            f"Need 1 <= width <= max_width. Received: width={width}, max_width={max_width}"
        )
    side, result = height // stem, []
    while side >= SMALLEST:
        result.append((side, min(max_width, width * 2 ** len(result))))
        side //= 2
    return result


def check_image_shape(image_shape):
    """`(height, width, channels)` as ints, or a ValueError."""
    try:
        height, width, channels = (int(n) for n in image_shape)
    except (TypeError, ValueError):
        height = width = channels = -1
    if height != width or height not in (16, 32, 64, 128, 256) or channels not in (1, 3):
        raise ValueError(
            "`image_shape` is (side, side, channels) with a side of 16, 32, 64, 128 or 256 pixels and 1 or 3 "
            f"channels. Received: image_shape={image_shape!r}"
        )
    return height, width, channels
