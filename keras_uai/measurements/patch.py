"""Patch(n, k): n patches of k x k pixels are kept, everything else is missing (section 3.2)."""

import math

import keras
import numpy as np
from keras import ops

from keras_uai import random
from keras_uai.measurements.base import THIN, Measurement, check_integer

_MOST_SQUARES = 1024  # that `thin` draws an image


@keras.saving.register_keras_serializable("keras_uai")
class Patch(Measurement):
    """Keeps `n` patches of `k` x `k` pixels; the paper's first masking process (section 3.2).

    The top left corner of each patch is uniform; a border of `border` pixels is never sampled.
    Patches may overlap.

    Args:
        n: number of patches.
        k: side of a patch, in pixels.
        border: width of the frame that is always missing, in pixels (the paper: 4, at 128 and 64
            pixels).
        tau: value of missing pixels.

    Example:

    >>> patch = keras_uai.measurements.Patch(90, 10)
    >>> patch.masks([0, 1, 2], 128, 128, seed=0).shape
    (3, 128, 128, 1)
    """

    def __init__(self, n, k, border=4, tau=0.0):
        super().__init__(tau)
        self.n = check_integer("Patch", "n", n, 1)
        self.k = check_integer("Patch", "k", k, 1)
        self.border = check_integer("Patch", "border", border, 0)

    def check(self, height, width):
        side = self.k + 2 * self.border
        if height < side or width < side:
            raise ValueError(
                f"Patch: a patch of {self.k} x {self.k} pixels inside a border of {self.border} "
                f"needs images of at least {side} x {side} pixels. Use a smaller `k` or `border`, "
                f"or larger images. Received: k={self.k}, border={self.border}, image size "
                f"{height} x {width}"
            )

    def sample(self, keys, height, width):
        return self._cover(keys, self.n, height, width)

    def thin(self, mask, keys, fraction):
        """Hides the observed pixels under random squares that cover about `fraction` of them.

        Squares of the patches' side, or of half of it where so few patches are observed (under 8)
        that one square would hide all of them or nothing. A pixel escapes m squares with
        probability `(1 - p)^m`, p depending on its place; m is drawn for each image so that this
        is `1 - fraction` in the geometric mean over its observed pixels. More than 0.95 counts as 0.95.
        """
        height, width = mask.shape[1:3]
        area = (height - 2 * self.border) * (width - 2 * self.border)
        side = self.k if self.n >= 8 else -(-self.k // 2)
        # Not so small that it takes more than _MOST_SQUARES to hide 95%, nor half the image.
        side = max(side, math.ceil(math.sqrt(-math.log(0.05) * area / _MOST_SQUARES)))
        side = max(1, min(side, (min(height, width) - 2 * self.border) // 3))
        rows, columns = (self._covered_share(size, side) for size in (height, width))
        escape = np.log1p(-np.outer(rows, columns)).astype("float32")[None, :, :, None]
        escape = ops.sum(mask * escape, axis=(1, 2, 3)) / (ops.sum(mask, axis=(1, 2, 3)) + 1e-6)
        most = math.ceil(math.log(0.05) / math.log1p(-side * side / area))
        wanted = ops.log(1.0 - ops.clip(ops.cast(fraction, "float32"), 0.0, 0.95))
        wanted = ops.minimum(wanted / ops.minimum(escape, -1e-6), most)
        hidden = self._cover(random.fold_in(keys, THIN), most, height, width, side, wanted)
        return mask * ops.cast(1.0 - hidden, mask.dtype)

    def _covered_share(self, size, side):
        """The share of the intervals of length `side` that cover each of `size` positions."""
        corners = np.arange(self.border, size - self.border - side + 1)
        positions = np.arange(size)[:, None]
        return ((positions >= corners) & (positions < corners + side)).mean(1)

    def _cover(self, keys, n, height, width, side=None, wanted=None):
        """1 under `n` random squares a key, `(N, height, width, 1)`.

        With `wanted`, floats `(N,)`, only so many of the n squares count, on average.
        """
        side = side or self.k
        u = random.uniform(keys, (3, n))
        free = np.array([height, width], dtype="float32") - 2 * self.border - side + 1
        top = ops.floor(u[:, 0] * free[0]) + self.border
        left = ops.floor(u[:, 1] * free[1]) + self.border
        rows = _interval(top, side, height)
        columns = _interval(left, side, width)
        if wanted is not None:
            # Rounded up or down at random: the mean is right also where less than one is wanted.
            count = ops.floor(wanted[:, None] + u[:, 2, :1])
            counts = ops.cast(np.arange(n, dtype="float32")[None, :] < count, "float32")
            rows = rows * counts[:, :, None]
        hits = ops.matmul(ops.transpose(rows, (0, 2, 1)), columns)
        return ops.cast(hits > 0.5, "float32")[..., None]

    def get_config(self):
        return {"n": self.n, "k": self.k, "border": self.border, **super().get_config()}


def _interval(start, length, size):
    """1 at positions in [start, start + length), `(N, n, size)`."""
    position = np.arange(size, dtype="float32")[None, None, :]
    start = start[:, :, None]
    return ops.cast(ops.logical_and(position >= start, position < start + length), "float32")
