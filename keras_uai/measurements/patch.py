"""Patch(n, k): n patches of k x k pixels are kept, everything else is missing (section 3.2)."""

import math

import keras
import numpy as np
from keras import ops

from keras_uai import random, rng_streams
from keras_uai.checks import check_integer
from keras_uai.measurements.base import Measurement

_MOST_SQUARES = 1024  # drawn per image by `split`
_MOST_SHARE = 0.95  # hidden by `split`


@keras.saving.register_keras_serializable("keras_uai")
class Patch(Measurement):
    """Keeps `n` patches of `k` x `k` pixels; the paper's first masking process (section 3.2).

    The top left corner of each patch is uniform. A border of `border` pixels is never sampled.
    Patches may overlap. `n` counts the patches of a whole image, whatever its size.

    Args:
        n: Integer, the number of patches.
        k: Integer, the side of a patch in pixels.
        border: Integer, the width in pixels of the frame that is always missing. Defaults to 4,
            the paper's value for images of 64 and 128 pixels.
        tau: Float, the value of missing pixels in network units. Defaults to 0.0.

    Example:

    >>> patch = keras_uai.measurements.Patch(90, 10)
    >>> tuple(patch.masks([0, 1, 2], 128, 128, seed=0).shape)
    (3, 128, 128, 1)
    """

    def __init__(self, n, k, border=4, tau=0.0):
        super().__init__(tau)
        self.n = check_integer("Patch", "n", n, 1)
        self.k = check_integer("Patch", "k", k, 1)
        self.border = check_integer("Patch", "border", border, 0)

    def check(self, height, width):
        side = self.k + 2 * self.border
        if any(size is not None and size < side for size in (height, width)):
            raise ValueError(
                f"Patch: images must have at least {side} x {side} pixels. Received: k={self.k}, "
                f"border={self.border}, image size {height} x {width}"
            )

    def sample(self, keys, height, width):
        return _cover(keys, self.n, self.k, self.border, height, width)

    def split(self, mask, keys, fraction):
        """Hides the observed pixels under random squares that cover about `fraction` of them.

        The squares have the side of the patches, or half of it with fewer than 8 patches, since one
        square would often hide all or nothing. A pixel escapes m squares with probability
        `(1 - p)^m`, where p depends on its place. For each image, m is drawn so that the geometric
        mean of these probabilities over the observed pixels is `1 - fraction`, at most 0.95.
        """
        height, width = mask.shape[1:3]
        border = min(self.border, (min(height, width) - 1) // 2)  # of a crop, some is left
        area = (height - 2 * border) * (width - 2 * border)
        side = self.k if self.n >= 8 else -(-self.k // 2)
        # Large enough that _MOST_SQUARES hide _MOST_SHARE, and at most a third of the image.
        side = max(side, math.ceil(math.sqrt(-math.log(1 - _MOST_SHARE) * area / _MOST_SQUARES)))
        side = max(1, min(side, (min(height, width) - 2 * border) // 3))
        rows, columns = (_covered_share(size, side, border) for size in (height, width))
        escape = np.log1p(-np.minimum(np.outer(rows, columns), _MOST_SHARE)).astype("float32")
        escape = ops.sum(mask * escape[None, :, :, None], axis=(1, 2, 3))
        escape = escape / (ops.sum(mask, axis=(1, 2, 3)) + 1e-6)
        covered = min(side * side / area, _MOST_SHARE)
        most = math.ceil(math.log(1 - _MOST_SHARE) / math.log1p(-covered))
        wanted = ops.log(1.0 - ops.clip(ops.cast(fraction, "float32"), 0.0, _MOST_SHARE))
        wanted = ops.minimum(wanted / ops.minimum(escape, -1e-6), most)
        keys = random.fold_in(keys, rng_streams.SPLIT_PIXELS)
        hidden = _cover(keys, most, side, border, height, width, wanted)
        return mask * ops.cast(1.0 - hidden, mask.dtype)

    def get_config(self):
        return {"n": self.n, "k": self.k, "border": self.border, **super().get_config()}


def _cover(keys, n, side, border, height, width, wanted=None):
    """Returns 1 under `n` random squares per key, `(N, height, width, 1)`.

    With `wanted`, floats `(N,)`, only so many of the n squares count, on average.
    """
    u = random.uniform(keys, (3, n))
    free = np.array([height, width], dtype="float32") - 2 * border - side + 1
    top = ops.floor(u[:, 0] * free[0]) + border
    left = ops.floor(u[:, 1] * free[1]) + border
    rows = _interval(top, side, height)
    columns = _interval(left, side, width)
    if wanted is not None:
        # Rounded up or down at random: the mean is right also where less than one is wanted.
        count = ops.floor(wanted[:, None] + u[:, 2, :1])
        counts = ops.cast(np.arange(n, dtype="float32")[None, :] < count, "float32")
        rows = rows * counts[:, :, None]
    hits = ops.matmul(ops.transpose(rows, (0, 2, 1)), columns)
    return ops.cast(hits > 0.5, "float32")[..., None]


def _covered_share(size, side, border):
    """The share of the intervals of length `side` that cover each of `size` positions."""
    corners = np.arange(border, size - border - side + 1)
    positions = np.arange(size)[:, None]
    return ((positions >= corners) & (positions < corners + side)).mean(1)


def _interval(start, length, size):
    """1 at positions in [start, start + length), `(N, n, size)`."""
    position = np.arange(size, dtype="float32")[None, None, :]
    start = start[:, :, None]
    return ops.cast(ops.logical_and(position >= start, position < start + length), "float32")
