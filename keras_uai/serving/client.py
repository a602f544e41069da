"""Client: images in, reconstructions out, however the model is reached."""

import concurrent.futures
import contextlib
import dataclasses
import math
import os
import warnings

import numpy as np

from keras_uai import files
from keras_uai.checks import check_integer, per_image_seeds
from keras_uai.serving import images, transports
from keras_uai.serving.contract import Contract
from keras_uai.serving.errors import FailedError, RefusedError, UnavailableError

BATCH = 32  # images of an array in one request, at most
ALIGNMENT = 64  # pixels, of tiles: levels of the push-pull fill are aligned, too


@dataclasses.dataclass
class Reconstruction:
    """Reconstructions of an image, in its dtype, units and size; of N images, with N in front.

    Args:
        samples: `(K, H, W, C)`. Observed values are the image's own.
        mean: `(H, W, C)`, the best single answer in the sense of the squared error.
        std: float32 `(H, W, C)`, the standard deviation of the samples; 0 for one sample.
    """

    samples: np.ndarray
    mean: np.ndarray
    std: np.ndarray


class Client:
    """Asks a model for reconstructions, on this machine or on a server.

    Images keep their size. Models of a fixed layout (aligned faces) get them scaled with their
    aspect kept, with a warning.

    Args:
        target: a preset's name or folder, a run's folder, a `.keras` file, a SavedModel's folder
            (or a folder of its versions), `grpc://host:port/model[/version]` (`grpcs://`
            encrypted), or `http(s)://host:port/v1/models/model[/versions/version]`.
        timeout: float, seconds for one attempt of a server. Default: 60.
        retries: integer, further attempts if a server is missing, busy or late. Default: 4.
        concurrency: integer, requests at a time. Default: 1 on this machine, 8 on servers.

    Raises:
        ValueError: if there is no such model. A server is not asked before the first image.

    Example:

    >>> with keras_uai.serving.Client("drawn_faces_32_drop_pixel") as client:
    ...     image = np.full((32, 32, 3), 99, "uint8")
    ...     mask = np.arange(32 * 32).reshape(32, 32) % 2
    ...     found = client.inpaint(image, mask, num_samples=5)
    >>> found.samples.shape, found.std.shape
    ((5, 32, 32, 3), (32, 32, 3))
    """

    def __init__(self, target, *, timeout=60.0, retries=4, concurrency=None):
        if not timeout > 0:
            raise ValueError(f"`timeout` must be above 0 seconds. Received: timeout={timeout!r}")
        self.timeout = float(timeout)
        self.retries = check_integer("Client", "retries", retries, 0)
        if concurrency is not None:
            check_integer("Client", "concurrency", concurrency, 1)
        self._transport = transports.connect(target)
        self._contract = None
        self._warned = False
        self.target = self._transport.where
        self.concurrency = concurrency or self._transport.concurrency

    # -- reconstructions -------------------------------------------------------------------------

    def inpaint(self, image, mask=None, num_samples=10, seed=0):
        """Samples reconstructions of one image, or of several.

        Args:
            image: array `(H, W, C)` or `(N, H, W, C)`: uint8, uint16, or floats in [-1, 1] (numbers
                in the data's units for models of other values); the bytes or the path of an image
                file; or a list of images, which may differ in kind and size.
            mask: of one image, an array `(H, W)` (1 = observed), bytes or a path (white =
                observed); one for each of several. Default: alpha, or all that is not NaN; in float
                images without NaN, all that is not 0 in all channels.
            num_samples: integer, K. Default: 10.
            seed: an integer (image i of several has the seed `seed + i`), or one an image. The
                same image and seed give the same samples, alone or among others. Default: 0.

        Returns:
            A `Reconstruction`; for a list of images, a list.

        Raises:
            ValueError: if an image is wrong (`RefusedError` if the model says so). The message
                names the file, or the place in the list.
            UnavailableError: if the server was not reached.
            FailedError: if it failed on the request.
        """
        num_samples = check_integer("Client.inpaint", "num_samples", num_samples, 1)
        if isinstance(image, (list, tuple)):
            return self._several(image, mask, num_samples, seed)
        with _named(image):
            if images.is_encoded(image):
                image, mask = images.read(image, mask)
            batch = images.prepare(image, mask, self.contract)
            self._warn(batch.placement)
            found = self._batch(batch, num_samples, per_image_seeds(seed, len(batch.image)))
        if np.ndim(image) == 3:
            found = Reconstruction(found.samples[0], found.mean[0], found.std[0])
        return found

    @property
    def contract(self):
        """The model's `Contract`, asked for once."""
        if self._contract is None:
            found = self.call("describe", {"row": np.zeros(1, "int32")})
            text = np.ravel(self._output(found, "contract"))[0]
            self._contract = Contract.from_json(text.decode() if isinstance(text, bytes) else text)
        return self._contract

    def call(self, signature, feed):
        """Returns a signature's outputs as arrays, after retries."""
        transport = self._transport
        if transport is None:
            raise RuntimeError(
                "This client is closed. Make a new one, or ask inside its `with` block. "
                f"Received: a client of {self.target}"
            )
        return transports.with_retries(
            lambda: transport.call(signature, feed, self.timeout), self.retries, self.target
        )

    def map(self, function, items):
        """Yields `function` of each item in order, `concurrency` at a time."""
        if self.concurrency == 1:
            yield from map(function, items)
            return
        pool = concurrent.futures.ThreadPoolExecutor(self.concurrency)
        try:
            yield from pool.map(function, items)
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self):
        """Ends connections. A closed client raises a RuntimeError when it is asked."""
        if self._transport is not None:
            self._transport.close()
        self._transport = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- parts -----------------------------------------------------------------------------------

    def _several(self, several, masks, num_samples, seed):
        masks = [None] * len(several) if masks is None else masks
        if len(masks) != len(several):
            raise ValueError(
                f"A list of {len(several)} images needs as many masks. Received: {len(masks)}"
            )
        seeds = per_image_seeds(seed, len(several))

        def one(i):
            with _named(f"image {i}" if not isinstance(several[i], (str, os.PathLike)) else None):
                return self.inpaint(several[i], masks[i], num_samples, int(seeds[i]))

        return list(self.map(one, range(len(several))))

    def _warn(self, placement):
        if placement is not None and not self._warned:
            self._warned = True
            height, width = placement.layout
            warnings.warn(
                f"This model has a fixed layout of {height} x {width} pixels. Images of other "
                "sizes are scaled to it with their aspect kept, and the filled pixels are scaled "
                "back.",
                stacklevel=3,
            )

    def _batch(self, batch, num_samples, seeds):
        """The `Reconstruction` of a `Prepared` batch, asked for in parts."""
        pixels = batch.y.shape[1] * batch.y.shape[2]
        limits = self.contract.limits
        ask, size = self._asks(batch), BATCH
        if limits is not None:
            size = min(size, max(1, limits.max_answer_pixels // (pixels * num_samples)))
            if pixels > limits.max_pixels and self.contract.fixed_size is None:
                ask, size = self._ask_by_tiles, 1

        def part(start):
            at = slice(start, start + size)
            return ask(batch, at, num_samples, seeds[at].astype("int64"))

        parts = list(self.map(part, range(0, len(seeds), size)))
        samples, mean, std = (np.concatenate(found) for found in zip(*parts, strict=True))
        return Reconstruction(
            batch.finish(samples[:, :num_samples]), batch.finish(mean), batch.finish_std(std)
        )

    def _asks(self, batch):
        """The method that asks for a batch."""
        signature = self._transport and self._transport.integers_by
        if batch.values is None or batch.placement is not None:
            return self._ask_floats
        if signature == "pixels" and batch.values.dtype == "uint8":
            return self._ask_pixels
        plain = batch.pixels.shape[-1] in (1, 3) and batch.mask.shape[-1] == 1
        return self._ask_files if signature == "image_bytes" and plain else self._ask_floats

    def _ask_floats(self, batch, at, num_samples, seeds):
        feed = {"y": batch.y[at], "mask": batch.mask[at]}
        return self._ask("serving_default", feed, num_samples, seeds)

    def _ask_pixels(self, batch, at, num_samples, seeds):
        feed = {"pixels": batch.pixels[at], "mask": batch.mask[at].astype("uint8")}
        samples, mean, std = self._ask("pixels", feed, num_samples, seeds)
        return samples.astype("uint8"), mean.astype("uint8"), std / batch.unit

    def _ask_files(self, batch, at, num_samples, seeds):
        masks = (batch.mask[at] * 255).astype("uint8")
        feed = {
            "image_bytes": _objects(files.encode_image(v) for v in batch.pixels[at]),
            "mask_bytes": _objects(files.encode_image(v) for v in masks),
        }
        samples, mean, std = self._ask("image_bytes", feed, num_samples, seeds, "_bytes")
        decoded = [_decode(row) for row in (*samples, mean, std)]
        return np.stack(decoded[:-2]), decoded[-2], decoded[-1] / 65535.0

    def _ask_by_tiles(self, batch, at, num_samples, seeds):
        """Asks for one image by overlapping tiles, whose noise is a crop of the whole image's.

        The answer is that of the whole image, unless a hole is wider than `ALIGNMENT` pixels.
        """
        limits = self.contract.limits
        most = min(limits.max_pixels, limits.max_answer_pixels // num_samples)
        margin = -(-self.contract.margin // ALIGNMENT) * ALIGNMENT
        tile = (math.isqrt(most) - 2 * margin) // ALIGNMENT * ALIGNMENT
        height, width, channels = batch.y.shape[1:]
        if tile <= 0:
            raise RefusedError(
                "The image is larger than the model's limits, which leave no room for tiles. "
                f"Received: {height} x {width} pixels, {limits}"
            )
        shape = (height, width, channels)
        found = [np.empty((1, *k, *shape), "float32") for k in ((num_samples,), (), ())]
        for top, rows, inner_rows in _windows(height, tile, margin):
            for left, columns, inner_columns in _windows(width, tile, margin):
                feed = {"y": batch.y[at, rows, columns], "mask": batch.mask[at, rows, columns]}
                feed["origin"] = np.int32([[top, left]])
                answer = self._ask("tile", feed, num_samples, seeds)
                to = (
                    slice(inner_rows.start + top, inner_rows.stop + top),
                    slice(inner_columns.start + left, inner_columns.stop + left),
                    slice(None),
                )
                for whole, part in zip(found, answer, strict=True):
                    whole[(..., *to)] = part[..., inner_rows, inner_columns, :]
        return found

    def _ask(self, signature, feed, num_samples, seeds, suffix=""):
        rows = {"seed": seeds, "num_samples": np.full(len(seeds), num_samples, "int32")}
        found = self.call(signature, {**feed, **rows})
        names = (f"samples{suffix}", f"mean{suffix}", f"std{suffix}")
        return [self._output(found, name) for name in names]

    def _output(self, found, name):
        if name not in found:
            raise FailedError(
                f"The model at {self.target} is not an export of keras_uai: no output {name!r}. "
                f"Received: {sorted(found)}"
            )
        return found[name]


@contextlib.contextmanager
def _named(image):
    """Puts the name of an image in front of the messages of errors about it."""
    try:
        yield
    except (ValueError, FailedError, UnavailableError) as error:
        if not isinstance(image, (str, os.PathLike)):
            raise
        classes = (RefusedError, FailedError, UnavailableError, ValueError)
        cls = next(cls for cls in classes if isinstance(error, cls))
        raise cls(f"{os.fspath(image)}: {error}") from error


def _windows(size, tile, margin):
    """Yields `(start, window, inner)`: windows of tiles with margins, and the tiles in them."""
    for first in range(0, size, tile):
        start, stop = max(first - margin, 0), min(first + tile + margin, size)
        yield start, slice(start, stop), slice(first - start, min(first + tile, size) - start)


def _objects(values):
    values = list(values)
    found = np.empty((len(values),), dtype=object)
    found[:] = values
    return found


def _decode(rows):
    return np.stack([files.decode_image(bytes(data))[0] for data in rows])
