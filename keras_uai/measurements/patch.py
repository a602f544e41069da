"""Patch(n, k): n patches of k x k pixels are kept, everything else is missing (section 3.2)."""

import keras
import numpy as np
from keras import ops

from keras_uai import random
from keras_uai.measurements.base import Measurement, check_integer


@keras.saving.register_keras_serializable("keras_uai")
class Patch(Measurement):
    """Keeps `n` patches of `k` x `k` pixels; the paper's first masking process (section 3.2).

    The top left corner of each patch is uniform; a border of `border` pixels is never sampled. Patches may overlap.

    Args:
        n: number of patches.
        k: side of a patch, in pixels.
        border: width of the frame that is always missing, in pixels (the paper: 4, at 128 and 64 pixels).
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
                f"Patch: a patch of {self.k} x {self.k} pixels inside a border of {self.border} needs images of at "
                f"least {side} x {side} pixels. Received: k={self.k}, border={self.border}, image size "
                f"{height} x {width}. Use a smaller `k` or `border`, or larger images."
            )

    def sample(self, keys, height, width):
        return self._cover(keys, self.n, height, width)

    def thin(self, mask, keys, fraction):
        """Hides the observed pixels under a few patches, or under one side of a cut where few patches are observed.

        Patches cover a pixel with probability `1 - (1 - k^2 / HW)^m`; `m` is drawn so that this is `fraction` on
        average. One patch alone would mostly be hidden whole or not at all, so the hiding patches have half the side.
        """
        height, width = mask.shape[1:3]
        side = max(1, self.k // 2) if self.n < 8 else self.k
        probability = side * side / max(1, (height - 2 * self.border) * (width - 2 * self.border))
        fraction = ops.cast(fraction, "float32") + ops.zeros_like(mask[:, 0, 0, 0])
        wanted = ops.log(1.0 - ops.clip(fraction, 0.0, 0.95)) / float(np.log1p(-min(probability, 0.95)))
        most = int(np.ceil(np.log(0.05) / np.log1p(-min(probability, 0.95))))
        hidden = self._cover(keys, most, height, width, side, wanted)
        return mask * ops.cast(1.0 - hidden, mask.dtype)

    def _cover(self, keys, n, height, width, side=None, wanted=None):
        """1 under `n` random squares a key, `(N, height, width, 1)`; with `wanted` `(N,)` only about so many count."""
        side = side or self.k
        u = random.uniform(keys, (3, n))
        free = np.array([height, width], dtype="float32") - 2 * self.border - side + 1
        top = ops.floor(u[:, 0] * free[0]) + self.border
        left = ops.floor(u[:, 1] * free[1]) + self.border
        rows = _interval(top, side, height)
        columns = _interval(left, side, width)
        if wanted is not None:
            # Rounded up or down at random, so that the mean is right also where less than one patch is wanted.
            count = ops.floor(wanted[:, None] + u[:, 2, :1])
            rows = rows * ops.cast(np.arange(n, dtype="float32")[None, :] < count, "float32")[:, :, None]
        hits = ops.matmul(ops.transpose(rows, (0, 2, 1)), columns)
        return ops.cast(hits > 0.5, "float32")[..., None]

    def get_config(self):
        return {"n": self.n, "k": self.k, "border": self.border, **super().get_config()}


def _interval(start, length, size):
    """1 at positions in [start, start + length), `(N, n, size)`."""
    position = np.arange(size, dtype="float32")[None, None, :]
    start = start[:, :, None]
    return ops.cast(ops.logical_and(position >= start, position < start + length), "float32")
