"""Small image files for the tests of the data sets."""

import numpy as np
from PIL import Image

from keras_uai.datasets.elements import Elements
from keras_uai.datasets.folder import FolderSource
from keras_uai.datasets.sources import Preparation
from keras_uai.datasets.store import open_store
from keras_uai.values import ValueScaling


def noise(seed, height=16, width=16, channels=3):
    """Random pixels, uint8 `(height, width, channels)`."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels))
    return values.astype("uint8")


def save(path, pixels):
    """Writes uint8 `(H, W)` or `(H, W, C)`, C from 1 to 4, without loss where the format allows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(pixels)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    options = {"lossless": True} if path.suffix == ".webp" else {}
    Image.fromarray(pixels).save(path, **options)
    return path


def folder_of_noise(folder, count, size=16, channels=3):
    """`count` PNG files; returns their pixels, uint8 `(count, size, size, channels)`."""
    pixels = np.stack([noise(i, size, size, channels) for i in range(count)])
    for i, image in enumerate(pixels):
        save(folder / f"{i:04d}.png", image)
    return pixels


def normalized(pixels):
    """The definition, in float64 and then rounded to float32 as the arithmetic is done."""
    return pixels.astype("float32") / np.float32(127.5) - np.float32(1.0)


def elements(folder, measurement=None, batch_size=4, seed=5, indices=None, **arguments):
    """`Elements` of the images in a folder, or of some of them."""
    mask_from = None if measurement else "alpha"
    source = FolderSource(folder, Preparation(mask_from=mask_from))
    indices = np.arange(source.size) if indices is None else np.array(indices)
    arguments = {"shuffle": False, "batch_size": batch_size, "seed": seed, **arguments}
    values = arguments.pop("values", ValueScaling())
    return Elements(
        open_store(source, np.arange(source.size)), indices, measurement, values, **arguments
    )


def images(store, indices):
    """The decoded images of a store, of one size, as one array."""
    return np.stack([store.image(index) for index in indices])
