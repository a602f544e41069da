"""Small damaged photographs as files."""

import io

import numpy as np
from PIL import Image


def pixels(size=(20, 30), channels=4, seed=0):
    """uint8 `(h, w, channels)`; the last of 2 or 4 is alpha, 0 or 255."""
    found = np.random.default_rng(seed).integers(0, 256, (*size, channels), dtype="uint8")
    if channels in (2, 4):
        found[..., -1] = (found[..., -1] >= 128) * np.uint8(255)
    return found


def encode(array, kind="PNG", **options):
    """An array's bytes as an image file."""
    file = io.BytesIO()
    Image.fromarray(np.squeeze(array)).save(file, kind, **options)
    return file.getvalue()


def decode(data):
    with Image.open(io.BytesIO(data)) as image:
        found = np.asarray(image)
    return found if found.ndim == 3 else found[..., None]
