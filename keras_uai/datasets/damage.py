"""Where a damaged image says which of its pixels are missing: alpha, mask file, or a colour."""

import os
import re

import numpy as np

from keras_uai.datasets import imagefile

_HELP = (
    'Use mask_from="alpha" (transparent = missing), "sidecar" (a mask file beside each image: '
    "NAME.mask.png, NAME_mask.png, or the same path in a folder `masks`; black = missing, white = "
    'observed), "color:255,0,255" or "color:#ff00ff" (pixels of exactly that colour are missing), '
    "or None for clean images."
)
_SIDECAR = re.compile(r"^(?P<stem>.+)[._]mask$", re.IGNORECASE)


def parse(mask_from):
    """`mask_from` as `(kind, colour)`; colour uint8 `(3,)`, or None unless the kind is "color"."""
    if mask_from is None or mask_from in ("alpha", "sidecar"):
        return mask_from, None
    text = str(mask_from)
    if isinstance(mask_from, str) and text.startswith("color:"):
        text = text[len("color:") :].strip()
        numbers = None
        if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            numbers = [int(text[i : i + 2], 16) for i in (1, 3, 5)]
        elif re.fullmatch(r"\d+(\s*,\s*\d+\s*,\s*\d+)?", text):
            numbers = [int(number) for number in text.split(",")]
        if numbers and max(numbers) <= 255:
            return "color", np.array(numbers * (3 // len(numbers)), dtype="uint8")
    raise ValueError(f"`mask_from` is not known. Received: mask_from={mask_from!r}. {_HELP}")


def observed_from_alpha(alpha, shape):
    """Boolean `(H, W)`: alpha of at least 128. An image without an alpha channel misses nothing."""
    return np.ones(shape, dtype=bool) if alpha is None else alpha >= 128


def observed_from_color(pixels, color):
    """Boolean `(H, W)`: pixels that differ from `color` in some channel."""
    if pixels.shape[-1] == 1 and len(set(color.tolist())) > 1:
        return np.ones(pixels.shape[:2], dtype=bool)
    return (pixels != color[: pixels.shape[-1]]).any(axis=-1)


def observed_from_file(path):
    """Boolean `(H, W)` of a mask file: white (from 128) is observed; in a file of zeros and ones,
    1 is.

    Raises:
        UnreadableImageError: the file holds no image.
    """
    mask = imagefile.to_channels(imagefile.decode(path)[0], 1)[..., 0]
    return mask >= (1 if mask.max() == 1 else 128)


def split_listing(paths):
    """Separates mask files from images in a list of relative paths with `/`.

    Returns:
        `(images, sidecars)`: the images' paths, and a dict from the path without extension of an
        image to its mask's path. A file is a mask when it lies in a folder `masks` at the top, or
        is named NAME.mask.* or NAME_mask.* and an image NAME.* lies beside it.
    """
    stems = {os.path.splitext(path)[0] for path in paths}
    images, sidecars = [], {}
    for path in paths:
        stem = os.path.splitext(path)[0]
        folder, _, name = stem.rpartition("/")
        named = _SIDECAR.match(name)
        beside = f"{folder}/{named['stem']}" if named and folder else named and named["stem"]
        if stem.startswith("masks/"):
            inside = stem[len("masks/") :]
            if inside not in stems and named:
                inside = beside[len("masks/") :]
            sidecars.setdefault(inside, path)
        elif beside in stems:
            sidecars[beside] = path  # a file beside the image wins over the folder
        else:
            images.append(path)
    return images, sidecars
