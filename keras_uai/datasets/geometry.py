"""Crops and antialiased resizing of one image; no value bleeds across the edge of the damage."""

import numpy as np


def center_crop(array, height, width):
    """Returns the centred window `height` x `width` of `array` `(H, W, ...)`."""
    top, left = (array.shape[0] - height) // 2, (array.shape[1] - width) // 2
    return array[top : top + height, left : left + width]


def largest_window(height, width, size):
    """Returns height and width of the largest window with the aspect of `size`, `(h, w)`."""
    scale = min(height / size[0], width / size[1])
    return min(height, round(size[0] * scale)), min(width, round(size[1] * scale))


def resize(pixels, height, width):
    """Resizes `(H, W, C)` to `(height, width, C)`, antialiased.

    Shrinking takes the mean over the area that an output pixel covers; source pixels on its edge
    count by their share. Enlarging interpolates linearly. Integers are rounded. Masks, of bool, are
    True (observed) only where every source pixel that is used is.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    is_mask = pixels.dtype == bool
    found = (~pixels).astype("uint8") if is_mask else pixels
    found = _resample(_resample(found, height, 0), width, 1)
    if is_mask:
        return found == 0.0
    return (np.rint(found) if pixels.dtype.kind in "iu" else found).astype(pixels.dtype)


def _resample(array, size, axis):
    """Area average (shrinking) or linear interpolation (enlarging) along one axis."""
    source = array.shape[axis]
    shape = [1] * array.ndim
    shape[axis] = -1
    if size <= source:
        edge = np.arange(size + 1) * source / size
        first = np.floor(edge).astype("int64")
        share = (edge - first).reshape(shape)
        at_edge = np.take(array, np.minimum(first, source - 1), axis=axis) * share
        kind = "int64" if array.dtype.kind in "iu" else "float64"
        whole = np.add.reduceat(array, first[:-1], axis=axis, dtype=kind)
        before = np.take(at_edge, np.arange(size), axis=axis)
        after = np.take(at_edge, np.arange(1, size + 1), axis=axis)
        return (whole - before + after) * (size / source)
    position = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    first = np.floor(position).astype("int64")
    share = (position - first).reshape(shape)
    low = np.take(array, first, axis=axis)
    high = np.take(array, np.minimum(first + 1, source - 1), axis=axis)
    return low * (1.0 - share) + high * share
