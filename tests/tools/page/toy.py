"""A client without a model: holes are filled with noise; what it was asked is kept."""

import io
import types

import numpy as np
from PIL import Image


class ToyClient:
    def __init__(self, channels=3):
        self.asked, self.channels = [], channels

    def inpaint(self, image, mask, num_samples, seed):
        image = np.asarray(Image.open(io.BytesIO(image)))[..., : self.channels]
        self.asked.append((image, mask, num_samples, seed))
        noise = np.random.default_rng(seed).integers(0, 256, (num_samples, *image.shape), "uint8")
        samples = np.where(mask[None, ..., None] > 0, image[None], noise)
        return types.SimpleNamespace(
            samples=samples,
            mean=np.rint(samples.mean(axis=0)).astype("uint8"),
            std=samples.std(axis=0).mean(axis=-1) / 127.5,
        )


def edited(height=8, width=8, painted=(slice(2, 4), slice(2, 5)), seed=0):
    """What the editor holds: an image that is painted over in a place."""
    random = np.random.default_rng(seed)
    background = random.integers(0, 256, (height, width, 4), "uint8")
    background[..., 3] = 255
    layer = np.zeros_like(background)
    if painted is not None:
        layer[painted] = 228, 0, 124, 255
    return {"background": background, "layers": [layer], "composite": background}
