"""Masks of whole images as bits: drawn once, remembered, and read a few rows at a time."""

import tempfile

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
    """The masks of whole images, remembered as bits once drawn: an image is damaged once.

    Drawing costs more than all else that is done to an image (DropPixel sorts its pixels), so from
    the second epoch on a batch is several times as fast.

    Args:
        measurement: a `Measurement`.
        indices: int64, ascending: the images.
        sizes: their heights and widths, `(N, 2)`.
        seed: integer.
        folder: where the images are on disk, their masks are too: in a file without a name, which
            goes when this does. None: in memory.
    """

    def __init__(self, measurement, indices, sizes, seed, folder=None):
        self.measurement = measurement
        self.indices = indices
        self.sizes = sizes
        self.seed = seed
        size = -(-sizes.prod(axis=1) * measurement.mask_channels // 8)
        self.ends = np.cumsum(size)
        if folder is None:
            self.packed = np.empty(int(self.ends[-1]), "uint8")
        else:
            with tempfile.TemporaryFile(dir=folder) as file:
                self.packed = np.memmap(file, "uint8", "w+", shape=int(self.ends[-1]))
        self.known = np.zeros(len(indices), bool)
        self._draw = _compiled(measurement.masks)

    def draw(self, chosen):
        """Draws the masks of those of `chosen` that are not known, equal sizes together."""
        places = np.searchsorted(self.indices, chosen)
        todo = np.unique(places[~self.known[places]])
        for size in {tuple(s) for s in self.sizes[todo].tolist()}:
            same = todo[(self.sizes[todo] == size).all(axis=1)]
            masks = self._draw(self.indices[same].astype("int64"), *size, self.seed)
            for place, mask in zip(same, masks, strict=True):
                packed = np.packbits(mask > 0.5)
                self.packed[self.ends[place] - len(packed) : self.ends[place]] = packed
                self.known[place] = True

    def mask(self, index, rows=slice(None)):
        """Returns bool `(h, W, M)` of some rows of a mask that was drawn."""
        place = int(np.searchsorted(self.indices, index))
        first = self.ends[place - 1] if place else 0
        shape = (*self.sizes[place].tolist(), self.measurement.mask_channels)
        return unpack(self.packed[first : self.ends[place]], shape, rows)


def _compiled(masks):
    """`measurement.masks` in NumPy, on the host's processor: drawing must not wait for the step."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        def draw(indices, height, width, seed):
            with tf.device("CPU:0"):
                return np.asarray(masks(indices, height, width, seed))

        return draw
    if backend != "jax":
        return lambda *arguments: keras.ops.convert_to_numpy(masks(*arguments))
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
