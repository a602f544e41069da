"""Empirical: the data set's own masks are the distribution, for users who do not know p_M."""

import base64
import zlib

import keras
import numpy as np
from keras import ops

from keras_uai import random
from keras_uai.measurements.base import THIN, Measurement


@keras.saving.register_keras_serializable("keras_uai")
class Empirical(Measurement):
    """Draws masks from those observed in a data set: nothing about the damage has to be known.

    The paper assumes p_M known. MisGAN learns it with a generator of its own; where mask and image
    are independent, as both assume, resampling the observed masks is simpler and exact.

    Args:
        masks: array `(M, H, W, 1)` or `(M, H, W)`, 1 or True = observed; or the string `get_config`
            makes of one. Images must have the same height and width.
        tau: value of missing pixels.

    Example:

    >>> measurement = keras_uai.measurements.Empirical.from_dataset(damaged_ds)
    """

    def __init__(self, masks, tau=0.0):
        super().__init__(tau)
        bank = _unpack(masks) if isinstance(masks, str) else np.asarray(masks)
        if bank.ndim == 4 and bank.shape[-1] == 1:
            bank = bank[..., 0]
        if bank.ndim != 3 or 0 in bank.shape:
            raise ValueError(
                "Empirical: `masks` must be a non-empty array of shape (M, H, W) or (M, H, W, 1). "
                f"Received: shape {np.shape(masks)}"
            )
        if not np.isin(bank, (0, 1)).all():
            raise ValueError(
                "Empirical: `masks` must hold 0 (missing) and 1 (observed) only. "
                f"Received: values from {bank.min()} to {bank.max()}"
            )
        if not bank.any():
            raise ValueError(
                "Empirical: no mask observes a single pixel: there is nothing to learn from."
            )
        self.bank = bank.astype("uint8")

    @classmethod
    def from_dataset(cls, dataset, max_masks=2048, tau=0.0):
        """The first `max_masks` masks of an iterable of batches.

        Args:
            dataset: batches of `{"observation": y, "mask": mask, ...}`, or of `y`, whose masks are
                then `T(y)`.
            max_masks: how many to keep (they travel with a saved model, 1 bit a pixel before
                compression).
            tau: value of missing pixels, by which `T(y)` finds them.
        """
        found, total = [], 0
        for batch in dataset:
            if isinstance(batch, dict) and "mask" in batch:
                mask = batch["mask"]
            else:
                y = batch["observation"] if isinstance(batch, dict) else batch
                mask = Measurement(tau).recover(y)
            found.append(np.asarray(ops.convert_to_numpy(mask)) > 0.5)
            total += len(found[-1])
            if total >= max_masks:
                break
        if not found:
            raise ValueError("Empirical.from_dataset: the data set is empty. Received: no batch.")
        return cls(np.concatenate(found)[:max_masks], tau=tau)

    def check(self, height, width):
        if (height, width) != self.bank.shape[1:]:
            raise ValueError(
                f"Empirical: its masks are {self.bank.shape[1]} x {self.bank.shape[2]} pixels. "
                f"Make it from images of the same size. Received: images of {height} x {width}"
            )

    def sample(self, keys, height, width):
        self.check(height, width)
        index = random.integers(keys, (), len(self.bank))
        masks = ops.take(ops.convert_to_tensor(self.bank), index, axis=0)
        return ops.cast(masks, "float32")[..., None]

    def thin(self, mask, keys, fraction):
        """Hides what another image misses, about `fraction` of the observed pixels at most.

        Holes that fit into `fraction` are hidden whole, so that the network learns to fill holes as
        they are; of larger ones, random cells of 4 x 4 pixels are hidden. Where the other image
        misses nothing that this one observed, cells of this one are hidden instead.
        """
        height, width = mask.shape[1:3]
        other = self.sample(random.fold_in(keys, THIN), height, width)
        misses = ops.cast(mask, "float32") * (1.0 - other)
        share = ops.sum(misses, axis=(1, 2, 3)) / ops.maximum(1.0, ops.sum(mask, axis=(1, 2, 3)))
        rate = ops.cast(fraction, "float32") / ops.where(share > 0, share, 1.0)
        cells = _cells(random.fold_in(keys, THIN + 1), height, width, rate)
        hidden = cells * ops.where(share[:, None, None, None] > 0, 1.0 - other, 1.0)
        return mask * ops.cast(1.0 - hidden, mask.dtype)

    def get_config(self):
        return {"masks": _pack(self.bank), **super().get_config()}

    def __repr__(self):
        count, height, width = self.bank.shape
        return f"Empirical({count} masks of {height} x {width}, {self.bank.mean():.1%} observed)"


def _cells(keys, height, width, fraction):
    """1 on 4 x 4 cells that cover about `fraction` of the image, `(N, height, width, 1)`."""
    rows, columns = -(-height // 4), -(-width // 4)
    u = random.uniform(keys, (rows, columns, 1))
    cells = ops.cast(u < ops.reshape(ops.cast(fraction, "float32"), (-1, 1, 1, 1)), "float32")
    cells = ops.repeat(ops.repeat(cells, 4, axis=1), 4, axis=2)
    return cells[:, :height, :width]


def _pack(bank):
    header = np.array(bank.shape, dtype="<i8").tobytes()
    return base64.b85encode(zlib.compress(header + np.packbits(bank).tobytes(), 9)).decode("ascii")


def _unpack(text):
    try:
        raw = zlib.decompress(base64.b85decode(text))
        shape = tuple(int(n) for n in np.frombuffer(raw[:24], dtype="<i8"))
        packed = np.frombuffer(raw[24:], dtype="uint8")
        return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape)
    except (ValueError, zlib.error) as error:
        raise ValueError(
            f"Empirical: `masks` is not a packed bank of masks. Received: {text[:40]!r}..."
        ) from error
