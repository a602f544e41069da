"""Validation of integers, images and masks: the same rules and messages at every entry."""

import warnings

import numpy as np

from keras_uai import values as value_scaling


def check_integer(owner, name, value, minimum=None):
    """Returns `value` as an int, or raises a ValueError if it is none, or less than `minimum`.

    `owner`, the function or class that was called (may be empty), and `name`, the argument's, are
    for the message.
    """
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not integer or (minimum is not None and value < minimum):
        prefix = f"{owner}: " if owner else ""
        least = "" if minimum is None else f" of at least {minimum}"
        raise ValueError(f"{prefix}`{name}` must be an integer{least}. Received: {name}={value!r}")
    return int(value)


def per_image_seeds(seed, count):
    """Returns one seed an image, int32 `(count,)`.

    `seed` is an integer (image i then has the seed `seed + i`), or `count` integers.
    """
    seeds = np.asarray(seed)
    if seeds.dtype.kind not in "iu" or seeds.shape not in ((), (count,)):
        raise ValueError(
            f"`seed` must be an integer, or one an image ({count}). Received: seed={seed!r}"
        )
    seeds = seeds.astype("int64") + (np.arange(count) if seeds.ndim == 0 else 0)
    return (seeds % 2**31).astype("int32")


def check_mask(mask, shape, mask_channels=1, name="mask"):
    """Returns a mask as float32 `(N, H, W, M)`, 1 = observed.

    Args:
        mask: bool, numbers 0 and 1, or integers 0 and 255 or 0 and 65535; of shape `(N, H, W)`,
            `(N, H, W, 1)` or `(N, H, W, M)`, or one mask without N for all images.
        shape: `(N, H, W, C)` of the images.
        mask_channels: M, 1 or C.
        name: string for messages.
    """
    mask = np.ma.filled(mask, 0)
    wanted = (*shape[:3], mask_channels)
    found = mask
    if mask.ndim in (2, 3):
        has_channels = mask.ndim == 3 and mask.shape != wanted[:3]
        found = mask if has_channels else mask[..., None]
        found = found if found.ndim == 4 else found[None]
    fits = found.ndim == 4 and found.shape[0] in (1, shape[0]) and found.shape[1:3] == wanted[1:3]
    if not fits or found.shape[3] not in (1, mask_channels):
        raise ValueError(
            f"`{name}` must have shape {wanted} or {wanted[:3]} for images of shape "
            f"{tuple(shape)}. Received: shape {mask.shape}"
        )
    return np.array(np.broadcast_to(is_observed(found, name), wanted), "float32")


def is_given(values):
    """Returns bool of the shape of an array: True where a value is neither NaN nor masked."""
    given = np.ma.getdata(values)
    known = ~np.isnan(given) if given.dtype.kind == "f" else True
    return known & ~np.ma.getmaskarray(values)


def is_observed(mask, name="mask"):
    """Returns a mask's values as booleans, True = observed; see `check_mask`."""
    mask = np.asarray(mask)
    if mask.dtype.kind in "biuf":
        for high in (1, 255, 65535) if mask.dtype.kind in "iu" else (1,):
            if ((mask == 0) | (mask == high)).all():
                return mask == high
    low, high = (mask.min(), mask.max()) if mask.dtype.kind in "fiu" else ("other", "values")
    raise ValueError(
        f"`{name}` must hold 1 where a value is observed and 0 where it is missing (or integers, "
        f"255 or 65535 where observed). Received: {mask.dtype} values from {low} to {high}"
    )


