"""Validation of arrays that are scored: true images, samples, masks, in network units."""

import numpy as np

from keras_uai.checks import check_mask

TOLERANCE = 1e-3  # how far outside of [-1, 1] rounding may carry a value


def to_numpy(value):
    """Returns a tensor of any backend as a NumPy array; masked arrays stay masked."""
    return value.numpy() if hasattr(value, "numpy") else np.asanyarray(value)


def images(name, value, shape=(None,) * 4, bounded=True):
    """Returns `value` as a NumPy array of `shape`, finite floats, in [-1, 1] if bounded.

    None in `shape` stands for any size above 0. With five axes, the second one is of samples.
    """
    value = to_numpy(value)
    fits = len(value.shape) == len(shape) and 0 not in value.shape
    if not fits or any(n not in (None, m) for n, m in zip(shape, value.shape, strict=True)):
        axes = "NHWC" if len(shape) == 4 else "NKHWC"
        expected = ", ".join(str(n or axis) for n, axis in zip(shape, axes, strict=True))
        raise ValueError(f"`{name}` must have shape ({expected}). Received: shape {value.shape}")
    if not np.issubdtype(value.dtype, np.floating):
        raise ValueError(
            f"`{name}` must be floating point in network units: scale 8-bit images by "
            f"v / 127.5 - 1. Received: an array of {value.dtype}"
        )
    if bad := np.count_nonzero(~np.isfinite(value)):
        raise ValueError(f"`{name}` must be finite. Received: {bad} NaN or infinite values")
    low, high = float(value.min()), float(value.max())
    if bounded and max(-low, high) > 1.0 + TOLERANCE:
        raise ValueError(
            f"`{name}` must lie in [-1, 1]: scale 8-bit images by v / 127.5 - 1. "
            f"Received: values from {low:.4g} to {high:.4g}"
        )
    return value


def mask(name, value, shape):
    """Returns a mask `(N, H, W, 1)` or `(N, H, W, C)` of images of `shape`, float32 0 and 1."""
    value = to_numpy(value)
    return check_mask(value, shape, shape[-1] if value.shape == tuple(shape) else 1, name)
