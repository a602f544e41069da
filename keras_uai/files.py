"""Files: atomic writes, and images and masks as arrays in their own bit depth."""

import contextlib
import io
import math
import os

import numpy as np
from PIL import Image, ImageOps

from keras_uai import checks
from keras_uai.atomic import (  # noqa: F401  this module is the one to import
    atomic_folder,
    atomic_path,
    atomic_write,
    free_memory,
    read_arrays,
    read_json,
    write_json,
)

#: Larger images are refused by their header, before anything is decoded. A scan of 20,000 x 20,000
#: pixels is read; of a gigapixel, parts are. Pillow's own limit, which this is, is a third of it.
Image.MAX_IMAGE_PIXELS = 2**29

#: Extensions of image files, lower case.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")

_ORIENTATION = 0x0112  # EXIF
_BITS_PER_SAMPLE = 258  # TIFF
_TIFF = (".tif", ".tiff")


class UnreadableImageError(ValueError):
    """Raised for a file that holds no readable image; the message says why, without the name."""


# -- images ----------------------------------------------------------------------------------------


def read_header(file):
    """Reads the header of an image, path or bytes, without decoding its pixels.

    Returns:
        `(width, height, format, orientation)`: of the stored pixels; Pillow's name of the format;
        EXIF's orientation, 1 where there is none.
    """
    with _opened(file) as image:
        # Asking a PNG that announces no EXIF data would decode its pixels.
        asked = image.format != "PNG" or "exif" in image.info
        orientation = image.getexif().get(_ORIENTATION, 1) if asked else 1
        return (*image.size, image.format, orientation if orientation in range(1, 9) else 1)


def decode_image(file):
    """Decodes an image in its own bit depth.

    Palettes are looked up, CMYK and the like become RGB, and the camera's orientation (EXIF) is
    applied. Images may have up to half a gigapixel (`PIL.Image.MAX_IMAGE_PIXELS`, 2**29).

    Args:
        file: path, or the encoded bytes.

    Returns:
        `(pixels, alpha)`: uint8 or uint16 `(H, W, C)`, C = 1 or 3 (float32 `(H, W, 1)` for
        floating point TIFF); uint8 `(H, W)`, or None where there is no alpha channel.

    Raises:
        UnreadableImageError: with the reason.
    """
    with _opened(file) as image:
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            raise UnreadableImageError(f"it holds {image.n_frames} images, not one")
        depth, kind = _depth_and_kind(image, file)
        if depth == 16 and kind != "gray":
            return _decode_16_bits(image, file, kind)
        image.load()
        return _arrays(ImageOps.exif_transpose(image))


def encode_image(pixels, extension=".png", alpha=None):
    """Encodes an image.

    Args:
        pixels: uint8 or uint16 `(H, W)` or `(H, W, C)`, C = 1 or 3; or float32 of one channel.
            16 bits need PNG or TIFF, floats TIFF.
        extension: string, decides on the format. Default: PNG.
        alpha: uint8 `(H, W)`, or None.

    Returns:
        bytes. PNG, TIFF and BMP keep the values exactly.

    Example:

    >>> keras_uai.files.encode_image(np.zeros((8, 8, 3), "uint8"))[1:4]
    b'PNG'
    """
    pixels = np.asarray(pixels)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    extension = extension.lower()
    known = {"uint8": EXTENSIONS, "uint16": (".png", *_TIFF), "float32": _TIFF}
    channels = (1, 3) if pixels.dtype.kind == "u" else (1,)
    fits = pixels.ndim == 3 and pixels.shape[-1] in channels
    if not fits or extension not in known.get(pixels.dtype.name, ()):
        raise ValueError(
            "`pixels` must be uint8 or uint16 (PNG, TIFF) of 1 or 3 channels, or float32 (TIFF) of "
            f"one. Received: {pixels.dtype} {pixels.shape}, extension={extension!r}"
        )
    if pixels.dtype == np.uint8 or (pixels.shape[-1] == 1 and alpha is None):
        image = pixels if alpha is None else np.dstack([pixels, alpha])
        data = io.BytesIO()
        image = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        image.save(data, Image.registered_extensions()[extension])
        return data.getvalue()
    import cv2  # Pillow has no 16-bit colours

    image = np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels[..., ::-1]
    if alpha is not None:
        image = np.dstack([image, alpha.astype("uint16") * 257])
    return cv2.imencode(extension, np.ascontiguousarray(image))[1].tobytes()


def write_image(path, pixels, alpha=None):
    """Writes an image file, whole or not at all; see `encode_image`."""
    atomic_write(path, encode_image(pixels, os.path.splitext(path)[1], alpha))


@contextlib.contextmanager
def _opened(file):
    """Yields Pillow's image; everything that damaged files make Pillow raise becomes one error."""
    try:
        with Image.open(io.BytesIO(file) if _is_bytes(file) else file) as image:
            if math.prod(image.size) > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise Image.DecompressionBombError  # Pillow itself: above twice as many
            yield image
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(
            f"more than {Image.MAX_IMAGE_PIXELS:,} pixels. Cut it into parts, or raise "
            "PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except Image.UnidentifiedImageError as error:
        raise UnreadableImageError("not an image that Pillow can identify") from error
    except Exception as error:
        raise UnreadableImageError(str(error) or type(error).__name__) from error


def _is_bytes(file):
    return isinstance(file, (bytes, bytearray, memoryview))


def _arrays(image):
    transparency = image.info.get("transparency")
    if image.mode == "F" or image.mode.startswith("I;16"):
        pixels = np.asarray(image)
        pixels = pixels if image.mode == "F" else pixels.astype("uint16")
        seen = pixels != transparency
        alpha = None if transparency is None else seen * np.uint8(255)
        return pixels[..., None], alpha
    if image.mode == "I":
        raise UnreadableImageError("integers of 32 bits: save it with 8 or 16 bits, or as floats")
    gray = image.mode in ("1", "L", "LA", "La")
    if not image.has_transparency_data:
        pixels = np.asarray(image.convert("L" if gray else "RGB"))
        return pixels.reshape(*pixels.shape[:2], -1), None
    pixels = np.asarray(image.convert("LA" if gray else "RGBA"))
    return pixels[..., :-1], pixels[..., -1]


def _depth_and_kind(image, file):
    """Bits a channel, and whether there are colours or alpha, of PNG and TIFF files."""
    if image.format == "TIFF":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (8,))
        return max(bits), "gray" if len(bits) == 1 else "colors"
    if image.format == "PNG":
        head = read_bytes(file, 26)
        return head[24], {0: "gray", 4: "gray with alpha"}.get(head[25], "colors")
    return 8, "colors"


