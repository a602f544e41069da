"""The cache of reference statistics: one file for images and extractor, named after both."""

import os

from keras_uai.metrics import stamps
from keras_uai.metrics.statistics import Statistics, compute


def reference(directory, extractor, make_batches, *, image_size, images, progress=False, **stamp):
    """Statistics of reference images from the cache in `directory`, made where they are missing.

    Args:
        directory: folder of the cache; files are named by `stamps.file_name`.
        make_batches: callable without arguments that returns the batches; called where the file
            does not exist.
        image_size: `(H, W, C)` of the images.
        images: how many there are.
        **stamp: see `compute`.
    """
    expected = {
        **extractor.stamp(),
        "image_size": "x".join(map(str, image_size)),
        **stamp,
        "images": images,
    }
    path = os.path.join(directory, stamps.file_name(expected))
    if os.path.exists(path):
        return Statistics.load(path, expected)
    found = compute(extractor, make_batches(), max_images=images, progress=progress, **stamp)
    wrong = stamps.differences(found.stamp, expected)
    if wrong:
        raise ValueError(
            f"The reference images are not those that were asked for. Received: {'; '.join(wrong)}"
        )
    found.save(path)
    return found
