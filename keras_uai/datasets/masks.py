"""Masks of whole images as bits: drawn once, kept in memory, and read a few rows at a time."""

import keras
import numpy as np


def unpack(packed, shape, rows=slice(None)):
    """Returns some rows of a bool `(H, W, M)` that was packed to bits."""
    height, width, channels = shape
    start, stop, _ = rows.indices(height)
    first, last = start * width * channels, stop * width * channels
    flat = np.unpackbits(packed[first // 8 : -(-last // 8)])[first % 8 :][: last - first]
    return flat.reshape(stop - start, width, channels).astype(bool)


class DrawnMasks:
    """The masks of whole images, kept as bits once drawn: an image is damaged once.

    Drawing costs more than everything else that is done to an image (DropPixel sorts its pixels),
    so from the second epoch on a batch is several times as fast.

    Args:
        measurement: a `Measurement`.
        seed: integer.
    """

    def __init__(self, measurement, seed):
        self.measurement = measurement
        self.seed = seed
        self.packed = {}
        self._draw = _compiled(measurement.masks)

    def draw(self, indices, sizes):
        """Draws the masks of those of `indices` that are not known, equal sizes together."""
        todo = {int(i): tuple(s) for i, s in zip(indices, sizes.tolist(), strict=True)}
        todo = {index: size for index, size in todo.items() if index not in self.packed}
        for size in set(todo.values()):
            same = np.array([index for index in todo if todo[index] == size])
            for index, mask in zip(same, self._draw(same, *size, self.seed), strict=True):
                self.packed[int(index)] = np.packbits(mask > 0.5)

    def mask(self, index, size, rows=slice(None)):
        """Returns bool `(h, W, M)` of some rows of a mask that was drawn, of `size` `(H, W)`."""
        return unpack(self.packed[int(index)], (*size, self.measurement.mask_channels), rows)


def _compiled(masks):
    """`measurement.masks` in NumPy, on the host's processor: drawing must not wait for the step."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def draw(indices, height, width, seed):
            with tf.device("CPU:0"):
                return np.asarray(masks(indices, height, width, seed))

        return draw
    import jax

    compiled = jax.jit(masks, static_argnums=(1, 2, 3))
    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # only the accelerator's platform is enabled
        host = None

    def draw_on_host(indices, *size_and_seed):
        count = len(indices)
        more = (1 << (count - 1).bit_length()) - count  # so that few sizes are compiled
        with jax.default_device(host):
            masks = compiled(np.pad(indices, (0, more), "edge"), *size_and_seed)
            return np.asarray(masks)[:count]

    return draw_on_host
