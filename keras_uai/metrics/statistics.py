"""Features of sets of images, with their provenance: the second step of a distance.

An extractor sees images at a fixed size. Large images would be shrunk, and their details lost.
Features of these are of windows around their damage.
"""

import dataclasses
import functools
import hashlib
import json
import os
import re

import numpy as np

from keras_uai import files
from keras_uai.metrics import checks
from keras_uai.metrics.batches import unpacked
from keras_uai.progress import bar

CROP = 64  # pixels
WHOLE_UP_TO = 128  # pixels; images with a larger side are cropped
WINDOWS = 8  # of each large image
_STREAM = 0x43524F50  # separates the windows' random numbers from others
_BLOCK = 4096  # rows


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Features of a set of images, and their provenance.

    Args:
        provenance: dict of JSON-able values: `extractor`, `weights` (their digest), `resize`,
            `image_size`, `dataset`, `split`, `seed`, `images` (number of feature vectors), others.
        features: float32 `(N, D)`, N at least 2.
    """

    provenance: dict
    features: np.ndarray

    def __post_init__(self):
        if self.count < 2:
            raise ValueError(f"A covariance needs at least 2 images. Received: images={self.count}")

    @property
    def count(self):
        """Number of feature vectors."""
        return len(self.features)

    @property
    def dimension(self):
        """Number of features an image, D."""
        return self.features.shape[1]

    @functools.cached_property
    def mean(self):
        """`(D,)` float64."""
        return self.features.mean(axis=0, dtype="float64")

    @functools.cached_property
    def factor(self):
        """X `(at most D, D)` float64 with covariance = X^T X, divided by N - 1.

        It is the centred features or, of more images than dimensions, R of their decomposition QR.
        """
        rows = np.empty((0, self.dimension))
        for start in range(0, self.count, _BLOCK):
            rows = np.concatenate([rows, self.features[start : start + _BLOCK] - self.mean])
            if len(rows) > self.dimension:
                rows = np.linalg.qr(rows, mode="r")
        return rows / np.sqrt(self.count - 1.0)

    def save(self, path):
        """Writes an `.npz` file for `Statistics.load`, whole or not at all."""
        save_arrays(path, self.provenance, {"features": self.features})

    @classmethod
    def load(cls, path, expected=None):
        """Reads a file that `save` wrote.

        Raises:
            ValueError: if the file is another one, or its provenance differs from the dict
                `expected`.
        """
        found, arrays = load_arrays(path, "one of tools/reference_statistics", "features")
        if wrong := differences(found, expected or {}):
            raise ValueError(
                "The statistics must be made of the same images in the same way: make them again "
                f"with tools/reference_statistics. Received: {path}, in which {'; '.join(wrong)}"
            )
        return cls(found, arrays["features"])


def compute(extractor, batches, *, crop=None, progress=False, **known):
    """Computes the statistics of images.

    Args:
        extractor: `keras_uai.metrics.extractors.Extractor`.
        batches: iterable of images `(N, H, W, C)` in [-1, 1], or of dicts with `"clean"`, and
            `"mask"` for windows around missing pixels.
        crop: see `windows`; None for whole images.
        progress: whether to show a progress bar.
        **known: entries of the provenance: `dataset`, `split`, `seed`, ...

    Returns:
        `Statistics`.
    """
    features, sizes = [], set()
    with bar(progress and extractor.name) as shown:
        for count, parts in _parts(batches, crop):
            features.append(extract(extractor, parts))
            sizes.add(parts.shape[1:])
            shown.update(count)
    features = np.concatenate(features)
    found = {"image_size": size_text(sizes), **known, "images": len(features)}
    return Statistics({**extractor.provenance(), **found}, features)


def content(batches, crop=None):
    """Returns `images`, `image_size` and `content`, a digest of the pixels; see `compute`."""
    sha, count, sizes = hashlib.sha256(), 0, set()
    for _, parts in _parts(batches, crop):
        count += len(parts)
        sizes.add(parts.shape[1:])
        sha.update(np.rint((parts.astype("float64") + 1.0) * 127.5).astype("int32").tobytes())
    return {"images": count, "image_size": size_text(sizes), "content": sha.hexdigest()[:12]}


def reference(directory, extractor, batches, *, crop=None, progress=False, **known):
    """Returns statistics of reference images from a folder; they are made where they are missing.

    Args:
        directory: folder of the files, which are named by all that they depend on.
        extractor, crop, progress, **known: see `compute`.
        batches: see `compute`; iterated twice if the file does not exist, since its name holds the
            digest of the pixels.

    Returns:
        `(Statistics, path of the file)`.
    """
    known |= content(batches, crop)
    expected = {**known, **extractor.provenance()}
    name = re.sub(r"[^\w.-]+", "_", "-".join(map(str, expected.values())))
    path = os.path.join(directory, f"{name}.npz")
    if os.path.exists(path):
        return Statistics.load(path, expected), path
    found = compute(extractor, batches, crop=crop, progress=progress, **known)
    found.save(path)
    return found, path


def differences(provenance, expected):
    """Returns the differences between a provenance and the expected entries, as texts."""
    return [
        f"{name} is {provenance.get(name)!r} and not {value!r}"
        for name, value in expected.items()
        if provenance.get(name) != value
    ]


def save_arrays(path, header, arrays):
    """Writes a JSON-able dict and named arrays as `.npz`, whole or not at all."""
    header = np.frombuffer(json.dumps(header, sort_keys=True).encode(), "uint8")
    files.atomic_write(path, lambda file: np.savez(file, header=header, **arrays))


def load_arrays(path, kind, *names):
    """Returns `(header, arrays)` that `save_arrays` wrote.

    Raises:
        ValueError: if the file is no such file, or has no array or entry of the header of one of
            the `names`; it says that the file must be `kind`.
    """
    try:
        arrays = files.read_arrays(path)
        header = json.loads(arrays["header"].tobytes())
        if missing := set(names) - {*header, *arrays}:
            raise ValueError(f"it has no {', '.join(sorted(missing))}")
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"The file must be {kind}. Received: {path} ({error})") from error
    return header, arrays


# -- features --------------------------------------------------------------------------------------


def windows(masks, first, crop, known=None):
    """Returns the parts of images that features are extracted from.

    They are a function of the masks `(N, H, W, M)` and of the images' positions in their data set,
    so that all methods are compared on the same ones.

    Args:
        first: position of the first image.
        crop: side of the windows in pixels, for images of more than `WHOLE_UP_TO` (and `crop`)
            pixels; they are centred on missing pixels chosen at random. None: images stay whole.
        known: like `masks`, 1 where the pixels are to be scored; None for everywhere.

    Returns:
        List of indices `(image, rows, columns)` into `(N, H, W, C)`; the parts have one size.
    """
    height, width = masks.shape[1:3]
    if not crop or max(height, width) <= max(crop, WHOLE_UP_TO):
        return [(image, slice(None), slice(None)) for image in range(len(masks))]
    missing = (masks <= 0.5).any(axis=-1)
    if known is not None:
        missing &= (known > 0.5).all(axis=-1)
    found = []
    for image, holes in enumerate(missing):
        centres = np.flatnonzero(holes) if holes.any() else np.arange(holes.size)
        chosen = np.random.default_rng((_STREAM, first + image)).choice(centres, WINDOWS)
        rows, columns = np.divmod(chosen, width)
        tops = np.clip(rows - crop // 2, 0, max(height - crop, 0)).tolist()
        lefts = np.clip(columns - crop // 2, 0, max(width - crop, 0)).tolist()
        for top, left in zip(tops, lefts, strict=True):
            found.append((image, slice(top, top + crop), slice(left, left + crop)))
    return found


def extract(extractor, images):
    """Returns the features `(N, D)` of images `(N, h, w, C)`, a portion at a time."""
    features = []
    for start in range(0, len(images), extractor.chunk):
        features.append(extractor(images[start : start + extractor.chunk]))
    return np.concatenate(features)


def size_text(sizes):
    """Returns the one size of some images as text, such as `"64x64x3"`, or `"mixed"`."""
    return "x".join(map(str, next(iter(sizes)))) if len(sizes) == 1 else "mixed"


def _parts(batches, crop):
    """Yields the number of images of each batch, and their parts `(n, h, w, C)`."""

    def observed(batch):
        """Images without observations count as observed everywhere."""
        given = batch if isinstance(batch, dict) else {"clean": batch}
        if "observation" in given:
            return given
        images = checks.images("clean", given["clean"], bounded=False)
        return {"observation": images, "mask": np.ones((*images.shape[:3], 1)), **given}

    position = 0
    for batch in unpacked(map(observed, batches)):
        images, mask = batch["clean"], batch["mask"]
        found = windows(mask, position, crop, batch["known"])
        yield len(images), np.stack([images[part] for part in found])
        position += len(images)
    if not position:
        raise ValueError("Statistics need at least 2 images. Received: no image")
