"""Comparison of the masks of data with those that a measurement draws."""

import numpy as np
from keras import ops

from keras_uai import checks, random, rng_streams

#: Two means differ if their odds differ by this factor and they by this many standard errors.
FACTOR, ERRORS = 1.5, 4.0
#: Images compared, at least and at most, and mask values at most.
LEAST, MOST, VALUES = 8, 64, 2**25


def mask_differences(measurement, mask, seed=0):
    """Compares masks of data with as many fresh masks of a measurement.

    Compared are the share of pixels that are missing, and the share of a missing pixel's neighbours
    that are missing, too: the larger the holes, the nearer to 1. Both are averages over images.

    Args:
        measurement: a `Measurement`.
        mask: array `(N, H, W, M)` of data, 1 = observed. The first 64 are compared; of fewer than 8
            nothing is said.
        seed: integer, of the fresh masks. Default: 0.

    Returns:
        List of sentences with both numbers, one a difference; empty where masks are alike.

    Example:

    >>> mask = keras_uai.measurements.DropPixel(0.5).masks(range(20), 32, 32)
    >>> measurement = keras_uai.measurements.DropPixel(0.9)
    >>> keras_uai.measurements.mask_differences(measurement, mask)[0]
    '50.0% of the pixels are missing in the data, 90.0% in masks of the measurement'
    """
    count = min(len(mask), MOST, VALUES // int(np.prod(mask.shape[1:])))
    if count < LEAST:
        return []
    keys = random.key(seed, rng_streams.COMPARISON, np.arange(count))
    fresh = measurement.sample(keys, *mask.shape[1:3])
    pairs = [_statistics(ops.convert_to_numpy(m) < 0.5) for m in (mask[:count], fresh)]
    sentences = (
        "{:.1%} of the pixels{} are missing in the data, {:.1%} in masks of the measurement",
        "{:.1%} of a missing pixel's neighbours{} are missing, too, in the data (holes are "
        "{longer}), {:.1%} in masks of the measurement",
    )
    found = []
    for sentence, data, drawn in zip(sentences, *pairs, strict=True):
        for channel in range(data.shape[1]):
            one, other = (v[:, channel][np.isfinite(v[:, channel])] for v in (data, drawn))
            if min(len(one), len(other)) >= LEAST and _differ(one, other):
                where = f" of channel {channel}" if data.shape[1] > 1 else ""
                longer = "larger" if one.mean() > other.mean() else "smaller"
                found.append(sentence.format(one.mean(), where, other.mean(), longer=longer))
    return found


def check_masks(measurement, mask):
    """Warns where masks of data are unlike those of a measurement; returns `mask_differences`."""
    if found := mask_differences(measurement, mask):
        checks.warn(
            "The masks of the data are unlike those of the measurement, from which a model learns "
            f"how images are damaged ({measurement!r}): {'; '.join(found)}. Choose the measurement "
            "that damaged the data; keras_uai.measurements.Empirical.from_dataset learns it from "
            "their masks."
        )
    return found


def _differ(one, other):
    """Returns whether two sample means differ by more than `FACTOR` and `ERRORS` allow."""
    a, b = one.mean(dtype="float64"), other.mean(dtype="float64")
    error = np.sqrt(sum(v.var(ddof=1, dtype="float64") / len(v) for v in (one, other)))
    low, high = sorted((a * (1.0 - b), b * (1.0 - a)))
    return high > FACTOR * low + 1e-9 and abs(a - b) > ERRORS * error


def _statistics(missing):
    """Returns the shares `(N, M)` of missing pixels, and of missing neighbours of these."""
    pairs = [
        (missing[:, :-1], missing[:, 1:]),
        (missing[:, :, :-1], missing[:, :, 1:]),
    ]
    both = sum(2.0 * (a & b).sum(axis=(1, 2)) for a, b in pairs)
    either = sum(v.sum(axis=(1, 2), dtype="float64") for pair in pairs for v in pair)
    neighbours = np.divide(both, either, out=np.full(both.shape, np.nan), where=either > 0)
    return missing.mean(axis=(1, 2)), neighbours
