"""Losses on images and latents: pure functions, float32, scaled per value so that weights mean the same at any size."""

import numbers

from keras import ops


def mean_squared_error(x, y, weight=None):
    """Mean squared error over all values, or over the values of the pixels that `weight` selects.

    The paper's `||.||_2^2` divided by the number of values.

    Args:
        x, y: `(N, ...)`.
        weight: `None` or `(N, H, W, 1)` with 1 where a pixel counts; an image without such a pixel contributes 0.
    """
    error = ops.square(ops.cast(x, "float32") - ops.cast(y, "float32"))
    if weight is None:
        return ops.mean(error)
    return ops.mean(_mean_over(error, weight))


def energy_score(x_1, x_2, y, weight, scales=(None,), patches=(), spread=1.0):
    """The energy score of two samples on the selected pixels: a strictly proper scoring rule.

    `1/2 (|x_1 - y| + |x_2 - y|) - 1/2 |x_1 - x_2|`, least in expectation when x_1 and x_2 are independent draws from
    the true conditional distribution of y (Gneiting and Raftery, JASA 2007, section 4.2). `|.|` is the Euclidean norm
    over all selected values of an image (`None` among the scales), divided by the root of their number. One norm over
    many values hardly sees how they depend on each other: samples that put all their spread into one fine pattern
    score almost as well as right ones. So a scale `s` scores the *averages* of the selected pixels of s x s cells (half
    overlapping), each cell a vector of its own: pixels at 1, and at coarser scales whether neighbours err together.
    Every average is a function of the image, so each scale is proper, and so is their mean. `patches` takes the vector
    of all selected values of a cell in place of their average: how the details of one place go together.

    Args:
        x_1, x_2: two independent samples, `(N, H, W, C)`.
        y: the observation, `(N, H, W, C)`; it is compared, never copied.
        weight: `(N, H, W, 1)`, 1 on pixels that were observed and hidden from the network.
        scales: sides of the cells in pixels, `None` for the norm over the image.
        patches: sides of the cells that are vectors; the mean of all scores is taken.
        spread: factor of `1/2 |x_1 - x_2|`. Only 1 is proper; of Gaussians the best spread is `s / sqrt(2 - s^2)` times
            the true one. A little more than 1 gives back what an adversarial term beside the score takes.

    Raises:
        ValueError: if the cells of a scale do not cover the image exactly.
    """
    x_1, x_2, y, weight = (ops.cast(v, "float32") for v in (x_1, x_2, y, weight))
    scores = []
    for scale in scales:
        if scale is None:
            distances = [
                _root(_mean_over(ops.square(d), weight)) for d in (x_1 - y, x_2 - y, x_1 - x_2)
            ]
        else:
            distances = _cell_distances(x_1, x_2, y, weight, scale, _average_squares)
        scores.append(_score(distances, spread))
    scores += [
        _score(_cell_distances(x_1, x_2, y, weight, side, _vector_squares), spread)
        for side in patches
    ]
    return sum(scores) / len(scores)


def check_energy(side, scales=(None,), patches=(), spread=1.0):
    """Raises a ValueError where these arguments of `energy_score` cannot be, for images of this side."""
    if not 0 <= spread < 2**0.5:
        raise ValueError(
            "`energy_spread` lies in [0, 1.41): with more, samples could win by running away from each other. "
            f"Received: energy_spread={spread!r}"
        )
    if not (*scales, *patches):
        raise ValueError(
            "`energy_scales` and `energy_patches` are what the score is taken at: one of them at least. "
            f"Received: energy_scales={tuple(scales)!r}, energy_patches={tuple(patches)!r}"
        )
    cells = [scale for scale in scales if scale is not None]
    for name, given, sides in (
        ("energy_scales", scales, cells),
        ("energy_patches", patches, patches),
    ):
        if not all(isinstance(cell, numbers.Integral) and 1 <= cell <= side for cell in sides):
            raise ValueError(
                f"`{name}` are sides of cells from 1 to {side} pixels. Received: {name}={tuple(given)!r}"
            )


def _score(distances, spread):
    d_1, d_2, d_12 = distances
    return ops.mean(0.5 * (d_1 + d_2) - 0.5 * spread * d_12)


def _cell_distances(x_1, x_2, y, weight, side, squares):
    """Distances between cells of `side` pixels, averaged over an image; cells count by what they hold."""
    height, width = weight.shape[1:3]
    stride = max(1, side // 2)
    fits = 1 <= side <= min(height, width)
    if not fits or (height - side) % stride or (width - side) % stride:
        raise ValueError(
            "Half overlapping cells of side `scale` must cover the image exactly, as powers of two do. "
            f"Received: scale={side}, images of {height} x {width}"
        )

    def pool(v):
        return v if side == 1 else ops.average_pool(v, (side, side), strides=(stride, stride))

    held = pool(weight)
    share = (held / ops.maximum(ops.sum(held, axis=(1, 2), keepdims=True), 1e-6))[..., 0]
    held = ops.maximum(held, 1e-6)
    roots = (_root(squares(d, weight, held, pool)) for d in (x_1 - y, x_2 - y, x_1 - x_2))
    return [ops.sum(root * share, axis=(1, 2)) for root in roots]


def _average_squares(d, weight, held, pool):
    """Mean square over channels of the difference of two cells' averages."""
    return ops.mean(ops.square(pool(d * weight) / held), axis=-1)


def _vector_squares(d, weight, held, pool):
    """Mean square of the difference over all selected values of a cell."""
    return ops.mean(pool(ops.square(d) * weight) / held, axis=-1)


def _mean_over(values, weight):
    """Mean of `values` over the pixels of `weight` and the channels, one number an image."""
    weight = ops.cast(weight, "float32")
    total = ops.sum(values * weight, axis=(1, 2, 3))
    return total / ops.maximum(ops.sum(weight, axis=(1, 2, 3)) * values.shape[-1], 1.0)


def _root(x):
    """Square root whose gradient stays finite at 0."""
    return ops.sqrt(x + 1e-8)