def _decode_16_bits(image, file, kind):
    """Decodes channels of 16 bits, which Pillow would cut to 8."""
    import cv2

    if image.format == "PNG":
        image.load()  # finds EXIF data and damage
    found = cv2.imdecode(np.frombuffer(read_bytes(file), "uint8"), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.ndim != 3:
        raise UnreadableImageError("channels of 16 bits that OpenCV cannot decode")
    found = turn(found, image.getexif().get(_ORIENTATION, 1))
    alpha = (found[..., 3] >> 8).astype("uint8") if found.shape[-1] == 4 else None
    colors = found[..., :1] if kind == "gray with alpha" else found[..., 2::-1]
    return np.ascontiguousarray(colors), alpha


def read_bytes(file, count=None):
    """Returns the first `count` bytes (default: all) of a file, path or bytes."""
    if _is_bytes(file):
        return bytes(file[:count])
    with open(file, "rb") as opened:
        return opened.read(count)


def turn(pixels, orientation):
    """Applies EXIF's orientation (1 to 8) to an array `(H, W, ...)` of stored pixels."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


# -- conversions -----------------------------------------------------------------------------------


def to_channels(pixels, channels):
    """Converts integers `(..., C)` to gray (`channels=1`, ITU-R 601) or RGB (`channels=3`)."""
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3 and pixels.shape[-1] == 1:
        return np.repeat(pixels, 3, axis=-1)
    if channels != 1 or pixels.shape[-1] != 3:
        raise ValueError(
            "Only gray and RGB images can be converted to one another. "
            f"Received: {pixels.shape[-1]} channels, channels={channels}"
        )
    luma = pixels.astype("uint64") @ np.array([19595, 38470, 7471], dtype="uint64")
    return ((luma + 0x8000) >> 16).astype(pixels.dtype)[..., None]


def to_uint8(pixels):
    """Converts uint16 to uint8 (65535 becomes 255); uint8 stays as it is."""
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels / 257.0).astype("uint8")


# -- masks -----------------------------------------------------------------------------------------


def read_mask(path, shape, image=None):
    """Reads a mask file as bool `(H, W)`, True = observed; see `mask_from_pixels`.

    Args:
        path: of the mask, or its encoded bytes.
        shape: `(H, W)` of the image, after its orientation was applied.
        image: path or bytes of the image. A mask that was drawn over its stored pixels is turned
            as EXIF turns the image, where the sizes tell.

    Raises:
        ValueError: no readable image, another size, or values that are not those of a mask.
    """
    observed = mask_from_pixels(*decode_image(path))
    name = "a mask" if _is_bytes(path) else os.fspath(path)
    orientation = 1 if image is None else read_header(image)[3]
    turned = turn(observed, orientation)
    if observed.shape != tuple(shape):
        observed = turned
    elif orientation > 1 and turned.shape == observed.shape:
        checks.warn(
            f"EXIF turns the image (orientation {orientation}); its mask is taken to lie over the "
            f"turned image. Received: {name}"
        )
    if observed.shape != tuple(shape):
        raise ValueError(
            f"A mask must have its image's size, {shape[1]} x {shape[0]} pixels (width x height). "
            f"Received: {name} of {observed.shape[1]} x {observed.shape[0]}"
        )
    return np.ascontiguousarray(observed)


def mask_from_pixels(pixels, alpha=None):
    """Returns the observed pixels of a mask image: white = observed, black = missing.

    The threshold is half of the largest value of the bit depth; in images of 0 and 1 it is 1, and
    in 16-bit images of up to 255 it is 128. With transparency, white opaque pixels are observed
    and black opaque pixels missing; transparent ones are the opposite of these.

    Args:
        pixels: uint8, uint16 or float `(H, W, C)`.
        alpha: uint8 `(H, W)`, or None.

    Raises:
        ValueError: values that are not those of a mask.
    """
    gray = to_channels(pixels, 1)[..., 0]
    opaque = np.ones(gray.shape, bool) if alpha is None else alpha >= 128
    if not opaque.any():
        raise ValueError(f"{checks.MASK_IMAGE_OPAQUE} Received: such an image")
    high = gray[opaque].max()
    full = 1 if high <= 1 else 65535 if high > 255 else 255
    observed = gray >= (full + 1) / 2
    if high > 0 and not observed[opaque].any():
        raise ValueError(
            f"{checks.MASK_IMAGE} Received: values from {gray[opaque].min()} to {high}"
        )
    if opaque.all():
        return observed
    if observed[opaque].all():
        return opaque  # white with holes
    if not observed[opaque].any():
        return ~opaque  # black strokes on a transparent layer
    raise ValueError(f"{checks.MASK_IMAGE_LAYER} Received: black, white and transparent pixels")
