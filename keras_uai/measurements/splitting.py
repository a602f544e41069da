"""Splitting of an observation into pixels that the network sees and pixels that score it."""

import numbers

from keras import ops

from keras_uai import random, rng_streams
from keras_uai.measurements.base import take_one

#: Number of fresh masks tried per image, and the largest share that one may hide.
TRIES = 8
MOST_HIDDEN = 0.75


def split_mask(measurement, mask, keys, ratio=(0.1, 0.5), by_measurement=0.0, context_dropout=0.0):
    """Hides a share of each image's observed pixels.

    `mask - mask_seen` are the hidden pixels, at which a loss can score a reconstruction. Nothing
    can be hidden of an image without observed pixels.

    Args:
        measurement: a `Measurement`; its `split` and its masks give the shapes that are hidden.
        mask: float tensor `(N, H, W, M)`, 1 = observed. H and W are static.
        keys: uint32 tensor `(N, 2)`, one key per image.
        ratio: pair of floats `(low, high)`. The share to hide is uniform in `[low, high)`, one
            draw per image. Defaults to `(0.1, 0.5)`.
        by_measurement: float in [0, 1], the probability per image of hiding instead all that a
            fresh mask misses: `mask_seen = mask * mask_tilde`. This teaches holes as large as the
            damage's own. Defaults to 0.0.
        context_dropout: float in [0, 1], the probability per image of hiding everything. Defaults
            to 0.0.

    Returns:
        float tensor of the shape of `mask`: `mask_seen`, nowhere more than `mask`.

    Example:

    >>> measurement = keras_uai.measurements.DropPixel(0.5)
    >>> mask = measurement.masks([0, 1], 48, 80)
    >>> keys = keras_uai.random.key(0, np.arange(2))
    >>> seen = keras_uai.measurements.split_mask(measurement, mask, keys, ratio=(0.25, 0.25))
    >>> round(float(np.sum(seen) / np.sum(mask)), 1)
    0.7
    """
    low, high = ratio
    u = random.uniform(random.fold_in(keys, rng_streams.SPLIT_RATIO), ())
    share = low + (high - low) * u
    mask_seen = measurement.split(mask, random.fold_in(keys, rng_streams.SPLIT), share)
    if by_measurement:
        again, found = _seen_twice(measurement, mask, keys, low)
        u = random.uniform(random.fold_in(keys, rng_streams.SPLIT_CHOICE), ())
        chosen = ops.logical_and(u < by_measurement, found)
        mask_seen = ops.where(chosen[:, None, None, None], again, mask_seen)
    if context_dropout:
        u = random.uniform(random.fold_in(keys, rng_streams.CONTEXT_DROPOUT), (1, 1, 1))
        mask_seen = mask_seen * ops.cast(u >= context_dropout, mask_seen.dtype)
    return mask_seen


def _seen_twice(measurement, mask, keys, low):
    """`mask * mask_tilde`, where `mask_tilde` is the first fresh mask that hides enough.

    A fresh mask is accepted if it hides `low` to `MOST_HIDDEN` of the observed pixels. If all hide
    less, as in small crops, the one that hides most counts. Also returns bools `(N,)`, False where
    no mask would do.
    """
    height, width = mask.shape[1:3]
    keys = random.fold_in(keys, rng_streams.SPLIT_BY_MEASUREMENT)
    tries = random.fold_in(keys[:, None], ops.arange(TRIES)[None])
    fresh = measurement.sample_several(tries, height, width)
    again = ops.cast(fresh, mask.dtype) * mask[:, None]
    observed = ops.maximum(1.0, ops.sum(mask, axis=(1, 2, 3)))[:, None]
    left = ops.sum(again, axis=(2, 3, 4))
    hidden = 1.0 - left / observed
    usable = ops.logical_and(left < observed, hidden <= MOST_HIDDEN)
    # Accepted masks rank alike, above all others: `argmax` takes the first of the highest.
    rank = ops.where(usable, ops.minimum(hidden, low), -1.0)
    return take_one(again, ops.argmax(rank, axis=1)), ops.any(usable, axis=1)


def check_split(split_ratio, split_by_measurement=0.0, context_dropout=0.0):
    """Returns the arguments of `split_mask` as floats, or raises a ValueError.

    They are called by the names that models give them.
    """
    pair = isinstance(split_ratio, (tuple, list)) and len(split_ratio) == 2
    if not pair or not 0 < split_ratio[0] <= split_ratio[1] < 1:
        raise ValueError(
            "`split_ratio` must be (low, high) with 0 < low <= high < 1. "
            f"Received: split_ratio={split_ratio!r}"
        )
    given = {"split_by_measurement": split_by_measurement, "context_dropout": context_dropout}
    for name, value in given.items():
        if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
            raise ValueError(
                f"`{name}` must be a probability in [0, 1]. Received: {name}={value!r}"
            )
    return tuple(map(float, split_ratio)), *map(float, given.values())
