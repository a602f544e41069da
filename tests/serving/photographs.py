"""Small damaged photographs as files, by Pillow alone."""

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
    """An array, or a Pillow image, as the bytes of a file."""
    file = io.BytesIO()
    if not isinstance(array, Image.Image):
        array = Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array)
    array.save(file, kind, **options)
    return file.getvalue()


def decode(data):
    with Image.open(io.BytesIO(data)) as image:
        found = np.asarray(image)
    return found if found.ndim == 3 else found[..., None]


def batch(count, size=(20, 30), channels=3, seed=0, mask_channels=1):
    """`(y, mask)` float32: values of 8 bits in [-1, 1], half of them missing (0)."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 256, (count, *size, channels)) / 127.5 - 1.0
    mask = generator.random((count, *size, mask_channels)) < 0.5
    return (y * mask).astype("float32"), mask.astype("float32")
