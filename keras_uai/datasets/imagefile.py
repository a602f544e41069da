"""One image file to uint8 pixels: decode, centre crop, antialiased resize. NumPy and Pillow only.

Pixels stay 8-bit integers to the end, because that is what makes `T(y)` exact: `v / 127.5 - 1` is
never 0.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")

# What Pillow raises for files that are damaged, cut short, empty, or no images at all.
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class UnreadableImageError(Exception):
    """A file that holds no readable image; the message says why. Such files are skipped unless
    `strict`.
    """


def decode(file):
    """Reads one image.

    Any of Pillow's modes comes back as gray or RGB: palettes are looked up, CMYK and the like
    converted, 16-bit gray scaled to 8 bits (65535 becomes 255), and the camera's orientation
    (EXIF) applied.

    Args:
        file: path, or the encoded bytes.

    Returns:
        `(pixels, alpha)`: uint8 `(H, W, C)` with C = 1 or 3, and uint8 `(H, W)` or None where
        there is no alpha channel.

    Raises:
        UnreadableImageError: with the reason.
    """
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
            image.load()
            return _arrays(ImageOps.exif_transpose(image))
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "not an image that Pillow can identify"
        raise UnreadableImageError(reason) from error


def _arrays(image):
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N"):
        wide = np.asarray(image).astype("float64")
        return np.rint(wide / 257.0).astype("uint8")[..., None], None
    if image.mode in ("I", "F"):
        raise UnreadableImageError(
            f"pixels of 32 bits (mode {image.mode}), whose range is unknown: save it with 8 or "
            f"16 bits"
        )
    transparent = image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info
    gray = image.mode in ("1", "L", "LA", "La")
    if not transparent:
        pixels = np.asarray(image.convert("L" if gray else "RGB"))
        return pixels.reshape(*pixels.shape[:2], -1), None
    pixels = np.asarray(image.convert("LA" if gray else "RGBA"))
    return pixels[..., :-1], pixels[..., -1]


def to_channels(pixels, channels):
    """uint8 `(..., C)` as gray (`channels=1`, luma of ITU-R 601) or RGB (`channels=3`, gray
    repeated).
    """
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    luma = pixels.astype("uint32") @ np.array([19595, 38470, 7471], dtype="uint32")
    return ((luma + 0x8000) >> 16).astype("uint8")[..., None]


def center_crop(array, side):
    """The centred `side` x `side` square of `array` `(H, W, ...)`."""
    top, left = (array.shape[0] - side) // 2, (array.shape[1] - side) // 2
    return array[top : top + side, left : left + side]


def resize(pixels, size):
    """Square uint8 `(S, S, C)` to uint8 `(size, size, C)`, antialiased.

    Smaller: the mean over the area that an output pixel covers, source pixels on its edge counted
        by their share (for
    whole ratios, the mean of a block). Larger: linear interpolation.
    """
    if pixels.shape[0] == size:
        return pixels
    return np.rint(_resample(_resample(pixels, size, 0), size, 1)).astype("uint8")


def resize_observed(observed, size):
    """Square boolean `(S, S)` to `(size, size)`: True only where every source pixel that `resize`
    uses is observed.

    So no value of a missing pixel bleeds into an observed one; and damage of single pixels is
    best not resized at all.
    """
    if observed.shape[0] == size:
        return observed
    missing = (~observed).astype("uint8")[..., None]
    return _resample(_resample(missing, size, 0), size, 1)[..., 0] == 0.0


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
        kind = "int64" if array.dtype == np.uint8 else array.dtype
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
