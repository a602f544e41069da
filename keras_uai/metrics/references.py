"""The cache of reference statistics: one file for images and extractor, named after both."""

import hashlib
import os

import numpy as np

from keras_uai.metrics import checks, stamps
from keras_uai.metrics.statistics import Statistics, compute


def content(batches, max_images=None):
    """What images are, for stamps: `images`, `image_size` and `content`, a digest of their pixels.

    Args:
        batches: iterable of images `(N, H, W, C)` in [-1, 1], or of dicts with `"clean"`.
        max_images: stop after so many.
    """
    sha, count, size = hashlib.sha256(), 0, None
    for batch in batches:
        images = checks.images("images", batch["clean"] if isinstance(batch, dict) else batch)
        images = images[: None if max_images is None else max_images - count]
        size = size or images.shape[1:]
        count += len(images)
        eight_bits = np.clip(np.rint((images.astype("float64") + 1.0) * 127.5), 0, 255)
        sha.update(eight_bits.astype("uint8").tobytes())
        if count == max_images:
            break
    if not count:
        raise ValueError("There is no image to make statistics of. Received: no image")
    size = "x".join(map(str, size))
    return {"images": count, "image_size": size, "content": sha.hexdigest()[:12]}


def reference(directory, extractor, make_batches, *, max_images=None, progress=False, **stamp):
    """Statistics of reference images from the cache in `directory`, made where they are missing.

    Args:
        directory: folder of the cache; files are named by `stamps.file_name`.
        extractor: `keras_uai.metrics.extractors.Extractor`.
        make_batches: callable without arguments that returns the batches (see `content`); called
            twice where the file does not exist: the images themselves are part of its name.
        max_images: use so many.
        progress: whether to show a progress bar.
        **stamp: `dataset`, `split`, `seed`, and whatever else the images owe their selection to.

    Returns:
        `(Statistics, path of the file)`.

    Raises:
        ValueError: where the file of that name was made from something else.
    """
    expected = {**extractor.stamp(), **stamp, **content(make_batches(), max_images)}
    path = os.path.join(directory, stamps.file_name(expected))
    if os.path.exists(path):
        return Statistics.load(path, expected), path
    found = compute(
        extractor,
        make_batches(),
        max_images=max_images,
        progress=progress,
        **stamp,
        content=expected["content"],
    )
    wrong = stamps.differences(found.stamp, expected)
    if wrong:
        raise ValueError(
            "The images changed from one pass to the next: load them without shuffling or "
            f"repetition. Received: {'; '.join(wrong)}"
        )
    found.save(path)
    return found, path
