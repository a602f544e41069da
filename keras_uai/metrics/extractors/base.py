"""Feature extractors: a network, the resize before it, and a name for both."""

import hashlib

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
        channels: how many channels the network takes; a single one is repeated to make them.
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
    def is_inception(self):
        """Whether it is the paper's network, so that its distances may be called FID and KID."""
        return self.name == "inception"

    @property
    def frechet_name(self):
        """`"fid"`, or `"frechet_<extractor>"` for another extractor than Inception."""
        return "fid" if self.is_inception else f"frechet_{self.name}"

    @property
    def kernel_name(self):
        """`"kid"`, or `"kernel_<extractor>"` for another extractor than Inception."""
        return "kid" if self.is_inception else f"kernel_{self.name}"

    @property
    def resize(self):
        """The resize as text, for the provenance."""
        if self.size is None:
            return "none"
        return f"bilinear{'-antialias' if self.antialias else ''}-{self.size}"

    def provenance(self):
        """Returns the entries of the provenance of its features, JSON-able."""
        return {"extractor": self.name, "weights": self.digest, "resize": self.resize}

    def __call__(self, images):
        """Features of images.

        Args:
            images: float `(N, H, W, C)` in [-1, 1].

        Returns:
            float32 numpy array `(N, D)`.
        """
        images = checks.images("images", images).astype("float32")
        if images.shape[-1] == 1:
            images = np.repeat(images, self.channels, axis=-1)
        if images.shape[-1] != self.channels:
            raise ValueError(
                f"The extractor {self.name!r} takes images of {self.channels} channels, or of one, "
                f"which it repeats. Received: images of shape {images.shape}. Choose the channels "
                "to compare, or an extractor made for such images (Extractor.from_model)."
            )
        if self.size is not None and images.shape[1:3] != (self.size, self.size):
            images = ops.image.resize(
                images, (self.size, self.size), "bilinear", antialias=self.antialias
            )
        features = ops.convert_to_numpy(self.network(images))
        if features.ndim == 4:
            features = features.mean(axis=(1, 2))
        features = features.reshape(len(features), -1).astype("float32")
        if not np.isfinite(features).all():
            raise ValueError(
                f"The extractor {self.name!r} returned NaN or infinite features. "
                f"Received: images from {images.min():.4g} to {images.max():.4g}"
            )
        return features

    @classmethod
    def from_model(cls, model, name=None, size=None, antialias=True, scale=None):
        """An extractor from any Keras model that takes images.

        Args:
            model: `keras.Model` or path of one saved as `.keras`, from images `(N, H, W, C)` to
                features; a spatial output is averaged over positions.
            name: name in metrics and provenance; the model's name by default.
            size: side the images are resized to; the model's input size by default.
            scale: `(a, b)`: the model sees `a * images + b` instead of images in [-1, 1], such as
                `(127.5, 127.5)` for one that takes [0, 255].
        """
        import keras

        if not isinstance(model, keras.Model):
            model = keras.saving.load_model(model, compile=False)
        shape = model.input_shape
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] is None:
            raise ValueError(
                "An extractor needs a model of one image input (N, H, W, C). "
                f"Received: model {model.name!r} with input_shape={shape}"
            )
        if size is None and shape[1] is not None:
            if shape[1] != shape[2]:
                raise ValueError(
                    "An extractor's images are square. "
                    f"Received: model {model.name!r} with input_shape={shape}"
                )
            size = shape[1]
        a, b = scale or (1.0, 0.0)
        digest = weights_digest(model.get_weights())
        if scale is not None:
            digest += f"-{a:g}x{b:+g}"
        return cls(
            name or model.name,
            lambda images: infer(model, images * a + b),
            size,
            antialias,
            digest,
            channels=shape[-1],
        )


def infer(model, images):
    """Returns `model(images)` in inference mode, compiled once, on any backend."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch(images)
    if not hasattr(model, "_keras_uai_inference"):
        import tensorflow as tf

        model._keras_uai_inference = tf.function(
            lambda x: model(x, training=False), reduce_retracing=True
        )
    return model._keras_uai_inference(ops.convert_to_tensor(images))


def weights_digest(arrays):
    """Returns twelve hexadecimal digits that change with any value of a list of arrays."""
    sha = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()[:12]


def file_digest(path):
    """Returns twelve hexadecimal digits that change with any byte of a file or folder."""
    import os

    paths = [path]
    if os.path.isdir(path):
        paths = sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
        )
    sha = hashlib.sha256()
    for one in paths:
        sha.update(os.path.relpath(one, path).encode())
        with open(one, "rb") as file:
            while block := file.read(1 << 20):
                sha.update(block)
    return sha.hexdigest()[:12]
