"""The client: images in, reconstructions out, whichever way the model is reached."""

import concurrent.futures
import contextlib
import dataclasses
import os

import numpy as np

from keras_uai.measurements.base import check_integer
from keras_uai.models.sampling import per_image_seeds
from keras_uai.serving import inputs, retrying, targets
from keras_uai.serving.errors import FailedError, RefusedError, UnavailableError
from keras_uai.serving.limits import Limits

BATCH = 32  # images of an array that travel together


@dataclasses.dataclass
class Reconstruction:
    """What a model makes of an image; of an array of images, all with N in front.

    Args:
        samples: `(K, h, w, C)`, float32 in [-1, 1] or uint8, as the image was.
        mean: `(h, w, C)`, likewise.
        std: `(h, w)` float32: how uncertain each pixel is, in the units of [-1, 1]; 0 for one sample.
    """

    samples: np.ndarray
    mean: np.ndarray
    std: np.ndarray


@dataclasses.dataclass
class Encoded:
    """The same as PNG files: `samples` a list of K, `mean`, and `std`, grey with white = 1."""

    samples: list
    mean: bytes
    std: bytes

    def decode(self):
        """The `Reconstruction`, uint8."""
        samples = np.stack([inputs.decode_png(sample) for sample in self.samples])
        std = inputs.decode_png(self.std)[..., 0].astype("float32") / 255.0
        return Reconstruction(samples, inputs.decode_png(self.mean), std)


