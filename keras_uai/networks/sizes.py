"""Image shapes, numbers of levels and widths: the arithmetic that the three networks share."""

import math

#: Side of the coarsest features of a network that is made for a fixed size.
SMALLEST = 4
#: Levels of a network for images of any size.
DEFAULT_LEVELS = 4
#: Side of the features with self-attention in the paper's networks, as in SAGAN.
ATTENTION_SIDE = 32


def check_image_shape(image_shape):
    """Returns `image_shape` as a tuple whose height and width are both ints or both None.

    Raises:
        ValueError: if `image_shape` is anything else.
    """
    try:
        height, width, channels = (None if n is None else int(n) for n in image_shape)
    except (TypeError, ValueError):
        height = width = channels = -1
    sizes = (channels,) if height is None and width is None else (height, width, channels)
    if any(size is None or size < 1 for size in sizes):
        raise ValueError(
            "`image_shape` must be (height, width, channels) of positive integers, or "
            f"(None, None, channels) for images of any size. Received: image_shape={image_shape!r}"
        )
    return height, width, channels


class Levels:
    """Strides and widths of a network's feature levels, finest first.

    Level `i` has one cell per `space_to_depth * 2**i` pixels in each direction. Widths double from
    level to level up to `max_width`: halving the sides and doubling the channels keeps the cost of
    a convolution the same, and wide convolutions at low resolution run faster than narrow ones.

    Args:
        image_shape: `(height, width, channels)`; height and width may be None.
        levels: Number of levels. `None`: for a fixed size, down to features of 4 pixels; for any
            size, 4.
        space_to_depth: Side of the pixel blocks that become channels before the first level: 1, 2
            or 4.
        width: Channels of the finest level.
        max_width: Largest number of channels.
        attention_level: Index of the level with self-attention, `None` for none, or `"auto"`: for a
            fixed size the level whose features have a side of 32 if there is one, otherwise none.
    """

    def __init__(self, image_shape, levels, space_to_depth, width, max_width, attention_level=None):
        height, columns, _ = check_image_shape(image_shape)
        side = None if height is None else min(height, columns)
        if space_to_depth not in (1, 2, 4):
            raise ValueError(
                f"`space_to_depth` must be 1, 2 or 4. Received: space_to_depth={space_to_depth!r}"
            )
        if width < 1 or max_width < width:
            raise ValueError(
                "`width` and `max_width` must satisfy 1 <= width <= max_width. Both have defaults: "
                f"set both. Received: width={width}, max_width={max_width}"
            )
        if levels is None:
            levels = DEFAULT_LEVELS
            if side is not None:
                levels = max(1, 1 + int(math.log2(max(1, side // space_to_depth / SMALLEST))))
        if levels < 1:
            raise ValueError(f"`levels` must be at least 1. Received: levels={levels!r}")
        self.strides = [space_to_depth * 2**i for i in range(levels)]
        self.widths = [min(max_width, width * 2**i) for i in range(levels)]
        self.stride = self.strides[-1]
        if side is not None and (height % self.stride or columns % self.stride):
            raise ValueError(
                f"A network of {levels} levels after space_to_depth={space_to_depth} needs sides that are "
                f"multiples of {self.stride} pixels. Received: image_shape={tuple(image_shape)!r}. "
                "Use fewer levels, another size, or image_shape=(None, None, channels)."
            )
        if attention_level == "auto":
            sides = [] if side is None else [side // stride for stride in self.strides]
            attention_level = sides.index(ATTENTION_SIDE) if ATTENTION_SIDE in sides else None
        if attention_level is not None and not 0 <= attention_level < levels:
            raise ValueError(
                f"`attention_level` must be an index of one of the {levels} levels, None or 'auto'. "
                f"Received: attention_level={attention_level!r}"
            )
        self.attention_stride = None if attention_level is None else self.strides[attention_level]

    def __iter__(self):
        return iter(zip(self.strides, self.widths, strict=True))
