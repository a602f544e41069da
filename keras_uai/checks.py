"""The rules for integers, images, masks and values, with one message each for every entry.

Arrays are checked by `check_images` and `check_mask`, graphs by `graph_checks` and the functions for
shapes and dtypes.
"""

import contextlib
import inspect
import sys
import warnings

import numpy as np

from keras_uai import values as value_scaling

#: The largest absolute value of images in network units: 1, and rounding.
LARGEST = 1.0 + 1e-6

#: The rules for mask images.
MASK_IMAGE = "A mask image must be white where the image is observed and black where it is missing."
MASK_IMAGE_OPAQUE = "A mask image must not be transparent everywhere."
MASK_IMAGE_LAYER = (
    "A mask image with transparency must be either white with transparent holes or black strokes on "
    "transparent ground."
)


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


def warn(message):
    """Warns at the line of the caller: the first one outside of this package and Keras."""
    frame, level = inspect.currentframe(), 1
    inside = ("keras_uai", "keras")
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in inside:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


@contextlib.contextmanager
def plain_warnings():
    """Each warning is a single line on standard error, once: for commands."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
        yield


def mask_rule(name="mask"):
    """Returns the text of the rule for the values of masks."""
    return (
        f"`{name}` must hold 1 where a value is observed and 0 where it is missing (or integers, "
        "255 or 65535 where observed)."
    )


def value_rule(name, bounded=True):
    """Returns the text of the rule for observed floats in network units."""
    wanted = "lie in [-1, 1] (v / 127.5 - 1 for 8-bit v)" if bounded else "be finite"
    return f"Observed values of `{name}` must {wanted}."


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
    raise ValueError(f"{mask_rule(name)} Received: {mask.dtype} values from {low} to {high}")


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
    if isinstance(y, dict) or not hasattr(y, "ndim") or not hasattr(y, "dtype"):
        what = f"a dict with {sorted(y)}" if isinstance(y, dict) else f"a {type(y).__name__}"
        raise ValueError(
            f'`{name}` must be an array (N, H, W, C); of a batch, pass batch["observation"] and '
            f'batch["mask"]. Received: {what}'
        )
    check_shape(y.shape, image_shape, name)
    y = np.asanyarray(y)  # tensors, too
    given, seen = np.ma.getdata(y), is_given(y)
    floats = given.dtype.kind == "f"
    missing_known = mask is not None or not seen.all() or tau is None
    seen = seen if mask_channels > 1 else seen.all(axis=-1, keepdims=True)
    if mask is not None:
        seen = seen & (check_mask(mask, given.shape, mask_channels) > 0.5)
    elif floats and not missing_known:
        marked = given.astype("float32", copy=False) == np.float32(tau)
        seen = seen & ~(marked if mask_channels > 1 else marked.all(axis=-1, keepdims=True))
    where = np.broadcast_to(seen, given.shape)
    if not (floats and network_units):
        check_dtype(given.dtype.name, values, name, floats or missing_known)
        given = values.of(given.dtype).encode(np.where(where, given, given.dtype.type(0)))
    given = np.where(where, given, 0).astype("float32")
    low, high = given.min(), given.max()
    if not np.isfinite([low, high]).all():
        raise ValueError(f"{value_rule(name, False)} Received: infinite values")
    if floats and network_units and values.is_bounded:
        if max(-low, high) > LARGEST:
            raise ValueError(f"{value_rule(name)} Received: values from {low} to {high}")
        if low >= 0.0 and where.sum() >= 1000:
            warn(
                f"All observed values of `{name}` lie in [0, 1], but images are expected in "
                f"[-1, 1]. Use 2 * {name} - 1 if they are scaled to [0, 1]."
            )
    return given, seen.astype("float32")


def check_shape(shape, image_shape, name):
    """Raises a ValueError unless `shape` is `(N, *image_shape)`; None fits any length above 0."""
    wanted = (None, *image_shape)
    fits = len(shape) == 4 and 0 not in shape
    if fits and all(None in (n, m) or n == m for n, m in zip(wanted, shape, strict=True)):
        return
    axes = ", ".join(str(n) if n else s for n, s in zip(wanted, "NHWC", strict=True))
    raise ValueError(
        f"`{name}` must have shape ({axes}): the images come first (for one image use {name}[None], "
        f"for a data set of single images .batch(n)), the channels must come last "
        f"(np.moveaxis({name}, 1, -1)). Received: shape {tuple(shape)}"
    )


def check_dtype(dtype, values, name, missing_known):
    """Raises a ValueError for images that `values` does not scale to network units.

    Args:
        dtype: string, the dtype of the images.
        values: `ValueScaling` of the model.
        name: string for messages.
        missing_known: whether a mask or the like says what is missing. Integers have no mark for it.
    """
    numbers = dtype.startswith(("uint", "int", "float", "bfloat"))
    if not numbers or (values.is_bounded and dtype not in ("uint8", "uint16")):
        raise ValueError(
            f"`{name}` must hold {'uint8 or uint16' if values.is_bounded else 'numbers'}, or "
            f"floats in network units{' ([-1, 1])' if values.is_bounded else ''}. "
            f"Received: an array of {dtype}"
        )
    if not missing_known:
        raise ValueError(
            f"Nothing is missing in `{name}`: integers need a mask (1 = observed, 0 = missing), or "
            f"a masked array. Received: {dtype} without a mask"
        )
