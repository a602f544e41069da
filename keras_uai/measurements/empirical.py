"""Empirical: the masks of a data set are the distribution, for damage that is not known."""

import base64
import functools
import zlib

import keras
import numpy as np
from keras import ops

from keras_uai import random, rng_streams
from keras_uai.measurements.base import Measurement, per_image, take_one
from keras_uai.measurements.splitting import TRIES

#: First number of a packed header since 0.2. In 0.1 it is the number of masks, thus positive.
_FORMAT = -1


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
        # `_sizes` int64 (M, 2); `_bits` uint8, all values in order, 8 a byte, highest bit first.
        self._sizes, self.mask_channels, self._bits = (
            _unpack(masks) if isinstance(masks, str) else _to_bits(masks)
        )
        if 8 * len(self._bits) >= 2**31:
            raise ValueError("Empirical: `masks` must hold fewer than 2**31 values. Received: more")
        if not self._bits.any():
            raise ValueError("Empirical: `masks` must hold an observed pixel. Received: none")

    @classmethod
    def from_masks(cls, masks, max_masks=2048, max_pixels=2**25, tau=0.0):
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
            scale = min(1.0, (max_pixels / mask.size) ** 0.5)
            height, width = (max(1, int(side * scale)) for side in mask.shape[:2])
            top, left = (mask.shape[0] - height) // 2, (mask.shape[1] - width) // 2
            kept.append(mask[top : top + height, left : left + width])
            total += kept[-1].size
            if len(kept) >= max_masks:
                break
        return cls(kept, tau)

    @classmethod
    def from_dataset(cls, dataset, max_masks=2048, max_pixels=2**25, tau=0.0):
        """Builds the measurement from the first masks of a data set.

        Args:
            dataset: iterable of batches: dicts with "observation" and, where known, "mask"; or
                observations alone, whose masks are then `T(y)`. Batches may differ in size.
            max_masks, max_pixels: see `from_masks`.
            tau: Float, the value of missing pixels, by which `T(y)` finds them. Defaults to 0.0.
        """

        def masks():
            for batch in dataset:
                batch = batch if isinstance(batch, dict) else {"observation": batch}
                found = batch.get("mask")
                found = Measurement(tau).recover(batch["observation"]) if found is None else found
                yield from np.asarray(ops.convert_to_numpy(found)) > 0.5

        return cls.from_masks(masks(), max_masks, max_pixels, tau)

    @property
    def bank(self):
        """The masks, a list of uint8 arrays `(h, w, mask_channels)`."""
        counts = self._sizes.prod(axis=1) * self.mask_channels
        values = np.unpackbits(self._bits, count=int(counts.sum()))
        parts = np.split(values, np.cumsum(counts)[:-1])
        return [part.reshape(*size, -1) for part, size in zip(parts, self._sizes, strict=True)]

    def sample(self, keys, height, width):
        sizes = self._sizes
        offsets = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))[:-1]])
        index = random.integers(keys, (), len(sizes))
        heights, widths, starts = (
            ops.take(ops.convert_to_tensor(values.astype("int32")), index)
            for values in (sizes[:, 0], sizes[:, 1], offsets)
        )
        u = random.uniform(random.fold_in(keys, rng_streams.WINDOW), (2,))
        rows, columns = _window(u[:, 0], heights, height), _window(u[:, 1], widths, width)
        place = starts[:, None, None] + rows[:, :, None] * widths[:, None, None]
        place = (place + columns[:, None, :])[..., None] * self.mask_channels
        place = place + np.arange(self.mask_channels, dtype="int32")
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
        fresh = self.sample_several(ops.concatenate([first, tries], axis=1), height, width)
        misses = ops.cast(mask, "float32")[:, None] * (1.0 - fresh)
        useful = ops.any(misses > 0, axis=(2, 3, 4))
        chosen = ops.argmax(ops.cast(useful, "int32"), axis=1)
        fresh, misses = take_one(fresh, chosen), take_one(misses, chosen)
        share = ops.sum(misses, axis=(1, 2, 3)) / ops.maximum(1.0, ops.sum(mask, axis=(1, 2, 3)))
        rate = ops.cast(fraction, "float32") / ops.where(share > 0, share, 1.0)
        # 4 x 4 cells that cover about `rate` of the image
        cells_keys = random.fold_in(keys, rng_streams.SPLIT_CELLS)
        u = random.uniform(cells_keys, (-(-height // 4), -(-width // 4), self.mask_channels))
        cells = ops.repeat(ops.repeat(u < per_image(rate), 4, axis=1), 4, axis=2)
        cells = ops.cast(cells[:, :height, :width], "float32")
        hidden = cells * ops.where(per_image(share) > 0, 1.0 - fresh, 1.0)
        return mask * ops.cast(1.0 - hidden, mask.dtype)

    @functools.cached_property
    def _packed(self):
        header = [_FORMAT, self.mask_channels, len(self._sizes), *self._sizes.ravel()]
        raw = np.array(header, dtype="<i8").tobytes() + self._bits.tobytes()
        return base64.b85encode(zlib.compress(raw, 9)).decode("ascii")

    def get_config(self):
        return {"masks": self._packed, **super().get_config()}

    def __repr__(self):
        low, high = (" x ".join(map(str, f(self._sizes, axis=0))) for f in (np.min, np.max))
        size = low if low == high else f"{low} to {high}"
        total = int(self._sizes.prod(axis=1).sum()) * self.mask_channels
        observed = np.unpackbits(self._bits, count=total).mean()
        return f"Empirical({len(self._sizes)} masks of {size}, {observed:.1%} observed)"


def _to_bits(masks):
    """Checks masks and returns their sizes, channels and bits."""
    arrays = [np.asarray(mask) for mask in masks]
    shapes = sorted({array.shape for array in arrays})
    arrays = [array[..., None] if array.ndim == 2 else array for array in arrays]
    wrong = any(array.ndim != 3 or not array.size for array in arrays)
    if not arrays or wrong or len({array.shape[-1] for array in arrays}) > 1:
        raise ValueError(
            "Empirical: `masks` must be a non-empty array (M, H, W) or (M, H, W, C), or a list of "
            f"arrays (h, w) or (h, w, C) with the same C. Received: masks of shapes {shapes[:5]}"
        )
    values = np.concatenate([array.ravel() for array in arrays])
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            "Empirical: `masks` must hold only 0 (missing) and 1 (observed). "
            f"Received: values from {values.min()} to {values.max()}"
        )
    sizes = np.array([array.shape[:2] for array in arrays], dtype="int64")
    return sizes, arrays[0].shape[-1], np.packbits(values.astype(bool))


def _unpack(text):
    """Returns sizes, channels and bits of a packed bank, of 0.1 also."""
    try:
        raw = zlib.decompress(base64.b85decode(text))
        first, second, third = (int(n) for n in np.frombuffer(raw[:24], dtype="<i8"))
        channels, end, sizes = 1, 24, np.tile(np.array([[second, third]]), (max(first, 0), 1))
        if first == _FORMAT:
            channels, end = second, 24 + 16 * third
            sizes = np.frombuffer(raw[24:end], dtype="<i8").reshape(third, 2)
        bits = np.frombuffer(raw[end:], dtype="uint8")
        if not len(sizes) or len(bits) != -(-int(sizes.prod(axis=1).sum()) * channels // 8):
            raise ValueError("The sizes and the number of bits differ.")
    except (ValueError, zlib.error) as error:
        raise ValueError(
            f"Empirical: `masks` is no packed bank of masks. Received: {text[:40]!r}..."
        ) from error
    return sizes.astype("int64"), channels, bits


def _window(u, size, wanted):
    """Positions, int32 `(N, wanted)`, of a window of `wanted` pixels in lines of `size` `(N,)`.

    Shorter lines are reflected. `u` in [0, 1) `(N,)` says where the window lies.
    """
    places = ops.where(size >= wanted, size - wanted + 1, 2 * size)
    start = ops.cast(ops.floor(u * ops.cast(places, "float32")), "int32")
    position = start[:, None] + np.arange(wanted, dtype="int32")[None]
    size = size[:, None]
    position = position % (2 * size)
    return ops.where(position < size, position, 2 * size - 1 - position)
