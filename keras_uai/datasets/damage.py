"""Reading damaged images: alpha, a mask file, a colour or NaN says which pixels are missing."""

import os
import re
import unicodedata

import numpy as np
from PIL import ImageColor

from keras_uai import files

_SIDECAR = re.compile(r"^(?P<stem>.+)[._]mask$", re.IGNORECASE)


def parse(mask_from):
    """Returns `mask_from` as `(kind, colour)`; colour is uint8 `(3,)`, or None for other kinds.

    >>> keras_uai.datasets.damage.parse("color:#ff00ff")
    ('color', array([255,   0, 255], dtype=uint8))
    """
    if mask_from is None or mask_from in ("alpha", "sidecar", "nan"):
        return mask_from, None
    found = re.fullmatch(r"color:\s*(#[0-9a-fA-F]{6}|\d+\s*,\s*\d+\s*,\s*\d+)", str(mask_from))
    text = found[1] if found else ""
    color = ImageColor.getrgb(text) if text[:1] == "#" else [int(n) for n in text.split(",") if n]
    if not found or max(color) > 255:
        raise ValueError(
            '`mask_from` must be "alpha" (transparent = missing), "sidecar" (a mask file beside '
            "each image: NAME.mask.png, NAME_mask.png, or the same path in a folder `masks`; black "
            '= missing, white = observed), "color:255,0,255" or "color:#ff00ff" (pixels of exactly '
            'that colour are missing), "nan" (floating point TIFF), or None for clean images. '
            f"Received: mask_from={mask_from!r}"
        )
    return "color", np.array(color, "uint8")


def read_damaged(file, mask_from, mask=None):
    """Reads one image and its missing pixels.

    Args:
        file: path or encoded bytes of the image.
        mask_from: "alpha", "sidecar", "nan", "color:R,G,B", or None: no pixel is missing.
        mask: path of the mask file, for "sidecar".

    Returns:
        `(pixels, observed)`: see `keras_uai.files.decode_image`; bool `(H, W)`, or None for None.
        Transparent pixels are missing beside a mask file or a colour, too.

    Raises:
        UnreadableImageError: the image or its mask cannot be read.
        ValueError: transparency or mask files that do not fit `mask_from`.
    """
    kind, color = parse(mask_from)
    pixels, alpha = files.decode_image(file)
    if kind is None:
        if alpha is not None and (alpha < 255).any():
            raise ValueError(
                "Images without masks must not have transparent pixels. Received: mask_from=None. "
                'Use mask_from="alpha" (transparent = missing), or save it without an alpha channel'
            )
        if pixels.dtype.kind == "f" and np.isnan(pixels).any():
            raise ValueError(
                "Images without masks must not have NaN. Received: mask_from=None. Use "
                'mask_from="nan" (NaN = missing)'
            )
        return pixels, None
    observed = np.ones(pixels.shape[:2], bool) if alpha is None else alpha >= 128
    if kind == "color":
        observed &= _observed_from_color(pixels, color, file)
    elif kind == "sidecar":
        try:
            observed &= files.read_mask(mask, pixels.shape[:2], file)
        except files.UnreadableImageError as error:
            raise files.UnreadableImageError(f"its mask {shown(mask)}: {error}") from error
    if pixels.dtype.kind == "f":
        observed &= ~np.isnan(pixels).any(axis=-1)
    return pixels, observed


def _observed_from_color(pixels, color, file):
    """Returns bool `(H, W)`: True where pixels differ from an 8-bit `color` in some channel."""
    kind = files.read_header(file)[2]
    if kind in ("JPEG", "MPO") or (kind == "WEBP" and b"VP8 " in files.read_bytes(file, 64)):
        raise ValueError(
            "Images whose missing pixels have a colour must be compressed without loss (PNG). "
            "Received: JPEG or lossy WebP, which does not keep a colour exactly. Use mask files"
        )
    if pixels.shape[-1] == 1 and len(set(color.tolist())) > 1:
        return np.ones(pixels.shape[:2], dtype=bool)
    color = color.astype(pixels.dtype) * (257 if pixels.dtype == np.uint16 else 1)
    return (pixels != color[: pixels.shape[-1]]).any(axis=-1)


def shown(path):
    """Returns a path as text that can be printed, whatever bytes its name holds."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def stem(path):
    """Returns a relative path without its extension, in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", os.path.splitext(path)[0])


def split_listing(paths):
    """Separates mask files from images in a list of relative paths with `/`.

    Returns:
        `(images, masks)`: the images' paths, and a dict from the `stem` of an image to the path of
        its mask. A file is a mask if it lies in a folder `masks` at the top, or is named
        NAME.mask.* or NAME_mask.* and an image NAME.* lies beside it. Only files with the extension
        of an image count.
    """
    found = [(stem(path), path) for path in paths if path.lower().endswith(files.EXTENSIONS)]
    stems = {known for known, _ in found}
    images, masks = [], {}
    for known, path in found:
        folder, _, name = known.rpartition("/")
        named = _SIDECAR.match(name)
        beside = os.path.join(folder, named["stem"]).replace(os.sep, "/") if named else None
        if known.startswith("masks/"):
            inside = known.removeprefix("masks/")
            if inside not in stems and named:
                inside = beside.removeprefix("masks/")
            masks.setdefault(inside, path)
        elif beside in stems:
            masks[beside] = path  # a file beside the image wins over the folder
        else:
            images.append(path)
    return images, masks
