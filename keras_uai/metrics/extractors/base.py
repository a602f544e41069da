"""Feature extractors: a network, the resize before it, and a name for both."""

import hashlib
import os

import numpy as np
from keras import ops

from keras_uai.metrics import checks


class Extractor:
    """Turns images into feature vectors: the first step of the Fréchet and the kernel distance.

    Args:
        name: short name, part of the metrics' names and of every number's provenance.
        network: callable, float32 `(N, size, size, 3)` in [-1, 1] -> features `(N, D)`, or
            `(N, h, w, D)`, which are then averaged over positions. It must be in inference mode.
        size: side of the images the network takes, in pixels; None leaves images as they are.
        antialias: whether images larger than `size` are smoothed before they are resized (always
            bilinearly). TF-GAN does not, so the canonical Inception is run without.
        digest: short fingerprint of the weights: numbers from other weights do not compare.
        channels: number of channels that the network takes; a single one is repeated.
        chunk: images a call of the network.
    """

    def __init__(self, name, network, size, antialias=True, digest="unknown", channels=3, chunk=32):
        self.name = name
        self.network = network
        self.size = size
        self.antialias = antialias
        self.digest = digest
        self.channels = channels
        self.chunk = chunk

    @property
    def frechet_name(self):
        """`"fid"`, or `"frechet_<extractor>"` for another extractor than Inception."""
        return "fid" if self.name == "inception" else f"frechet_{self.name}"

    @property
    def kernel_name(self):
        """`"kid"`, or `"kernel_<extractor>"` for another extractor than Inception."""
        return "kid" if self.name == "inception" else f"kernel_{self.name}"

    def provenance(self):
        """Returns the entries of the provenance of its features, JSON-able."""
        resize = f"bilinear{'-antialias' if self.antialias else ''}-{self.size}"
        resize = "none" if self.size is None else resize
        return {"extractor": self.name, "weights": self.digest, "resize": resize}

    def __call__(self, images):
        """Returns float32 features `(N, D)` of float images `(N, H, W, C)` in [-1, 1]."""
        images = checks.images("images", images).astype("float32")
        if images.shape[-1] == 1:
            images = np.repeat(images, self.channels, axis=-1)
        if images.shape[-1] != self.channels:
            raise ValueError(
                f"The extractor {self.name!r} takes images of {self.channels} channels, or of one, "
                f"which it repeats. Received: images of shape {images.shape}. Choose the channels "
                "to compare, or make an Extractor of a network for such images."
            )
        if self.size is not None and images.shape[1:3] != (self.size, self.size):
            size = (self.size, self.size)
            images = ops.image.resize(images, size, "bilinear", antialias=self.antialias)
        features = ops.convert_to_numpy(self.network(images))
        if features.ndim == 4:
            features = features.mean(axis=(1, 2))
        features = features.reshape(len(features), -1).astype("float32")
        if not np.isfinite(features).all():
            raise ValueError(
                f"The extractor {self.name!r} must return finite features. Received: NaN or "
                f"infinite ones of images of shape {images.shape}"
            )
        return features


def file_digest(path):
    """Returns twelve hexadecimal digits that change with any byte of a file or folder."""
    paths = [path]
    if os.path.isdir(path):
        paths = sorted(os.path.join(root, n) for root, _, names in os.walk(path) for n in names)
    sha = hashlib.sha256()
    for one in paths:
        sha.update(os.path.relpath(one, path).encode())
        with open(one, "rb") as file:
            sha.update(file.read())
    return sha.hexdigest()[:12]
