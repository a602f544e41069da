"""What the metrics accept, and what they say about anything else."""

import numpy as np

TOLERANCE = 1e-3  # how far outside of [-1, 1] rounding may carry a value


def to_numpy(value):
    """A tensor of any backend as a numpy array."""
    if hasattr(value, "numpy"):
        return value.numpy()
    return np.asarray(value)


def images(name, value):
    """`value` as an array `(N, H, W, C)` in [-1, 1], or a ValueError that says what is wrong."""
    value = to_numpy(value)
    if value.ndim != 4:
        raise ValueError(
            f"`{name}` must have shape (N, H, W, C). Received: {name} of shape {value.shape}"
        )
    _in_range(name, value)
    return value


def samples(name, value, shape, num_samples=None):
    """`value` as an array `(N, K, H, W, C)` in [-1, 1] for images of `shape` `(N, H, W, C)`."""
    value = to_numpy(value)
    expected = f"({shape[0]}, {num_samples or 'K'}, {', '.join(map(str, shape[1:]))})"
    if (
        value.ndim != 5
        or (value.shape[0], *value.shape[2:]) != tuple(shape)
        or value.shape[1] != (num_samples or value.shape[1])
        or value.shape[1] == 0
    ):
        raise ValueError(
            f"`{name}` must have shape {expected}. Received: {name} of shape {value.shape}"
        )
    _in_range(name, value)
    return value


def mask(name, value, shape):
    """`value` as an array `(N, H, W, 1)` of zeros and ones for images of `shape` `(N, H, W, C)`."""
    value = to_numpy(value)
    if value.shape != (*shape[:3], 1):
        raise ValueError(
            f"`{name}` must have shape {(*shape[:3], 1)}. Received: {name} of shape {value.shape}"
        )
    if not np.isin(value, (0, 1)).all():
        raise ValueError(
            f"`{name}` must hold 1 (observed) and 0 (missing) only. "
            f"Received: values from {value.min()} to {value.max()}"
        )
    return value


def scored(x, samples_, mask_, known=None, num_samples=None):
    """The checked arrays of a batch that is to be scored; `x` and `known` may be None."""
    if x is not None:
        x = images("x", x)
        shape = x.shape
    else:
        found = to_numpy(samples_).shape
        shape = (found[0], *found[2:]) if len(found) == 5 else ("N", "H", "W", "C")
    samples_ = samples("samples", samples_, shape, num_samples)
    mask_ = mask("mask", mask_, shape)
    return x, samples_, mask_, None if known is None else mask("known", known, shape)


def _in_range(name, value):
    if not np.issubdtype(value.dtype, np.floating):
        raise ValueError(
            f"`{name}` must be floating point in [-1, 1]: scale 8-bit images by v / 127.5 - 1. "
            f"Received: {name} of dtype {value.dtype}"
        )
    if value.size == 0:
        raise ValueError(f"`{name}` holds no image. Received: {name} of shape {value.shape}")
    bad = ~np.isfinite(value)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"`{name}` holds NaN or infinite values: they cannot be scored. "
            f"Received: {int(bad.sum())} of them, the first at {at}"
        )
    low, high = float(value.min()), float(value.max())
    if low < -1.0 - TOLERANCE or high > 1.0 + TOLERANCE:
        raise ValueError(
            f"`{name}` must lie in [-1, 1]: scale 8-bit images by v / 127.5 - 1. "
            f"Received: values from {low:.4g} to {high:.4g}"
        )
