"""Images and masks as a client is given them, checked before anything is sent."""

import io
import os

import numpy as np
from PIL import Image

from keras_uai.datasets import imagefile

FORMATS = ("PNG", "JPEG", "WEBP")
_ORIENTATION = 0x0112  # EXIF
_NOTHING_MISSING = "Nothing is missing in this image: its mask is 1 (white, opaque) everywhere."
_NOTHING_OBSERVED = (
    "Nothing of this image is observed: its mask is 0 (black, transparent) everywhere."
)


# -- arrays -------------------------------------------------------------------------------------------------------


def arrays(image, mask=None):
    """Arrays as the signatures of arrays take them.

    Args:
        image: `(N, h, w, C)` or `(h, w, C)`; float in [-1, 1], or uint8. Of uint8 images with 2 or 4 channels and no
            mask, the last is alpha.
        mask: `(N, h, w, 1)`, `(N, h, w)` or without N: 1 or True = observed, or uint8 with white = observed. None: of
            float images, a pixel is missing where all channels are 0.

    Returns:
        `(signature, image, mask)` with all four axes; what lies under the mask is 0.

    Raises:
        ValueError: wrong shape or type, values out of range, nothing missing or nothing observed.
    """
    image = np.asarray(image)
    if image.dtype.kind not in "fu" or (image.dtype.kind == "u" and image.dtype != np.uint8):
        raise ValueError(
            "`image` holds floats in [-1, 1] (v / 127.5 - 1 for 8-bit v) or uint8. "
            f"Received: an array of {image.dtype}"
        )
    if image.ndim not in (3, 4) or 0 in image.shape:
        raise ValueError(
            f"`image` has the shape (h, w, C) or (N, h, w, C). Received: {image.shape}"
        )
    image = image if image.ndim == 4 else image[None]
    floats = image.dtype.kind == "f"
    if mask is None and floats:
        mask = (image != 0.0).any(axis=-1)
    elif mask is None:
        if image.shape[-1] not in (2, 4):
            raise ValueError(
                "uint8 images without an alpha channel need a mask, 1 = observed. "
                f"Received: an image of {image.shape[-1]} channels, and no mask"
            )
        image, mask = image[..., :-1], image[..., -1] >= 128
    mask = _mask(mask, image.shape)
    _check_mask(mask)
    if floats:
        image = np.where(mask, image, np.zeros_like(image)).astype("float32")
        _check_range(image)
        return "serving_default", image, mask.astype("float32")
    return "uint8", np.where(mask, image, np.zeros_like(image)), mask.astype("uint8") * 255


def observed(mask):
    """A mask of zeros and ones, or of black and white, as booleans of its shape.

    Raises:
        ValueError: other types, or floats other than 0 and 1.
    """
    mask = np.asarray(mask)
    if mask.dtype == bool:
        return mask
    if mask.dtype == np.uint8:
        return mask >= (1 if mask.size and mask.max() == 1 else 128)
    if mask.dtype.kind not in "fiu" or not np.isin(mask, (0, 1)).all():
        raise ValueError(
            "`mask` holds 1 where a pixel is observed and 0 where it is missing (or uint8, white = observed). "
            f"Received: an array of {mask.dtype} with other values"
        )
    return mask == 1


def _mask(mask, shape):
    mask = observed(mask)
    mask = mask if mask.ndim in (3, 4) and mask.shape[0] == shape[0] else mask[None]
    mask = mask if mask.ndim == 4 else mask[..., None]
    if mask.shape != (*shape[:3], 1):
        raise ValueError(
            f"`mask` must be of the image's size, {shape[1:3]}. Received: {mask.shape}"
        )
    return mask


def _check_mask(mask):
    """Each of `(N, ...)` masks hides something and leaves something."""
    flat = mask.reshape(len(mask), -1)
    if flat.all(axis=1).any():
        raise ValueError(f"{_NOTHING_MISSING} Received: image {int(flat.all(axis=1).argmax())}")
    if not flat.any(axis=1).all():
        raise ValueError(f"{_NOTHING_OBSERVED} Received: image {int(flat.any(axis=1).argmin())}")


def _check_range(image):
    if not np.isfinite(image).all():
        raise ValueError("Observed pixels must be finite. Received: NaN or infinite values")
    if np.abs(image).max() > 1.0 + 1e-6:
        raise ValueError(
            "Observed pixels must lie in [-1, 1] (v / 127.5 - 1 for 8-bit v). "
            f"Received: values from {image.min()} to {image.max()}"
        )


# -- encoded images -----------------------------------------------------------------------------------------------


