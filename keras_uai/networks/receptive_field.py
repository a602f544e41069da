"""How far the generator's convolutions see: the width of the margin that tiles need."""

import itertools


def decoder_radius(strides, depth, efficient_resampling, predicts_mean):
    """Returns how many pixels beyond a tile influence a decoded image inside it.

    The tile's border lies at a multiple of the coarsest stride. A convolution of 3 x 3 cells of `s`
    pixels reaches `s` pixels further; going down a level rounds up to whole cells.

    Args:
        strides: Pixels per cell of each level, finest first.
        depth: Residual blocks per level.
        efficient_resampling: See `ResidualBlock`.
        predicts_mean: Whether the features pass the mean path first.

    Returns:
        Multiple of the coarsest stride, in pixels.
    """
    radius = 3 * strides[0]  # the first convolution, and the first block
    seen = {strides[0]: radius + 2 * (depth - 1) * strides[0]}
    radius = seen[strides[0]]
    for finer, stride in itertools.pairwise(strides):
        first = finer if efficient_resampling else 2 * finer
        second = stride if efficient_resampling else 0
        radius = _round_up(radius + first, stride) + second + 2 * (depth - 1) * stride
        seen[stride] = radius
    paths = 2 if predicts_mean else 1
    for path in range(paths):
        radius = seen[strides[-1]]
        if path == paths - 1:
            radius += 2 * depth * strides[-1]
        seen[strides[-1]] = radius
        for coarser, stride in reversed(list(zip(strides[1:], strides[:-1], strict=True))):
            up = stride if efficient_resampling else coarser + stride
            radius = max(radius + up, seen[stride]) + 2 * depth * stride
            seen[stride] = radius
    head = (strides[0] if strides[0] > 1 else 0) + 1
    return _round_up(radius + head, strides[-1])


def _round_up(value, multiple):
    return -(-value // multiple) * multiple
