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
        p: Float in [0, 1), the fraction of missing pixels.
        tau: Float, the value of missing pixels in network units. Defaults to 0.0.

    Example:

    >>> drop_pixel = keras_uai.measurements.DropPixel(0.9)
    >>> float(np.sum(drop_pixel.masks([0], 32, 32)))  # 1024 - round(0.9 * 1024)
    102.0
    """

    def __init__(self, p, tau=0.0):
        super().__init__(tau)
        if isinstance(p, bool) or not isinstance(p, numbers.Real) or not 0 <= p < 1:
            raise ValueError(
                f"DropPixel: `p` must be a fraction of the pixels, in [0, 1). Received: p={p!r}"
            )
        self.p = float(p)

    def check(self, height, width):
        if height and width and round(self.p * height * width) >= height * width:
            raise ValueError(
                f"DropPixel: `p` must leave a pixel of {height} x {width}. Received: p={self.p}"
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
    """Returns 1.0 at exactly the `count` lowest values of each row of `u`; ties go to the first."""
    if not count:
        return ops.zeros_like(u)
    greatest = -ops.top_k(-u, count)[0][:, -1:]
    below, ties = u < greatest, ops.cast(u == greatest, "int32")
    left = count - ops.sum(ops.cast(below, "int32"), axis=-1, keepdims=True)
    first_ties = ops.logical_and(ties > 0, ops.cumsum(ties, axis=-1) <= left)
    return ops.cast(ops.logical_or(below, first_ties), u.dtype)
