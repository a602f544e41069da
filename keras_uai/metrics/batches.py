"""Batches for evaluation: checked and in NumPy, with seeds of their images, or held-out pixels."""

import numpy as np

from keras_uai import random, rng_streams
from keras_uai.checks import is_given
from keras_uai.measurements import Measurement
from keras_uai.metrics import checks

_KEYS = ("observation", "mask", "clean", "known", "never_fill")


class Repeatable:
    """Batches of a generator function, which begins anew with every iteration."""

    def __init__(self, make, *args):
        self.make, self.args = make, args

    def __iter__(self):
        return self.make(*self.args)


def unpacked(dataset, measurement=None, skip=0, max_images=None, needs_clean=True):
    """Yields checked batches of NumPy arrays, without the first `skip` images; see `evaluate`.

    They are dicts of `"observation"`, `"mask"`; `"clean"` where the data set has it, 0 where
    unknown; `"known"`, 1 where values are to be scored, or None for everywhere; and `"is_partial"`,
    whether true values are unknown at some pixels that are to be filled.
    """
    wanted = {"observation", "clean"} if needs_clean else {"observation"}
    position = 0
    for batch in dataset:
        if max_images is not None and position >= max_images:
            return
        if not isinstance(batch, dict) and not needs_clean:
            batch = {"observation": batch[0] if isinstance(batch, (tuple, list)) else batch}
        if not isinstance(batch, dict) or not wanted <= set(batch):
            found = sorted(batch) if isinstance(batch, dict) else type(batch).__name__
            raise ValueError(
                'Scores need batches {"observation": y, "clean": x} (and "mask" where masks are '
                "explicit): load the data set with clean=True, or hide pixels of damaged images "
                f"with keras_uai.metrics.holdout. Received: {found}"
            )
        given = {n: checks.to_numpy(batch[n]) for n in _KEYS if batch.get(n) is not None}
        stop = None if max_images is None else max_images - position
        rows = slice(max(0, skip - position), stop)
        position += len(given["observation"])
        given = {name: value[rows] for name, value in given.items()}
        if len(given["observation"]):
            yield _unpack(given, measurement or Measurement())


def _unpack(batch, measurement):
    y = batch["observation"]
    seen = is_given(y)
    y = np.where(seen, y, y.dtype.type(measurement.tau))
    y = checks.images("observation", y, bounded=False)
    mask = batch["mask"] if "mask" in batch else measurement.recover(y)
    mask = checks.mask("mask", mask, y.shape)
    seen = seen if mask.shape[-1] > 1 else seen.all(axis=-1, keepdims=True)
    found = {"observation": y, "mask": mask * seen.astype("float32")}
    found["is_partial"] = "known" in batch
    known = checks.mask("known", batch.get("known", np.ones((*y.shape[:3], 1))), y.shape)
    if "never_fill" in batch:
        known = known * (1.0 - checks.mask("never_fill", batch["never_fill"], y.shape))
    clean = batch.get("clean")
    if clean is not None:
        if clean.shape != y.shape:
            raise ValueError(
                "`observation` and `clean` must have the same shape. Received: observation of "
                f"shape {y.shape}, clean of shape {clean.shape}"
            )
        unknown = ~is_given(clean)
        found["is_partial"] |= bool((unknown & (known > 0.5)).any())
        found["clean"] = np.where(unknown, np.float32(0), clean)
        if unknown.any():
            known = known * ~unknown
    found["known"] = None if known.all() else known
    return found


def image_seeds(seed, positions):
    """Returns one seed an image, int64 `(N,)` in [0, 2^31), from `seed` and their positions."""
    keys = random.key(int(seed), np.asarray(positions, dtype="uint32"))
    return (checks.to_numpy(keys)[:, 0] >> 1).astype("int64")


def holdout(dataset, measurement, fraction=0.1, seed=0):
    """Hides a part of the observed pixels of damaged images, so that they can be scored there.

    About `fraction` of each image's observed pixels are hidden, in the shape of the measurement's
    damage. The scores are of images damaged a little more than the data set's. They compare
    predictors on one data set.

    Args:
        dataset: batches of y, or of `{"observation": y, "mask": mask}`.
        measurement: `keras_uai.measurements.Measurement`, which splits the observed pixels.
        fraction: float in (0, 1).
        seed: integer. With the image's position it determines the hidden pixels.

    Returns:
        An iterable of batches for `evaluate`, which can be iterated as often as `dataset`.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"`fraction` must lie in (0, 1). Received: fraction={fraction!r}")
    return Repeatable(_held_out, dataset, measurement, fraction, seed)


def _held_out(dataset, measurement, fraction, seed):
    position = 0
    for found in unpacked(dataset, measurement, needs_clean=False):
        y, mask = found["observation"], found["mask"]
        positions = np.arange(position, position + len(y), dtype="uint32")
        keys = random.key(seed, rng_streams.HOLDOUT, positions)
        left = checks.to_numpy(measurement.split(mask, keys, fraction))
        position += len(y)
        hidden = np.where(left > 0.5, y, np.float32(measurement.tau))
        known = mask if found["known"] is None else mask * found["known"]
        yield {"observation": hidden, "mask": left, "clean": y, "known": known}
