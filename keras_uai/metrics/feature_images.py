"""Images for feature extractors: small images whole, crops around the damage of large ones."""

import itertools

import numpy as np

from keras_uai.metrics import checks
from keras_uai.metrics.batches import unpacked

WHOLE_UP_TO = 128  # pixels; images with a larger side are cropped
CROPS = 8  # of each large image
_STREAM = 0x43524F50  # separates the crops' random numbers from others


def windows(mask, index, crop, known=None):
    """Returns the parts of an image that features are extracted from, as pairs of slices.

    An extractor sees images at a fixed size. Large images would be shrunk, and their details lost.

    Args:
        mask: `(H, W, M)`, 1 = observed.
        index: integer, position of the image in its data set. The windows are a function of it and
            of the mask, so that all methods are compared on the same ones.
        crop: side of the windows in pixels, for images of more than `WHOLE_UP_TO` (and `crop`)
            pixels; they are centred on missing pixels chosen at random. None: images stay whole.
        known: like `mask`, 1 where the pixels are to be scored; None for everywhere.
    """
    height, width = mask.shape[:2]
    if not crop or max(height, width) <= max(crop, WHOLE_UP_TO):
        return [(slice(None), slice(None))]
    missing = (mask <= 0.5).any(axis=-1)
    if known is not None:
        missing &= (known > 0.5).all(axis=-1)
    generator = np.random.default_rng((_STREAM, index))
    centres = np.flatnonzero(missing) if missing.any() else np.arange(missing.size)
    rows, columns = np.divmod(generator.choice(centres, CROPS), width)
    tops = np.clip(rows - crop // 2, 0, max(height - crop, 0)).tolist()
    lefts = np.clip(columns - crop // 2, 0, max(width - crop, 0)).tolist()
    return [
        (slice(top, top + crop), slice(left, left + crop))
        for top, left in zip(tops, lefts, strict=True)
    ]


def of_batches(batches, crop=None, max_images=None):
    """Yields `(number of images, their parts)` of each batch.

    Args:
        batches: iterable of images `(N, H, W, C)` in [-1, 1], or of dicts with `"clean"`, and
            `"mask"` for windows around missing pixels.
        crop: see `windows`.
        max_images: number of images to use; None for all.

    Yields:
        An integer, and a list of arrays `(h, w, C)`: whole images, or windows of them.
    """
    index = 0
    for batch in unpacked(map(_as_observed, batches), max_images=max_images):
        images = batch["clean"]
        yield len(images), parts(images, batch["mask"], index, crop, batch["known"])[1]
        index += len(images)


def _as_observed(batch):
    """A batch of images, or of a dict without observations, as if all was observed."""
    if isinstance(batch, dict) and "observation" in batch:
        return batch
    images = checks.to_numpy(batch["clean"] if isinstance(batch, dict) else batch)
    given = batch if isinstance(batch, dict) else {}
    return {
        "observation": images,
        "clean": images,
        "mask": np.ones((*images.shape[:3], 1)),
        **given,
    }


def parts(images, masks, first, crop, known=None):
    """Returns the windows of images `(N, H, W, C)`, of which the first has the index `first`.

    Returns:
        A list of integers, the image of each window; and a list of arrays `(h, w, C)`.
    """
    rows, found = [], []
    for i, image in enumerate(images):
        for window in windows(masks[i], first + i, crop, None if known is None else known[i]):
            rows.append(first + i)
            found.append(image[window])
    return rows, found


def extract(extractor, images):
    """Returns the features `(N, D)` of a list of images `(h, w, C)` that may differ in size."""
    features = []
    for _, group in itertools.groupby(images, key=np.shape):
        group = list(group)
        for start in range(0, len(group), extractor.chunk):
            features.append(extractor(np.stack(group[start : start + extractor.chunk])))
    return np.concatenate(features)


def size_text(sizes):
    """Returns the one size of some images as text, such as `"64x64x3"`, or `"mixed"`."""
    return "x".join(map(str, next(iter(sizes)))) if len(sizes) == 1 else "mixed"
