"""Features -> statistics: streaming, float64, independent of the batch size, and stamped.

The second of the three steps of a distance. `Moments` gathers the mean and the covariance of any
number of features; `Statistics` is what it ends in, with the stamp that says where it came from.
Rows are summed up in blocks of fixed size, so that how they arrive changes no bit of the result.
"""

import dataclasses
import functools
import json
import os

import numpy as np

from keras_uai.metrics import checks, stamps
from keras_uai.metrics.progress import bar

FILE_VERSION = 1
_BLOCK = 512  # rows


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Mean and covariance of a set of features, and where they came from.

    Args:
        stamp: dict of JSON-able values: `extractor`, `weights` (their digest), `resize`,
            `image_size`, `dataset`, `split`, `seed`, `images`; others are carried along.
        features: `(N, D)` float32 where they were kept, which the kernel distance needs and which
            makes the Fréchet distance of fewer images than dimensions fast; else None.
        moments: `(mean (D,), covariance (D, D))` float64; computed from `features` by default.
    """

    stamp: dict
    features: np.ndarray | None = None
    moments: tuple | None = None

    def __post_init__(self):
        if self.count < 2:
            raise ValueError(
                "A covariance needs at least 2 images, and a meaningful one more than there are "
                f"dimensions. Received: images={self.count}"
            )
        if self.features is None and self.moments is None:
            raise ValueError("Statistics need `features` or `moments`. Received: neither")

    @property
    def count(self):
        """How many images."""
        return self.stamp["images"]

    @property
    def dimension(self):
        """How many features an image, D."""
        return (self.features if self.features is not None else self.moments[1]).shape[1]

    @functools.cached_property
    def _moments(self):
        if self.moments is not None:
            return self.moments
        gathered = Moments()
        gathered.update(self.features)
        return gathered.mean_and_covariance()

    @functools.cached_property
    def mean(self):
        """`(D,)` float64."""
        if self.moments is None:
            return self.features.mean(axis=0, dtype="float64")
        return self.moments[0]

    @property
    def covariance(self):
        """`(D, D)` float64, divided by N - 1."""
        return self._moments[1]

    @functools.cached_property
    def centred(self):
        """Features minus their mean, over sqrt(N - 1): `(N, D)` float64; covariance = X^T X."""
        return (self.features - self.mean) / np.sqrt(len(self.features) - 1.0)

    def save(self, path):
        """Writes an `.npz` that `Statistics.load` reads; appears whole or not at all."""
        header = json.dumps({"version": FILE_VERSION, **self.stamp}, sort_keys=True)
        arrays = {"header": np.frombuffer(header.encode(), "uint8")}
        if self.features is not None:
            arrays["features"] = self.features
        else:
            arrays["mean"], arrays["covariance"] = self.moments
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        temporary = f"{path}.{os.getpid()}.partial"
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)

    @classmethod
    def load(cls, path, expected=None):
        """Reads what `save` wrote.

        Args:
            path: the file.
            expected: stamp, or a part of one, that the file must have been made with.

        Raises:
            ValueError: where the file is no such file, or was made with anything else; the message
                lists the differences.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                stamp = json.loads(file["header"].tobytes().decode())
                arrays = {name: file[name] for name in file.files}
            features = arrays.get("features")
            moments = None if features is not None else (arrays["mean"], arrays["covariance"])
        except (OSError, KeyError, ValueError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(
                f"Not a file of statistics of keras_uai: make one with tools/reference_statistics. "
                f"Received: {path} ({error})"
            ) from error
        version = stamp.pop("version", None)
        if version != FILE_VERSION:
            raise ValueError(
                f"Statistics of version {FILE_VERSION} are read: make them again with "
                f"tools/reference_statistics. Received: {path} of version {version}"
            )
        wrong = stamps.differences(stamp, expected or {})
        if wrong:
            raise ValueError(
                f"These statistics were made from something else ({'; '.join(wrong)}): make them "
                f"again with tools/reference_statistics. Received: {path}"
            )
        return cls(stamp, features, moments)


class Moments:
    """Mean and covariance of rows that arrive in any portions; float64, two-pass within blocks."""

    def __init__(self):
        self.count = 0
        self._mean = self._scatter = None
        self._waiting = []
        self._waiting_rows = 0

    def update(self, features):
        """Adds rows `(N, D)`."""
        features = np.asarray(features)
        if features.ndim != 2:
            raise ValueError(f"`features` must have shape (N, D). Received: {features.shape}")
        self._waiting.append(features)
        self._waiting_rows += len(features)
        if self._waiting_rows >= _BLOCK:
            rows = np.concatenate(self._waiting)
            full = len(rows) - len(rows) % _BLOCK
            for start in range(0, full, _BLOCK):
                self._add(rows[start : start + _BLOCK])
            self._waiting, self._waiting_rows = [rows[full:]], len(rows) - full

    def merge(self, other):
        """Adds all rows of another `Moments`, as if they had arrived here, up to rounding."""
        for moments in (self, other):
            moments.flush()
        if other.count:
            self._combine(other.count, other._mean, other._scatter)

    def mean_and_covariance(self):
        """`(mean (D,), covariance (D, D))` of all rows so far; the covariance over N - 1."""
        self.flush()
        if self.count < 2:
            raise ValueError(f"A covariance needs at least 2 rows. Received: {self.count}")
        return self._mean, self._scatter / (self.count - 1.0)

    def flush(self):
        """Sums up the rows that wait for their block to be full: nothing but sums is left."""
        if self._waiting_rows:
            self._add(np.concatenate(self._waiting))
            self._waiting, self._waiting_rows = [], 0

    def _add(self, rows):
        rows = rows.astype("float64")
        mean = rows.mean(axis=0)
        centred = rows - mean
        self._combine(len(rows), mean, centred.T @ centred)

    def _combine(self, count, mean, scatter):
        """Chan, Golub and LeVeque (1979): the moments of a union from those of its parts."""
        if self.count:
            total = self.count + count
            shift = mean - self._mean
            scatter = scatter + self._scatter
            scatter += np.outer(shift, shift) * (self.count * count / total)
            mean = self._mean + shift * (count / total)
        self.count += count
        self._mean, self._scatter = mean, scatter


class Gathering:
    """Gathers features of images that arrive in any portions, which change nothing.

    Args:
        extractor: `keras_uai.metrics.extractors.Extractor`; it sees images in its own portions.
        keep_features: whether to keep every feature vector (4 D bytes an image) and not only mean
            and covariance.
    """

    def __init__(self, extractor, keep_features=True):
        self.extractor = extractor
        self.count = 0
        self._size = None
        self._waiting = []
        self._kept = [] if keep_features else None
        self._moments = Moments()

    def update(self, images):
        """Adds images `(N, H, W, C)` in [-1, 1]."""
        images = checks.images("images", images)
        self._size = self._size or images.shape[1:]
        if images.shape[1:] != self._size:
            raise ValueError(
                "All images must have the same size. "
                f"Received: {self._size} and then {images.shape[1:]}"
            )
        self.count += len(images)
        self._waiting.extend(images)
        chunk = self.extractor.chunk
        while len(self._waiting) >= chunk:
            self._extract(self._waiting[:chunk])
            del self._waiting[:chunk]

    def statistics(self, **stamp):
        """`Statistics` of everything so far; `stamp` is added to what is known."""
        if not self.count:
            raise ValueError("There is no image to make statistics of. Received: no image")
        if self._waiting:
            self._extract(self._waiting)
            self._waiting = []
        stamp = {
            **self.extractor.stamp(),
            "image_size": "x".join(map(str, self._size)),
            **stamp,
            "images": self.count,
        }
        if self._kept is not None:
            return Statistics(stamp, np.concatenate(self._kept))
        return Statistics(
            stamp, None, None if self.count < 2 else self._moments.mean_and_covariance()
        )

    def _extract(self, images):
        features = self.extractor(np.stack(images))
        if self._kept is not None:
            self._kept.append(features)
        else:
            self._moments.update(features)


def compute(extractor, batches, *, keep_features=True, max_images=None, progress=False, **stamp):
    """Statistics of images.

    Args:
        extractor: `keras_uai.metrics.extractors.Extractor`.
        batches: iterable of images `(N, H, W, C)` in [-1, 1], or of dicts with `"clean"`.
        keep_features: see `Gathering`.
        max_images: stop after so many.
        progress: whether to show a progress bar.
        **stamp: `dataset`, `split`, `seed`, and whatever else the images owe their selection to.

    Returns:
        `Statistics`.
    """
    gathering = Gathering(extractor, keep_features)
    with bar(progress and extractor.name, max_images) as advance:
        for batch in batches:
            images = checks.to_numpy(batch["clean"] if isinstance(batch, dict) else batch)
            if max_images is not None:
                images = images[: max_images - gathering.count]
            gathering.update(images)
            advance(len(images))
            if gathering.count == max_images:
                break
    return gathering.statistics(**stamp)
