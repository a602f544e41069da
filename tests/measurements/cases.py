"""Measurements that several tests use, and what two backends must draw alike.

Runs without TensorFlow.
"""

import zlib

import numpy as np

from keras_uai import random
from keras_uai.measurements import DropPixel, Empirical, Patch, split_mask

BANK = np.random.default_rng(0).integers(0, 2, (7, 16, 24))
CHANNELS = np.random.default_rng(1).integers(0, 2, (4, 16, 24, 3))
MIXED = [
    np.random.default_rng(i).integers(0, 2, size) for i, size in enumerate([(9, 40), (31, 25)])
]
ALL = [DropPixel(0.7), Patch(3, 5, border=2), Patch(12, 3, border=1), Empirical(BANK)]
MORE = [*ALL, Empirical(CHANNELS), Empirical(MIXED)]


def checksum(values):
    return zlib.crc32(np.array(values).astype("uint8").tobytes())


def checksums():
    """Of the masks of each of `MORE`, and of what splitting leaves of them."""
    keys, found = random.key(1, np.arange(16)), []
    for measurement in MORE:
        mask = measurement.masks(np.arange(16), 16, 24)
        seen = split_mask(measurement, mask, keys, (0.1, 0.5), 0.5, 0.1)
        found += [checksum(mask), checksum(seen)]
    return found
