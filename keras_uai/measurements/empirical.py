"""Empirical: the masks of a data set are the distribution, for damage that is not known."""

import functools

import keras
import numpy as np
from keras import ops

from keras_uai import random, rng_streams
from keras_uai.measurements import packing
from keras_uai.measurements.base import Measurement, per_image
from keras_uai.measurements.splitting import TRIES

#: Default limits of a bank: it travels with a saved model at 1 bit per value, before compression.
MAX_MASKS = 2048
MAX_PIXELS = 2**25


@keras.saving.register_keras_serializable("keras_uai")
class Empirical(Measurement):
    """Draws masks from those observed in a data set: nothing about the damage has to be known.

    The paper assumes p_M known. MisGAN learns it with a generator of its own. Where mask and image
    are independent, as both assume, resampling the observed masks is simpler and exact.

    Masks may differ in size. `sample` draws a mask, and a window of the wanted size at a random
    place in it. A mask of exactly that size is returned whole. A smaller mask is continued by
    reflection at its edges, from a random phase: no pixel is observed or missing by default.

    Args:
        masks: array `(M, H, W)`, `(M, H, W, 1)` or `(M, H, W, C)`, or a list of arrays `(h, w)`,
            `(h, w, 1)` or `(h, w, C)` of any sizes; 1 or True = observed. With C channels, each
            channel has its own missing values. The string that `get_config` packs a bank into is
            also accepted.
        tau: Float, the value of missing pixels in network units. Defaults to 0.0.

    Example:

    >>> scans = [np.ones((500, 400)), np.ones((300, 300))]
    >>> scans[0][:, 70:75] = scans[1][100:110] = 0  # scratches
    >>> measurement = keras_uai.measurements.Empirical(scans)
    >>> tuple(measurement.masks([0, 1, 2], 64, 64).shape)
    (3, 64, 64, 1)
    """

    def __init__(self, masks, tau=0.0):
        super().__init__(tau)
        if isinstance(masks, str):
            sizes, channels, bits = packing.unpack(masks)
        else:
            sizes, channels, bits = packing.to_bits(_checked(masks))
        if 8 * len(bits) >= 2**31:
            raise ValueError(
                "Empirical: `masks` must hold fewer than 2**31 values; see `from_masks`. "
                f"Received: {8 * len(bits)}"
            )
        if not bits.any():
            raise ValueError("Empirical: `masks` must hold an observed pixel. Received: none")
        self.mask_channels = channels
        self._sizes = sizes
        self._bits = bits

    @classmethod
    def from_masks(cls, masks, max_masks=MAX_MASKS, max_pixels=MAX_PIXELS, tau=0.0):
        """Builds the measurement from the first masks of an iterable.

        Args:
            masks: iterable of arrays `(h, w)`, `(h, w, 1)` or `(h, w, C)`.
            max_masks: Integer, the number of masks to keep. Defaults to 2048.
            max_pixels: Integer, the total number of mask values to keep. Masks that would exceed
                it end the collection. A first mask that is too large alone is cropped to its
                centre. Defaults to 2**25 (4 MiB when saved, before compression).
            tau: Float, the value of missing pixels. Defaults to 0.0.
        """
        kept, total = [], 0
        for mask in masks:
            mask = np.asarray(mask)
            if kept and total + mask.size > max_pixels:
                break
            if mask.size > max_pixels:
                mask = _centre(mask, max_pixels)
            kept.append(mask)
            total += mask.size
            if len(kept) >= max_masks:
                break
        return cls(kept, tau)

    @classmethod
    def from_dataset(cls, dataset, max_masks=MAX_MASKS, max_pixels=MAX_PIXELS, tau=0.0):
        """Builds the measurement from the first masks of a data set.

        Args:
            dataset: iterable of batches: dicts with "observation" and, where known, "mask"; or
                observations alone, whose masks are then `T(y)`. Batches may differ in size.
            max_masks: see `from_masks`.
            max_pixels: see `from_masks`.
            tau: Float, the value of missing pixels, by which `T(y)` finds them. Defaults to 0.0.
        """

        def masks():
            for batch in dataset:
                batch = batch if isinstance(batch, dict) else {"observation": batch}
                if batch.get("mask") is None:
                    found = Measurement(tau).recover(batch["observation"])
                else:
                    found = batch["mask"]
                yield from np.asarray(ops.convert_to_numpy(found)) > 0.5

        return cls.from_masks(masks(), max_masks, max_pixels, tau)

    @property
    def bank(self):
        """The masks, a list of uint8 arrays `(h, w, mask_channels)`."""
        return packing.from_bits(self._sizes, self.mask_channels, self._bits)

    def sample(self, keys, height, width):
        sizes = self._sizes
        offsets = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))[:-1]])
        index = random.integers(keys, (), len(sizes))
        u = random.uniform(random.fold_in(keys, rng_streams.WINDOW), (2,))
        rows = _window(u[:, 0], ops.take(_int32(sizes[:, 0]), index), height)
        columns = _window(u[:, 1], ops.take(_int32(sizes[:, 1]), index), width)
        starts = ops.take(_int32(offsets), index)[:, None, None]
        widths = ops.take(_int32(sizes[:, 1]), index)[:, None, None]
        place = starts + rows[:, :, None] * widths + columns[:, None, :]
        place = place[..., None] * self.mask_channels + np.arange(self.mask_channels, dtype="int32")
        byte = ops.cast(ops.take(ops.convert_to_tensor(self._bits), place // 8), "int32")
        bit = ops.bitwise_and(ops.right_shift(byte, 7 - place % 8), 1)
        return ops.cast(bit, "float32")

    def split(self, mask, keys, fraction):
        """Hides the pixels that another mask misses, at most about `fraction` of those observed.

        The other mask is the first of `TRIES` fresh ones that misses something observed here.
        Holes that fit into `fraction` are hidden whole, so that the network learns to fill them as
        they are. Of larger ones, random cells of 4 x 4 pixels are hidden. Where no fresh mask
        misses anything, cells of the image are hidden instead.
        """
        height, width = mask.shape[1:3]
        again = ops.arange(1, TRIES)[None]
        tries = random.fold_in(random.fold_in(keys, rng_streams.SPLIT_RETRY)[:, None], again)
        first = random.fold_in(keys, rng_streams.SPLIT_PIXELS)[:, None]
        tries = ops.reshape(ops.concatenate([first, tries], axis=1), (-1, 2))
        fresh = self.sample(tries, height, width)
        fresh = ops.reshape(fresh, (-1, TRIES, *fresh.shape[1:]))
        misses = ops.cast(mask, "float32")[:, None] * (1.0 - fresh)
        useful = ops.any(misses > 0, axis=(2, 3, 4))
        chosen = ops.argmax(ops.cast(useful, "int32"), axis=1)[:, None, None, None, None]
        fresh, misses = (ops.take_along_axis(v, chosen, axis=1)[:, 0] for v in (fresh, misses))
        share = ops.sum(misses, axis=(1, 2, 3)) / ops.maximum(1.0, ops.sum(mask, axis=(1, 2, 3)))
        rate = ops.cast(fraction, "float32") / ops.where(share > 0, share, 1.0)
        cells_keys = random.fold_in(keys, rng_streams.SPLIT_CELLS)
        cells = _cells(cells_keys, height, width, self.mask_channels, rate)
        hidden = cells * ops.where(per_image(share) > 0, 1.0 - fresh, 1.0)
        return mask * ops.cast(1.0 - hidden, mask.dtype)

    @functools.cached_property
    def _packed(self):
        return packing.pack(self._sizes, self.mask_channels, self._bits)

    def get_config(self):
        return {"masks": self._packed, **super().get_config()}

    def __repr__(self):
        (low, left), (high, right) = self._sizes.min(axis=0), self._sizes.max(axis=0)
        size = f"{low} x {left}"
        if (low, left) != (high, right):
            size += f" to {high} x {right}"
        total = int(self._sizes.prod(axis=1).sum()) * self.mask_channels
        observed = np.unpackbits(self._bits, count=total).mean()
        return f"Empirical({len(self._sizes)} masks of {size}, {observed:.1%} observed)"


def _checked(masks):
    """Returns masks as a list of arrays `(h, w, c)` with the same c, or raises ValueError."""
    arrays = [np.asarray(mask) for mask in masks]
    shapes = sorted({array.shape for array in arrays})
    arrays = [array[..., None] if array.ndim == 2 else array for array in arrays]
    wrong = any(array.ndim != 3 or not array.size for array in arrays)
    if not arrays or wrong or len({array.shape[-1] for array in arrays}) > 1:
        raise ValueError(
            "Empirical: `masks` must be a non-empty array (M, H, W) or (M, H, W, C), or a list of "
            f"arrays (h, w) or (h, w, C) with the same C. Received: masks of shapes {shapes[:5]}"
        )
    for array in arrays:
        if not np.logical_or(array == 0, array == 1).all():
            raise ValueError(
                "Empirical: `masks` must hold only 0 (missing) and 1 (observed). "
                f"Received: values from {array.min()} to {array.max()}"
            )
    return arrays


def _centre(mask, max_pixels):
    """The central window of a mask that holds at most `max_pixels` values, in the same aspect."""
    scale = (max_pixels / mask.size) ** 0.5
    height, width = (max(1, int(side * scale)) for side in mask.shape[:2])
    top, left = (mask.shape[0] - height) // 2, (mask.shape[1] - width) // 2
    return mask[top : top + height, left : left + width]


def _int32(values):
    return ops.convert_to_tensor(np.asarray(values, dtype="int32"))


def _window(u, size, wanted):
    """Positions of a window of `wanted` pixels in a line of `size`, reflected where it is shorter.

    Args:
        u: float `(N,)` in [0, 1), where the window lies.
        size: int32 `(N,)`.
        wanted: Python integer.

    Returns:
        int32 `(N, wanted)`.
    """
    places = ops.where(size >= wanted, size - wanted + 1, 2 * size)
    start = ops.cast(ops.floor(u * ops.cast(places, "float32")), "int32")
    position = start[:, None] + np.arange(wanted, dtype="int32")[None]
    size = size[:, None]
    position = position % (2 * size)
    return ops.where(position < size, position, 2 * size - 1 - position)


def _cells(keys, height, width, channels, fraction):
    """1 on 4 x 4 cells that cover about `fraction` of the image, `(N, height, width, channels)`."""
    u = random.uniform(keys, (-(-height // 4), -(-width // 4), channels))
    cells = ops.cast(u < per_image(fraction), "float32")
    cells = ops.repeat(ops.repeat(cells, 4, axis=1), 4, axis=2)
    return cells[:, :height, :width]
