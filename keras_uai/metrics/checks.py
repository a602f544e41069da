"""Validation of arrays that are scored: true images, samples, masks, in network units."""

import numpy as np

TOLERANCE = 1e-3  # how far outside of [-1, 1] rounding may carry a value


def to_numpy(value):
    """Returns a tensor of any backend as a NumPy array."""
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def images(name, value, bounded=True):
    """Returns `value` as an array `(N, H, W, C)` of finite floats, in [-1, 1] if bounded."""
    value = to_numpy(value)
    if value.ndim != 4:
        raise ValueError(f"`{name}` must have shape (N, H, W, C). Received: shape {value.shape}")
    return _finite(name, value, bounded)


def samples(name, value, shape, num_samples=None, bounded=True):
    """Returns `value` as an array `(N, K, H, W, C)` for images of `shape` `(N, H, W, C)`."""
    value = to_numpy(value)
    found = value.shape
    fits = len(found) == 5 and (found[0], *found[2:]) == tuple(shape) and found[1] > 0
    if not fits or found[1] != (num_samples or found[1]):
        expected = f"({shape[0]}, {num_samples or 'K'}, {', '.join(map(str, shape[1:]))})"
        raise ValueError(f"`{name}` must have shape {expected}. Received: shape {found}")
    return _finite(name, value, bounded)


def mask(name, value, shape):
    """Returns `value` as an array `(N, H, W, 1)` or `(N, H, W, C)` of zeros and ones."""
    value = to_numpy(value)
    if value.shape not in ((*shape[:3], 1), tuple(shape)):
        raise ValueError(
            f"`{name}` must have shape {(*shape[:3], 1)}, or {tuple(shape)}. "
            f"Received: shape {value.shape}"
        )
    if not np.isin(value, (0, 1)).all():
        raise ValueError(
            f"`{name}` must hold 1 (observed) and 0 (missing) only. "
            f"Received: values from {value.min()} to {value.max()}"
        )
    return value


def scored(x, samples_, mask_, known=None, num_samples=None, bounded=True):
    """Returns the checked arrays of a batch; `x` and `known` may be None."""
    if x is not None:
        unknown = 0.0 if known is None else np.where(to_numpy(known) > 0.5, 0.0, np.nan)
        x = to_numpy(x)
        images("x", np.where(np.isnan(unknown), 0.0, x).astype(x.dtype), bounded)
        shape = x.shape
    else:
        found = to_numpy(samples_).shape
        shape = (found[0], *found[2:]) if len(found) == 5 else ("N", "H", "W", "C")
    samples_ = samples("samples", samples_, shape, num_samples, bounded)
    mask_ = mask("mask", mask_, shape)
    return x, samples_, mask_, None if known is None else mask("known", known, shape)


def _finite(name, value, bounded):
    if not np.issubdtype(value.dtype, np.floating):
        raise ValueError(
            f"`{name}` must be floating point in network units: scale 8-bit images by "
            f"v / 127.5 - 1. Received: an array of {value.dtype}"
        )
    if value.size == 0:
        raise ValueError(f"`{name}` must hold at least one image. Received: shape {value.shape}")
    bad = ~np.isfinite(value)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"`{name}` must be finite. Received: {int(bad.sum())} NaN or infinite values, the "
            f"first at {at}"
        )
    low, high = float(value.min()), float(value.max())
    if bounded and max(-low, high) > 1.0 + TOLERANCE:
        raise ValueError(
            f"`{name}` must lie in [-1, 1]: scale 8-bit images by v / 127.5 - 1. "
            f"Received: values from {low:.4g} to {high:.4g}"
        )
    return value
