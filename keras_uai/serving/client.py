"""Client: images in, reconstructions out, however the model is reached."""

import concurrent.futures
import dataclasses
import math

import numpy as np
import tenacity

from keras_uai import files
from keras_uai.checks import check_integer, per_image_seeds, warn
from keras_uai.serving import images, transports
from keras_uai.serving.contract import Contract
from keras_uai.serving.transports import RefusedError, UnavailableError

BATCH = 32  # images of an array in one request, at most
ALIGNMENT = 64  # pixels, of tiles: levels of the push-pull fill are aligned, too


@dataclasses.dataclass
class Reconstruction:
    """Reconstructions of an image, in its dtype, units and size; of N images, with N in front.

    Args:
        samples: `(K, H, W, C)`. Observed values are the image's own.
        mean: `(H, W, C)`, the best single answer in the sense of the squared error.
        std: float32 `(H, W, C)`, the standard deviation of the samples; 0 for one sample. Holes
            that vanish in a fixed layout, of which a warning tells, have that of the observed
            pixels which fill them.
    """

    samples: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def __repr__(self):
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        shapes = (f"{name}: {v.dtype} {v.shape}" for name, v in fields.items())
        return f"Reconstruction({', '.join(shapes)})"

    def _repr_png_(self):
        """Four samples and the mean, side by side, for notebooks; None for batches."""
        if self.mean.ndim != 3 or self.mean.shape[-1] not in (1, 3):
            return None
        row = np.concatenate([*self.samples[:4], self.mean], axis=1).astype("float32")
        whole = self.mean.dtype.kind in "iu"
        low, high = (0, np.iinfo(self.mean.dtype).max) if whole else (row.min(), row.max())
        row = (row - low) / max(high - low, 1e-12)
        return files.encode_image(np.rint(255.0 * row).astype("uint8"))


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
        self._is_closed = False
        self.target = self._transport.where
        self.concurrency = concurrency or (8 if self._transport.remote else 1)

    # -- reconstructions -------------------------------------------------------------------------

    def inpaint(self, image, mask=None, num_samples=10, seed=0):
        """Samples reconstructions of an image, or of a batch. (`map` asks for several files.)

        Args:
            image: array `(H, W, C)` or `(N, H, W, C)`: uint8, uint16, or floats in [-1, 1] (numbers
                in the data's units for models of other values); or the bytes or the path of an
                image file.
            mask: array `(H, W)` or `(N, H, W)`, 1 = observed; or bytes or a path, white = observed.
                Default: of a path, the mask file beside it (NAME.mask.png, NAME_mask.png, or in a
                folder `masks`) if there is one; alpha, or all that is not NaN; in float images
                without NaN, all that is not 0 in all channels.
            num_samples: integer, K. Default: 10.
            seed: an integer (image i of a batch has the seed `seed + i`), or one an image. The same
                image and seed give the same samples, alone or among others. Default: 0.

        Returns:
            A `Reconstruction`.

        Raises:
            ValueError: if an image is wrong (`RefusedError` if the model says so), or if the client
                is closed.
            UnavailableError: if the server was not reached.
            FailedError: if it failed on the request.
        """
        num_samples = check_integer("Client.inpaint", "num_samples", num_samples, 1)
        batch = images.prepare(image, mask, self.contract)
        found = self._batch(batch, num_samples, per_image_seeds(seed, len(batch.image)))
        if images.is_encoded(image) or np.ndim(image) == 3:
            found = Reconstruction(found.samples[0], found.mean[0], found.std[0])
        return found

    @property
    def contract(self):
        """The model's `Contract`, asked for once."""
        if self._contract is None:
            found = self.call("describe", {"row": np.zeros(1, "int32")})
            self._contract = Contract.from_json(found["contract"][0])
        return self._contract

    def call(self, signature, feed):
        """Returns a signature's outputs as arrays. Unavailable servers are asked again.

        The waits between attempts grow from a quarter of a second to 8 seconds, with jitter.
        """
        if self._is_closed:
            raise ValueError(
                "A client must be used before `close()`, or inside of its `with` block: make a new "
                f"one. Received: a call of the closed client of {self.target}"
            )
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(UnavailableError),
            stop=tenacity.stop_after_attempt(self.retries + 1),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=8.0),
            reraise=True,
        )
        try:
            return attempts(self._transport.call, signature, feed, self.timeout)
        except UnavailableError as error:
            raise UnavailableError(
                f"{self.target} cannot be reached, in {self.retries + 1} attempts. "
                f"Received: {error}"
            ) from error

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
        """Ends connections. The client cannot be used any more."""
        self._is_closed = True
        self._transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- parts -----------------------------------------------------------------------------------

    def _batch(self, batch, num_samples, seeds):
        """The `Reconstruction` of a `Prepared` batch, asked for in parts."""
        limits, fixed = self.contract.limits, self.contract.fixed_size
        if batch.box is not None:
            warn(
                f"This model has a fixed layout of {fixed[0]} x {fixed[1]} pixels. Images of other "
                "sizes are scaled to it with their aspect kept, and the filled pixels are scaled "
                "back."
            )
            if count := int(batch.vanished().sum()):
                warn(
                    f"{count:,} of {int((~batch.seen).sum()):,} missing pixels vanish in the fixed "
                    "layout: they are filled with the mean of observed pixels around them, without "
                    "the model, and their std is that of these pixels."
                )
        ask, size = self._ask_floats, BATCH
        if limits is not None:
            pixels = batch.y.shape[1] * batch.y.shape[2]
            size = min(size, max(1, limits.max_answer_pixels // (pixels * num_samples)))
            plain = batch.y.shape[-1] in (1, 3) and batch.mask.shape[-1] == 1
            if pixels > limits.max_pixels and fixed is None:
                ask, size = self._ask_by_tiles, 1
            elif self._transport.remote and plain and batch.values is not None and not batch.box:
                ask = self._ask_files  # fewer bytes than floats

        def part(start):
            at = slice(start, start + size)
            return ask(batch, at, num_samples, seeds[at].astype("int64"))

        parts = list(self.map(part, range(0, len(seeds), size)))
        samples, mean, std = (np.concatenate(found) for found in zip(*parts, strict=True))
        return Reconstruction(
            batch.finish(samples[:, :num_samples]), batch.finish(mean), batch.finish_std(std)
        )

    def _ask_floats(self, batch, at, num_samples, seeds):
        feed = {"y": batch.y[at], "mask": batch.mask[at]}
        return self._ask("serving_default", feed, num_samples, seeds)

    def _ask_files(self, batch, at, num_samples, seeds):
        pixels = {
            "image_bytes": batch.values.decode(batch.y[at]),
            "mask_bytes": (batch.mask[at] * 255).astype("uint8"),
        }
        feed = {name: [files.encode_image(one) for one in v] for name, v in pixels.items()}
        found = self._ask("image_bytes", feed, num_samples, seeds, "_bytes")
        samples, mean, std = map(_decoded, found)
        return batch.values.encode(samples), batch.values.encode(mean), std / 32767.5

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
        found = [
            np.empty((1, *k, height, width, channels), "float32") for k in ((num_samples,), (), ())
        ]
        for rows, rows_inside, rows_of_tile in _windows(height, tile, margin):
            for columns, columns_inside, columns_of_tile in _windows(width, tile, margin):
                feed = {"y": batch.y[at, rows, columns], "mask": batch.mask[at, rows, columns]}
                feed["origin"] = np.int32([[rows.start, columns.start]])
                answer = self._ask("tile", feed, num_samples, seeds)
                for whole, part in zip(found, answer, strict=True):
                    inside = part[..., rows_inside, columns_inside, :]
                    whole[..., rows_of_tile, columns_of_tile, :] = inside
        return found

    def _ask(self, signature, feed, num_samples, seeds, suffix=""):
        rows = {"seed": seeds, "num_samples": np.full(len(seeds), num_samples, "int32")}
        found = self.call(signature, {**feed, **rows})
        return [found[f"{name}{suffix}"] for name in ("samples", "mean", "std")]


def _windows(size, tile, margin):
    """Yields slices: windows of tiles with margins, the tiles in the windows, and in the image."""
    for first in range(0, size, tile):
        last = min(first + tile, size)
        start = max(first - margin, 0)
        window = slice(start, min(last + margin, size))
        yield window, slice(first - start, last - start), slice(first, last)


def _decoded(data):
    """Encoded images `(...)` as an array `(..., H, W, C)`."""
    found = [files.decode_image(bytes(one))[0] for one in data.ravel()]
    return np.reshape(found, (*data.shape, *found[0].shape))