class Client:
    """Asks a model for reconstructions, a local one or a server's, through the same signatures.

    Args:
        target: a preset's name or folder, a SavedModel's folder (or a folder of versions of it),
            `grpc://host:port/model[/version]` (`grpcs://` encrypted), or
            `http(s)://host:port/v1/models/model[/versions/version]`.
        timeout: seconds an attempt may take; does not hold for local models.
        retries: a `Retries`, or how often to try again after what may pass: a server that is not there, too busy
            or too late.
        concurrency: requests at a time. Default: 1 for local models, 8 for servers.
        limits: a `Limits`: what is refused here already. The model has limits of its own.

    Raises:
        ValueError: there is no such model. A server is not asked before the first image.

    Example:

    >>> with keras_uai.serving.Client("faces_32_drop_pixel") as client:
    ...     found = client.inpaint("damaged.png", num_samples=5)
    >>> found.samples.shape, found.std.shape
    ((5, 480, 640, 3), (480, 640))
    """

    def __init__(self, target, *, timeout=60.0, retries=4, concurrency=None, limits=None):
        if not timeout > 0:
            raise ValueError(f"`timeout` is above 0 seconds. Received: timeout={timeout!r}")
        self.timeout, self.limits = float(timeout), limits or Limits()
        self.retries = (
            retries if isinstance(retries, retrying.Retries) else retrying.Retries(retries)
        )
        self._transport = targets.connect(target)
        self.target = self._transport.where
        self.concurrency = check_integer(
            "Client",
            "concurrency",
            self._transport.concurrency if concurrency is None else concurrency,
            1,
        )

    # -- reconstructions -----------------------------------------------------------------------------------------

    def inpaint(self, image, mask=None, num_samples=10, seed=0):
        """Reconstructions of one image, or of several.

        Args:
            image: an array `(h, w, C)` or `(N, h, w, C)`, float in [-1, 1] or uint8; the bytes or the path of a PNG,
                JPEG or WebP; or a list of such images, which may differ in kind and size.
            mask: of one image, an array `(h, w)` (1 or white = observed), bytes or a path; one for each of several.
                None: alpha; of float arrays, pixels that are 0 in all channels are missing.
            num_samples: K.
            seed: an integer (image i of several then has the seed `seed + i`), or one an image. The same image and
                seed give the same samples, alone or among others.

        Returns:
            a `Reconstruction` at the image's own size, observed pixels as they were; for a list, a list.

        Raises:
            ValueError: something is wrong with an image (`RefusedError` where the model says so); it names the file
                or the place in the list.
            UnavailableError: the server was not reached; `FailedError`: it failed over the request.
        """
        num_samples = check_integer("Client.inpaint", "num_samples", num_samples, 1)
        if isinstance(image, (list, tuple)):
            return self._several(image, mask, num_samples, seed)
        if isinstance(image, (bytes, bytearray, memoryview, str, os.PathLike)):
            return self.inpaint_encoded(image, mask, num_samples, seed).decode()
        signature, y, mask = inputs.arrays(image, mask)
        found = self._arrays(signature, y, mask, num_samples, _seeds(seed, len(y)))
        if np.ndim(image) == 3:
            found = Reconstruction(found.samples[0], found.mean[0], found.std[0])
        return found

    def inpaint_encoded(self, image, mask=None, num_samples=10, seed=0):
        """`inpaint` of one encoded image, bytes or path, as PNG files: an `Encoded`."""
        num_samples = check_integer("Client.inpaint", "num_samples", num_samples, 1)
        with _named(image):
            data, mask_data = inputs.encoded(image, mask, self.limits)
            feed = {
                "image_bytes": _objects(data),
                "mask_bytes": _objects(mask_data),
                "seed": _seeds(seed, 1),
                "num_samples": np.full((1,), num_samples, "int32"),
            }
            found = self.call("image_bytes", feed)
            names = ("samples_bytes", "mean_bytes", "std_bytes")
            samples, mean, std = (_output(found, name, self.target)[0] for name in names)
        return Encoded([bytes(s) for s in samples[:num_samples]], bytes(mean), bytes(std))

    def call(self, signature, feed):
        """A signature's outputs as arrays, after retries."""
        return retrying.call(
            lambda: self._transport.call(signature, feed, self.timeout), self.retries, self.target
        )

    def map(self, function, items):
        """`function` of each item, `concurrency` at a time; yields results in order."""
        if self.concurrency == 1:
            yield from map(function, items)
            return
        pool = concurrent.futures.ThreadPoolExecutor(self.concurrency)
        try:
            yield from pool.map(function, items)
        finally:
            pool.shutdown(cancel_futures=True)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _several(self, images, masks, num_samples, seed):
        masks = [None] * len(images) if masks is None else masks
        if len(masks) != len(images):
            raise ValueError(
                f"A list of {len(images)} images takes as many masks. Received: {len(masks)}"
            )
        seeds = _seeds(seed, len(images))

        def one(i):
            with _named(None if isinstance(images[i], (str, os.PathLike)) else f"image {i}"):
                return self.inpaint(images[i], masks[i], num_samples, int(seeds[i]))

        return list(self.map(one, range(len(images))))

    def _arrays(self, signature, y, mask, num_samples, seeds):
        def part(start):
            at = slice(start, start + BATCH)
            count = np.full((len(y[at]),), num_samples, "int32")
            feed = {"image": y[at], "mask": mask[at], "seed": seeds[at], "num_samples": count}
            found = self.call(signature, feed)
            kinds = {"samples": y.dtype, "mean": y.dtype, "std": "float32"}
            return [_output(found, name, self.target).astype(kind) for name, kind in kinds.items()]

        parts = list(self.map(part, range(0, len(y), BATCH)))
        samples, mean, std = (np.concatenate(found) for found in zip(*parts, strict=True))
        return Reconstruction(samples[:, :num_samples], mean, std)

    def close(self):
        """Ends connections."""
        self._transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def _named(image):
    """Puts the name of an image before the messages of errors about it."""
    try:
        yield
    except (ValueError, FailedError, UnavailableError) as error:
        if not isinstance(image, (str, os.PathLike)):
            raise
        classes = (RefusedError, FailedError, UnavailableError, ValueError)
        cls = next(cls for cls in classes if isinstance(error, cls))
        raise cls(f"{os.fspath(image)}: {error}") from error


def _seeds(seed, count):
    """The seeds that models make of `seed`, in the signatures' dtype."""
    return per_image_seeds(seed, count).astype("int64")


def _objects(*values):
    found = np.empty((len(values),), dtype=object)
    found[:] = values
    return found


def _output(found, name, where):
    if name not in found:
        raise FailedError(
            f"The model at {where} is none of keras_uai's: no output {name!r}. Received: {sorted(found)}"
        )
    return found[name]