def encoded(image, mask, limits):
    """An encoded image and its mask as the signature of bytes takes them.

    Args:
        image: bytes of a PNG, JPEG or WebP, or the path of one.
        mask: the same, or an array `(h, w)`, or None: the image's alpha channel.
        limits: a `Limits`.

    Returns:
        `(image_bytes, mask_bytes)`; the mask is empty where alpha is the mask. An image that its EXIF data turn is
        turned, and encoded again as PNG.

    Raises:
        ValueError: no such image, too large, cut short, nothing missing or nothing observed.
    """
    data, size, alpha = _checked(image, "image", limits, needs_alpha=mask is None)
    if mask is None:
        if alpha is None:
            raise ValueError(
                "An image without an alpha channel needs a mask of its own (white = observed). Received: neither"
            )
        _check_mask((alpha >= 128)[None])
        return data, b""
    if not isinstance(mask, (bytes, bytearray, memoryview, str, os.PathLike)):
        mask = observed(mask)
        if mask.ndim not in (2, 3) or mask.shape[2:] not in ((), (1,)) or 0 in mask.shape:
            raise ValueError(f"`mask` has the shape (h, w) or (h, w, 1). Received: {mask.shape}")
        mask = png(mask.astype("uint8") * 255)
    mask_data, mask_size, _ = _checked(mask, "mask", limits, needs_alpha=False)
    if mask_size != size:
        raise ValueError(
            f"A mask must have its image's size, {size[0]} x {size[1]} (width x height). "
            f"Received: a mask of {mask_size[0]} x {mask_size[1]}"
        )
    pixels = imagefile.to_channels(imagefile.decode(mask_data)[0], 1)
    _check_mask(observed(pixels[..., 0])[None])
    return data, mask_data


def png(pixels):
    """uint8 `(h, w)`, `(h, w, 1)` or `(h, w, 3)` as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels).save(
        file, "PNG"
    )
    return file.getvalue()


def decode_png(data):
    """A PNG's pixels, uint8 `(h, w, C)`."""
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def upright(image, limits):
    """The bytes of an encoded image, bytes or path, turned as its EXIF data say; errors as of `encoded`."""
    return _checked(image, "image", limits, needs_alpha=False)[0]


def read(path, limits):
    """The bytes of a file that is not too large.

    Raises:
        ValueError: too large, or no file that can be read.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(limits.max_bytes + 1)
    except OSError as error:
        raise ValueError(f"This file cannot be read: {error.strerror or error}.") from error
    _check_bytes(data, limits)
    return data


def _check_bytes(data, limits):
    if len(data) > limits.max_bytes:
        raise ValueError(
            f"An encoded image may have {limits.max_bytes:,} bytes. Received: more; save it smaller"
        )


def _checked(image, kind, limits, needs_alpha):
    """`(bytes, (width, height), alpha)` of what seems a good image from its header; alpha where it is asked for."""
    if isinstance(image, (str, os.PathLike)):
        data = read(image, limits)
    elif isinstance(image, (bytes, bytearray, memoryview)):
        data = bytes(image)
        _check_bytes(data, limits)
    else:
        raise ValueError(f"An encoded {kind} is bytes or a path. Received: {type(image).__name__}")
    width, height, turned = _header(data, kind, limits)
    if not (turned or needs_alpha):
        return data, (width, height), None
    try:
        pixels, alpha = imagefile.decode(data)
    except imagefile.UnreadableImageError as error:
        raise ValueError(f"This {kind} cannot be read: {error}.") from error
    if turned:
        height, width = pixels.shape[:2]
        data = png(
            pixels if alpha is None else np.dstack([imagefile.to_channels(pixels, 3), alpha])
        )
    return data, (width, height), alpha


def _header(data, kind, limits):
    """Width, height, and whether EXIF data turn the image; no pixel is decoded."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            width, height = opened.size
            few = width * height <= limits.max_pixels
            # A PNG says so before its pixels, or is not asked: Pillow would decode it to find out.
            asked = few and (opened.format != "PNG" or "exif" in opened.info)
            turned = asked and opened.getexif().get(_ORIENTATION, 1) not in (0, 1)
    except Image.DecompressionBombError as error:
        raise ValueError(f"This {kind} has too many pixels: {error}") from error
    except Exception as error:  # Pillow's readers raise anything on damaged files
        what = "it is empty" if not data else "no PNG, JPEG or WebP, or a damaged one"
        raise ValueError(f"This {kind} cannot be read: {what}.") from error
    if not few:
        raise ValueError(
            f"This {kind} has too many pixels: {limits.max_pixels:,} are allowed. Received: {width} x {height}"
        )
    return width, height, turned