def check_images(
    y, mask, image_shape, mask_channels=1, values=None, name="y", network_units=True, tau=None
):
    """Returns images and masks as networks take them.

    Args:
        y: array or tensor `(N, H, W, C)`. Integers are scaled by `values`. Floats are in network
            units ([-1, 1] for images). NaN is missing. A masked array's masked values are missing.
        mask: see `check_mask`. None: all that is not NaN or masked; without any of these, and with
            `tau`, all that differs from tau in some channel.
        image_shape: `(H, W, C)`, H and W may be None.
        mask_channels: 1 (a pixel is missing in all channels or in none) or C.
        values: `ValueScaling` of the model. Default: that of uint8.
        name: string for messages.
        network_units: False if floats are in the units of `values`.
        tau: float, the mark of missing pixels in floats without a mask. Default: there is none.

    Returns:
        `(y, mask)`: float32 `(N, H, W, C)` in network units, 0 where missing, and float32
        `(N, H, W, mask_channels)`, 1 = observed.

    Raises:
        ValueError: for wrong shapes, soft masks, observed values that are not finite or out of
            range, or integers of which nothing tells what is missing.
    """
    values = value_scaling.get(values)
    _check_shape(y, image_shape, name)
    y = np.asanyarray(y)  # tensors, too
    given, seen = np.ma.getdata(y), is_given(y)
    floats = given.dtype.kind == "f"
    missing_known = not seen.all()
    seen = seen if mask_channels > 1 else seen.all(axis=-1, keepdims=True)
    if mask is not None:
        seen = seen & (check_mask(mask, given.shape, mask_channels) > 0.5)
    elif floats and not missing_known and tau is not None:
        seen = seen & (given != tau).any(axis=-1, keepdims=True)
    where = np.broadcast_to(seen, given.shape)
    if not (floats and network_units):
        _check_dtype(given, values, name)
        if mask is None and not (floats or missing_known or tau is None):
            raise ValueError(
                f"Nothing is missing in `{name}`: integers need a mask (1 = observed, 0 = missing), "
                f"or a masked array. Received: {given.dtype} without a mask"
            )
        given = values.of(given.dtype).encode(np.where(where, given, given.dtype.type(0)))
    given = np.where(where, given, 0).astype("float32")
    if not np.isfinite(given).all():
        raise ValueError(f"Observed values of `{name}` must be finite. Received: infinite values")
    if floats and network_units and values.is_bounded:
        _check_range(given[where], name)
    return given, seen.astype("float32")


def _check_shape(y, image_shape, name):
    if isinstance(y, dict) or not hasattr(y, "ndim") or not hasattr(y, "dtype"):
        what = f"a dict with {sorted(y)}" if isinstance(y, dict) else f"a {type(y).__name__}"
        raise ValueError(
            f'`{name}` must be an array (N, H, W, C); of a batch, pass batch["observation"] and '
            f'batch["mask"]. Received: {what}'
        )
    shape = tuple(y.shape)
    fits = len(shape) == 4 and 0 not in shape
    if fits and all(n in (None, m) for n, m in zip(image_shape, shape[1:], strict=True)):
        return
    wanted = ", ".join(str(n) if n else s for n, s in zip(image_shape, "HWC", strict=True))
    raise ValueError(
        f"`{name}` must have shape (N, {wanted}): the images come first (for one image use "
        f"y[None]), the channels must come last (np.moveaxis(y, 1, -1)). Received: shape {shape}"
    )


def _check_dtype(y, values, name):
    if y.dtype.kind not in "iuf" or (values.is_bounded and y.dtype.name not in ("uint8", "uint16")):
        raise ValueError(
            f"`{name}` must hold {'uint8 or uint16' if values.is_bounded else 'numbers'}, or "
            f"floats in network units{' ([-1, 1])' if values.is_bounded else ''}. "
            f"Received: an array of {y.dtype}"
        )


def _check_range(observed, name):
    """Raises where observed floats leave [-1, 1], and warns where they seem to be in [0, 1]."""
    low, high = observed.min(initial=0.0), observed.max(initial=0.0)
    if max(-low, high) > 1.0 + 1e-6:
        raise ValueError(
            f"Observed values of `{name}` must lie in [-1, 1] (v / 127.5 - 1 for 8-bit v). "
            f"Received: values from {low} to {high}"
        )
    if low >= 0.0 and observed.size >= 1000:
        warnings.warn(
            f"All observed values of `{name}` lie in [0, 1], but images are expected in [-1, 1]. "
            f"Use 2 * {name} - 1 if they are scaled to [0, 1].",
            stacklevel=4,
        )
