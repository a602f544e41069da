"""Losses on images and latents: pure functions, float32, scaled per value so that weights mean the same at any size."""

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


def energy_score(x_1, x_2, y, weight, windows=(None,)):
    """The energy score of two samples on the selected pixels: a strictly proper scoring rule.

    `1/2 (|x_1 - y| + |x_2 - y|) - 1/2 |x_1 - x_2|`, with `|.|` the Euclidean norm over the selected values of a window,
    divided by the root of their number. Least in expectation when x_1 and x_2 are independent draws from the true
    conditional distribution of y (Gneiting and Raftery, JASA 2007, section 4.2). `y` is compared, never copied: the
    pixels it selects must have been hidden from the network.

    Args:
        x_1, x_2: two independent samples, `(N, H, W, C)`.
        y: the observation, `(N, H, W, C)`.
        weight: `(N, H, W, 1)`, 1 on pixels that were observed and hidden.
        windows: the sides, in pixels, of the square windows a norm spans; `None` spans the image. The mean over
            several is taken. Small windows see local detail, the image its long-range structure.
    """
    x_1, x_2, y, weight = (ops.cast(v, "float32") for v in (x_1, x_2, y, weight))
    squares = [ops.square(x_1 - y), ops.square(x_2 - y), ops.square(x_1 - x_2)]
    scores = []
    for window in windows:
        d_1, d_2, d_12 = (_distance(square, weight, window) for square in squares)
        scores.append(ops.mean(0.5 * (d_1 + d_2) - 0.5 * d_12))
    return sum(scores) / len(scores)


def gaussian_kl(mean, log_variance):
    """KL divergence of `N(mean, exp(log_variance))` from `N(0, 1)`, a mean over the batch and the latent's values."""
    mean, log_variance = ops.cast(mean, "float32"), ops.cast(log_variance, "float32")
    return 0.5 * ops.mean(ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance)


def _distance(square, weight, window):
    """Root mean square over the selected values of each window, weighted so that windows count by what they hold."""
    if window is None:
        return _root(_mean_over(square, weight))
    channels = square.shape[-1]
    held = ops.average_pool(weight, window)
    total = ops.average_pool(ops.sum(square * weight, axis=-1, keepdims=True), window)
    distance = _root(total / (ops.maximum(held, 1e-6) * channels))
    return ops.sum(distance * held, axis=(1, 2, 3)) / ops.maximum(ops.sum(held, axis=(1, 2, 3)), 1e-6)


def _mean_over(values, weight):
    """Mean of `values` over the pixels of `weight` and the channels, one number an image."""
    weight = ops.cast(weight, "float32")
    total = ops.sum(values * weight, axis=(1, 2, 3))
    return total / ops.maximum(ops.sum(weight, axis=(1, 2, 3)) * values.shape[-1], 1.0)


def _root(x):
    """Square root whose gradient stays finite at 0."""
    return ops.sqrt(x + 1e-8)
