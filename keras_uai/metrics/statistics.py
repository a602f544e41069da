"""Mean and covariance of features, in float64, with their provenance.

This is the second step of a distance. `Moments` collects mean and covariance of any number of
features. `Statistics` is the result, with its provenance. `compute` makes it of images, and
`reference` finds it in a folder or makes it.
"""

import dataclasses
import functools
import hashlib
import json
import os

import numpy as np

from keras_uai import files
from keras_uai.metrics import feature_images, provenance
from keras_uai.metrics.progress import bar

FILE_VERSION = 1
_BLOCK = 512  # rows


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Mean and covariance of a set of features, and their provenance.

    Args:
        provenance: dict of JSON-able values: `extractor`, `weights` (their digest), `resize`,
            `image_size`, `dataset`, `split`, `seed`, `images` (number of feature vectors), others.
        features: `(N, D)` float32 where they are kept, which the kernel distance needs and which
            makes the Fréchet distance of fewer images than dimensions fast; else None.
        moments: `(mean (D,), covariance (D, D))` float64. Default: computed from `features`.
    """

    provenance: dict
    features: np.ndarray | None = None
    moments: tuple | None = None

    def __post_init__(self):
        if self.count < 2:
            raise ValueError(f"A covariance needs at least 2 images. Received: images={self.count}")
        if self.features is None and self.moments is None:
            raise ValueError("Statistics need `features` or `moments`. Received: neither")

    @property
    def count(self):
        """Number of feature vectors."""
        return self.provenance["images"]

    @property
    def dimension(self):
        """Number of features an image, D."""
        return (self.features if self.features is not None else self.moments[1]).shape[1]

    @functools.cached_property
    def _moments(self):
        if self.moments is not None:
            return self.moments
        moments = Moments()
        moments.update(self.features)
        return moments.mean_and_covariance()

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
        """Writes an `.npz` that `Statistics.load` reads; the file appears whole or not at all."""
        header = json.dumps({"version": FILE_VERSION, **self.provenance}, sort_keys=True)
        arrays = {"header": np.frombuffer(header.encode(), "uint8")}
        if self.features is not None:
            arrays["features"] = self.features
        else:
            arrays["mean"], arrays["covariance"] = self.moments
        files.atomic_write(path, lambda file: np.savez(file, **arrays))

    @classmethod
    def load(cls, path, expected=None):
        """Reads a file that `save` wrote.

        Args:
            path: the file.
            expected: entries of the provenance that the file must have.

        Raises:
            ValueError: if the file is another one, or its provenance differs.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                found = json.loads(file["header"].tobytes().decode())
                arrays = {name: file[name] for name in file.files}
            features = arrays.get("features")
            moments = None if features is not None else (arrays["mean"], arrays["covariance"])
        except (OSError, KeyError, ValueError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(
                f"The file must be one of tools/reference_statistics. Received: {path} ({error})"
            ) from error
        version = found.pop("version", None)
        if version != FILE_VERSION:
            raise ValueError(
                f"The file must have version {FILE_VERSION}: make it again with "
                f"tools/reference_statistics. Received: {path} of version {version}"
            )
        wrong = provenance.differences(found, expected or {})
        if wrong:
            raise ValueError(
                "The statistics must be made of the same images in the same way: make them again "
                f"with tools/reference_statistics. Received: {path}, in which {'; '.join(wrong)}"
            )
        return cls(found, features, moments)


class Moments:
    """Mean and covariance of rows that arrive in any portions: float64, two passes within blocks.

    Rows are summed in blocks of fixed size, so that the portions change no bit of the result.
    """

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

    def mean_and_covariance(self):
        """Returns `(mean (D,), covariance (D, D))` of all rows; the covariance over N - 1."""
        if self._waiting_rows:  # the last, incomplete block
            self._add(np.concatenate(self._waiting))
            self._waiting, self._waiting_rows = [], 0
        if self.count < 2:
            raise ValueError(f"A covariance needs at least 2 rows. Received: {self.count}")
        return self._mean, self._scatter / (self.count - 1.0)

    def _add(self, rows):
        rows = rows.astype("float64")
        mean = rows.mean(axis=0)
        centred = rows - mean
        self._combine(len(rows), mean, centred.T @ centred)

    def _combine(self, count, mean, scatter):
        """Merges the moments of two disjoint sets (Chan, Golub and LeVeque 1979)."""
        if self.count:
            total = self.count + count
            shift = mean - self._mean
            scatter = scatter + self._scatter
            scatter += np.outer(shift, shift) * (self.count * count / total)
            mean = self._mean + shift * (count / total)
        self.count += count
        self._mean, self._scatter = mean, scatter


def compute(
    extractor, batches, *, crop=None, keep_features=True, max_images=None, progress=False, **known
):
    """Computes the statistics of images.

    Args:
        extractor: `keras_uai.metrics.extractors.Extractor`.
        batches: iterable of images `(N, H, W, C)` in [-1, 1], or of dicts with `"clean"`.
        crop: see `feature_images.windows`; None for whole images.
        keep_features: whether to keep every feature vector (4 D bytes an image), not only mean and
            covariance.
        max_images: number of images to use; None for all.
        progress: whether to show a progress bar.
        **known: entries of the provenance: `dataset`, `split`, `seed`, ...

    Returns:
        `Statistics`.
    """
    rows, moments, sizes, count = [], Moments(), set(), 0
    with bar(progress and extractor.name, max_images) as advance:
        for number, images in feature_images.of_batches(batches, crop, max_images):
            features = feature_images.extract(extractor, images)
            sizes |= {image.shape for image in images}
            count += len(images)
            if keep_features:
                rows.append(features)
            else:
                moments.update(features)
            advance(number)
    if not count:
        raise ValueError("Statistics need at least 2 images. Received: no image")
    size = feature_images.size_text(sizes)
    found = {**extractor.provenance(), "image_size": size, **known, "images": count}
    if keep_features:
        return Statistics(found, np.concatenate(rows))
    return Statistics(found, None, moments.mean_and_covariance() if count > 1 else None)


def content(batches, crop=None, max_images=None):
    """Returns `images`, `image_size` and `content`, a digest of the pixels.

    Args: see `compute`.
    """
    sha, count, sizes = hashlib.sha256(), 0, set()
    for _, images in feature_images.of_batches(batches, crop, max_images):
        count += len(images)
        for image in images:
            sizes.add(image.shape)
            steps = np.rint((np.nan_to_num(image).astype("float64") + 1.0) * 127.5)
            sha.update(steps.astype("int32").tobytes())
    if not count:
        raise ValueError("Statistics need at least 2 images. Received: no image")
    size = feature_images.size_text(sizes)
    return {"images": count, "image_size": size, "content": sha.hexdigest()[:12]}


def reference(
    directory, extractor, make_batches, *, crop=None, max_images=None, progress=False, **known
):
    """Returns statistics of reference images from a folder; they are made where they are missing.

    Args:
        directory: folder of the files, which `provenance.file_name` names.
        extractor: `keras_uai.metrics.extractors.Extractor`.
        make_batches: function without arguments that returns the batches, always in the same order.
            It is called twice if the file does not exist, since the name holds the pixels' digest.
        crop, max_images, progress: see `compute`.
        **known: entries of the provenance: `dataset`, `split`, `seed`, ...

    Returns:
        `(Statistics, path of the file)`.

    Raises:
        ValueError: if the file of that name was made of something else.
    """
    known |= content(make_batches(), crop, max_images)
    expected = {**extractor.provenance(), **known}
    path = os.path.join(directory, provenance.file_name(expected))
    if os.path.exists(path):
        return Statistics.load(path, expected), path
    options = {"crop": crop, "max_images": max_images, "progress": progress}
    known = {name: known[name] for name in known if name not in ("images", "image_size")}
    found = compute(extractor, make_batches(), **options, **known)
    wrong = provenance.differences(found.provenance, expected)
    if wrong:
        raise ValueError(
            "The images must be the same at every pass: load them without shuffling. "
            f"Received: {'; '.join(wrong)}"
        )
    found.save(path)
    return found, path
