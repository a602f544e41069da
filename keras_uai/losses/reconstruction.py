"""Losses on images and latents: pure functions in float32, scaled per value.

A weight in the objective therefore means the same at any image size.
"""

import numbers

from keras import ops


def mean_squared_error(x, y, weight=None):
    """Mean squared error over all values, or over the values that `weight` selects.

    This is the paper's squared norm divided by the number of values. With `weight`, each image's
    mean is taken first; images without a selected value contribute 0.

    Args:
        x: tensor `(N, ...)`.
        y: tensor of the same shape.
        weight: None, or `(N, H, W, 1)` or `(N, H, W, C)` with 1 where a value counts. Defaults to
            None.

    Returns:
        float32 scalar.

    Example:

    >>> x, y = np.ones((1, 2, 2, 3)), np.zeros((1, 2, 2, 3))
    >>> float(keras_uai.losses.mean_squared_error(x, y))
    1.0
    """
    error = ops.square(ops.cast(x, "float32") - ops.cast(y, "float32"))
    if weight is None:
        return ops.mean(error)
    return ops.mean(_mean_over(error, ops.cast(weight, "float32")))


def energy_score(x_1, x_2, y, weight, scales=(None,)):
    """Energy score of two samples at the selected pixels: a strictly proper scoring rule.

    `1/2 (|x_1 - y| + |x_2 - y|) - 1/2 |x_1 - x_2|` is least in expectation where x_1 and x_2 are
    independent draws from the true conditional distribution of y (Gneiting and Raftery, JASA 2007,
    section 4.2).

    The scale `None` takes the Euclidean norm over all selected values of an image, divided by the
    root of their number. One norm over many values hardly sees how they depend on each other.
    A scale `s` scores the averages of the selected pixels of s x s cells, which overlap by half.
    Each cell is a vector of its own: a pixel at 1, and at coarser scales whether neighbours err
    together. Every average is a function of the image, so each scale is proper, and so is the mean
    over the scales.

    Images may have any size. The last cells of a row or column may reach beyond the image, and
    average what lies inside.

    Args:
        x_1: tensor `(N, H, W, C)`, one sample per image.
        x_2: tensor `(N, H, W, C)`, an independent sample.
        y: tensor `(N, H, W, C)`, the observation.
        weight: `(N, H, W, 1)` or `(N, H, W, C)`, 1 at values that were observed and hidden from the
            network. Images without such a value contribute 0.
        scales: sequence of sides of cells in pixels, and None for the norm over the image. The
            mean over the scales is taken. Defaults to `(None,)`.

    Returns:
        float32 scalar.

    Example:

    >>> y = np.zeros((1, 48, 80, 3))
    >>> weight = np.ones((1, 48, 80, 1))
    >>> score = keras_uai.losses.energy_score(y + 1, y + 1, y, weight, scales=(None, 1, 8))
    >>> round(float(score), 3)
    1.0
    """
    x_1, x_2, y, weight = (ops.cast(v, "float32") for v in (x_1, x_2, y, weight))
    scores = []
    for scale in scales:
        distance = _image_distance(weight) if scale is None else _cell_distance(weight, scale)
        d_1, d_2, d_12 = (distance(d) for d in (x_1 - y, x_2 - y, x_1 - x_2))
        scores.append(ops.mean(0.5 * (d_1 + d_2) - 0.5 * d_12))
    return sum(scores) / len(scores)


def check_energy_scales(energy_scales):
    """Validates the scales of `energy_score` under the name that models give them.

    Returns:
        tuple of integers and None.

    Raises:
        ValueError: if there is no scale, or one is neither None nor a positive integer.
    """
    given = isinstance(energy_scales, (tuple, list)) and len(energy_scales) > 0
    if not given or not all(
        scale is None
        or (isinstance(scale, numbers.Integral) and not isinstance(scale, bool) and scale >= 1)
        for scale in energy_scales
    ):
        raise ValueError(
            "`energy_scales` must hold at least one scale: sides of cells of 1 or more pixels, or "
            f"None for the whole image. Received: energy_scales={energy_scales!r}"
        )
    return tuple(None if scale is None else int(scale) for scale in energy_scales)


def _image_distance(weight):
    """Returns the function of a difference to its norm over the selected values, `(N,)`."""
    return lambda d: _root(_mean_over(ops.square(d), weight))


def _cell_distance(weight, side):
    """Returns the function of a difference to the mean norm of its averages over cells, `(N,)`.

    Cells count by the number of selected values in them, and so do the channels of a cell.
    """
    stride = max(1, side // 2)
    missing = [max(side - size, (side - size) % stride) for size in weight.shape[1:3]]

    def pool(v):
        if any(missing):
            v = ops.pad(v, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))
        return v if side == 1 else ops.average_pool(v, side, strides=stride)

    held = pool(weight)
    share = ops.sum(held, axis=-1)
    share = share / ops.maximum(ops.sum(share, axis=(1, 2), keepdims=True), 1e-6)
    held = ops.maximum(held, 1e-6)
    of_channels = held / ops.mean(held, axis=-1, keepdims=True)

    def distance(d):
        squares = ops.square(pool(d * weight) / held)
        return ops.sum(_root(ops.mean(squares * of_channels, axis=-1)) * share, axis=(1, 2))

    return distance


def _mean_over(values, weight):
    """Mean of `values` `(N, H, W, C)` over what `weight` selects, one number per image."""
    total = ops.sum(values * weight, axis=(1, 2, 3))
    channels = values.shape[-1] // weight.shape[-1]
    return total / ops.maximum(ops.sum(weight, axis=(1, 2, 3)) * channels, 1.0)


def _root(x):
    """Square root whose gradient stays finite at 0."""
    return ops.sqrt(x + 1e-8)
