"""DropPixel(p): a fraction p of the pixels is missing, all channels together (section 3.2)."""

import numbers

import keras
from keras import ops

from keras_uai import random
from keras_uai.measurements.base import Measurement


@keras.saving.register_keras_serializable("keras_uai")
class DropPixel(Measurement):
    """Drops exactly `round(p * H * W)` pixels, chosen uniformly (section 3.2).

    Args:
        p: fraction of missing pixels, in [0, 1).
        tau: value of missing pixels.

    Example:

    >>> drop_pixel = keras_uai.measurements.DropPixel(0.9)
    >>> float(drop_pixel.masks([0], 32, 32).sum())  # 1024 - round(0.9 * 1024)
    102.0
    """

    def __init__(self, p, tau=0.0):
        super().__init__(tau)
        if isinstance(p, bool) or not isinstance(p, numbers.Real) or not 0 <= p < 1:
            raise ValueError(
                "DropPixel: `p`, the fraction of missing pixels, must lie in [0, 1). "
                f"Received: p={p!r}"
            )
        self.p = float(p)

    def check(self, height, width):
        if round(self.p * height * width) >= height * width:
            raise ValueError(
                f"DropPixel: p={self.p} leaves no pixel of an image of {height} x {width}. "
                f"Use a smaller `p`. Received: p={self.p}"
            )

    def sample(self, keys, height, width):
        size = height * width
        missing = round(self.p * size)
        u = random.uniform(keys, (size,))
        if 2 * missing > size:  # then few are observed: the highest are found faster
            observed = ops.flip(_lowest(ops.flip(1.0 - u, axis=-1), size - missing), axis=-1)
        else:
            observed = 1.0 - _lowest(u, missing)
        return ops.reshape(observed, (-1, height, width, 1))

    def get_config(self):
        return {"p": self.p, **super().get_config()}


def _lowest(u, count):
    """1.0 on exactly the `count` lowest values of each row of `u`; of equal values, the first ones."""
    if not count:
        return ops.zeros_like(u)
    greatest = -ops.top_k(-u, count)[0][:, -1:]
    below, ties = ops.cast(u < greatest, u.dtype), ops.cast(u == greatest, u.dtype)
    left = count - ops.sum(below, axis=-1, keepdims=True)
    return below + ties * ops.cast(ops.cumsum(ties, axis=-1) <= left, u.dtype)
