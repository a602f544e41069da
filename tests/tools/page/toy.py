"""A client without a model: it fills holes with noise and keeps its requests."""

import types

import numpy as np


class ToyClient:
    """Client of a model with `channels` channels."""

    def __init__(self, channels=3):
        self.asked = []
        self.channels = channels

    def inpaint(self, image, mask, num_samples, seed):
        image = image[..., : self.channels]
        self.asked.append((image, mask, num_samples, seed))
        noise = np.random.default_rng(seed).integers(0, 256, (num_samples, *image.shape), "uint8")
        samples = np.where(mask[None, ..., None] > 0, image[None], noise)
        return types.SimpleNamespace(
            samples=samples,
            mean=np.rint(samples.mean(axis=0)).astype("uint8"),
            std=samples.std(axis=0).astype("float32"),
        )


def edited(height=8, width=8, painted=(slice(2, 4), slice(2, 5)), seed=0):
    """Returns the value of the editor for an image with a painted rectangle."""
    random = np.random.default_rng(seed)
    background = random.integers(0, 256, (height, width, 4), "uint8")
    background[..., 3] = 255
    layer = np.zeros_like(background)
    if painted is not None:
        layer[painted] = 228, 0, 124, 255
    return {"background": background, "layers": [layer], "composite": background}
