"""Reading damaged images: alpha, a mask file, a colour or NaN says which pixels are missing."""

import os
import re
import unicodedata

import numpy as np

from keras_uai import files

_HELP = (
    'Use mask_from="alpha" (transparent = missing), "sidecar" (a mask file beside each image: '
    "NAME.mask.png, NAME_mask.png, or the same path in a folder `masks`; black = missing, white = "
    'observed), "color:255,0,255" or "color:#ff00ff" (pixels of exactly that colour are missing), '
    '"nan" (floating point TIFF), or None for clean images.'
)
_SIDECAR = re.compile(r"^(?P<stem>.+)[._]mask$", re.IGNORECASE)


def parse(mask_from):
    """Returns `mask_from` as `(kind, colour)`; colour is uint8 `(3,)`, or None for other kinds."""
    if mask_from is None or (
        isinstance(mask_from, str) and mask_from in ("alpha", "sidecar", "nan")
    ):
        return mask_from, None
    if isinstance(mask_from, str) and mask_from.startswith("color:"):
        text = mask_from[len("color:") :].strip()
        numbers = None
        if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            numbers = [int(text[i : i + 2], 16) for i in (1, 3, 5)]
        elif re.fullmatch(r"\d+(\s*,\s*\d+\s*,\s*\d+)?", text):
            numbers = [int(number) for number in text.split(",")]
        if numbers and max(numbers) <= 255:
            return "color", np.array(numbers * (3 // len(numbers)), dtype="uint8")
    raise ValueError(
        f"`mask_from` must be a place to find masks. Received: mask_from={mask_from!r}. {_HELP}"
    )


def read_damaged(file, mask_from, mask=None):
    """Reads one image and its missing pixels.

    Args:
        file: path or encoded bytes of the image.
        mask_from: "alpha", "sidecar", "nan", "color:R,G,B", or None: no pixel is missing.
        mask: path of the mask file, for "sidecar".

    Returns:
        `(pixels, observed)`: see `keras_uai.files.decode_image`; bool `(H, W)`, or None for None.
        Transparent pixels beside a mask file or a colour are missing, too.

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
        return pixels, None
    observed = np.ones(pixels.shape[:2], bool) if alpha is None else alpha >= 128
    if kind == "color":
        observed &= observed_from_color(pixels, color, file)
    elif kind == "sidecar":
        try:
            observed &= files.read_mask(mask, pixels.shape[:2], file)
        except files.UnreadableImageError as error:
            raise files.UnreadableImageError(f"its mask {shown(mask)}: {error}") from error
    if pixels.dtype.kind == "f":
        observed &= ~np.isnan(pixels).any(axis=-1)
    return pixels, observed


def observed_from_color(pixels, color, file=None):
    """Returns bool `(H, W)`: True where pixels differ from `color` in some channel.

    Args:
        pixels: uint8 or uint16 `(H, W, C)`.
        color: uint8 `(3,)`.
        file: path or bytes of the image. Default: not checked for lossy compression.

    Raises:
        ValueError: `file` is compressed with loss, which does not keep a colour exactly.
    """
    if file is not None and _is_lossy(file):
        raise ValueError(
            "Images whose missing pixels have a colour must be compressed without loss (PNG). "
            "Received: JPEG or lossy WebP, which does not keep a colour exactly. Use mask files"
        )
    if pixels.shape[-1] == 1 and len(set(color.tolist())) > 1:
        return np.ones(pixels.shape[:2], dtype=bool)
    color = color.astype(pixels.dtype) * (257 if pixels.dtype == np.uint16 else 1)
    return (pixels != color[: pixels.shape[-1]]).any(axis=-1)


def _is_lossy(file):
    kind = files.read_header(file)[2]
    if kind != "WEBP":
        return kind in ("JPEG", "MPO")
    return b"VP8 " in files.read_bytes(file, 64)


def shown(path):
    """Returns a path as text that can be printed, whatever bytes its name holds."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def stem(path):
    """Returns a relative path without its extension, in Unicode's composed form (NFC).

    Names that look the same are the same then, whichever system wrote them.
    """
    return unicodedata.normalize("NFC", os.path.splitext(path)[0])


def split_listing(paths):
    """Separates mask files from images in a list of relative paths with `/`.

    Returns:
        `(images, masks)`: the images' paths, and a dict from the `stem` of an image to the path of
        its mask. A file is a mask if it lies in a folder `masks` at the top, or is named
        NAME.mask.* or NAME_mask.* and an image NAME.* lies beside it. Only files with the extension
        of an image count.
    """
    paths = [path for path in paths if path.lower().endswith(files.EXTENSIONS)]
    stems = {stem(path) for path in paths}
    images, masks = [], {}
    for path in paths:
        folder, _, name = stem(path).rpartition("/")
        named = _SIDECAR.match(name)
        beside = f"{folder}/{named['stem']}" if named and folder else named and named["stem"]
        if stem(path).startswith("masks/"):
            inside = stem(path)[len("masks/") :]
            if inside not in stems and named:
                inside = beside[len("masks/") :]
            masks.setdefault(inside, path)
        elif beside in stems:
            masks[beside] = path  # a file beside the image wins over the folder
        else:
            images.append(path)
    return images, masks
