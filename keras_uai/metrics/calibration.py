"""Calibration of samples: ranks of the true values, coverage, distance to observed pixels.

If a true value and its K samples are draws from one distribution, the rank of the true value among
the samples is uniform on 0 ... K (Talagrand et al. 1997). The histogram of ranks gives the coverage
plot: the interval between the j-th smallest and the j-th largest sample should cover the true value
in (K + 1 - 2 j) / (K + 1) of the cases. Below the diagonal the samples vary too little, above it
too much. Ranks do not tell whether a large spread means a large error, which the spread-skill ratio
by distance to the nearest observed pixel does.
"""

import numpy as np

# Bins of the distance to the nearest observed pixel: label and upper edge, in pixels.
DISTANCE_BINS = {"1": 1.5, "2_4": 4.5, "5_16": 16.5, "over_16": np.inf}


def rank_counts(x, samples):
    """Returns the histogram of the ranks of true values among their samples.

    Args:
        x: true values, float `(P,)`.
        samples: float `(K, P)`.

    Returns:
        float64 `(K + 1,)`. A value equal to some samples counts in equal parts for every rank it
        could have. Such ties occur at the ends of the range.
    """
    k = len(samples)
    below = (samples < x).sum(axis=0)
    ties = (samples == x).sum(axis=0)
    pairs, counts = np.unique(below * (k + 1) + ties, return_counts=True)
    histogram = np.zeros(k + 1)
    for pair, count in zip(pairs, counts, strict=True):
        first, tied = divmod(int(pair), k + 1)
        histogram[first : first + tied + 1] += count / (tied + 1.0)
    return histogram


def distance_bins(observed):
    """Returns the bin of each pixel's distance to the nearest observed pixel of its channel.

    Args:
        observed: bool `(H, W, M)`.

    Returns:
        int8 `(H, W, M)`, positions in `DISTANCE_BINS`. Distances are Euclidean between pixel
        centres. All are in the last bin where no pixel is observed.
    """
    from scipy import ndimage

    edges = list(DISTANCE_BINS.values())[:-1]
    bins = np.full(observed.shape, len(edges), "int8")
    for channel in range(observed.shape[-1]):
        seen = observed[..., channel]
        if seen.any():
            bins[..., channel] = np.searchsorted(edges, ndimage.distance_transform_edt(~seen))
    return bins


def summarize(counts):
    """Turns a sum of `rank_counts`, `(K + 1,)` and not all 0, into a JSON-able dict.

    Returns:
        `ranks`: fraction of missing values at each rank, K + 1 numbers;
        `coverage`: `nominal` and `observed` coverage of central intervals, from 0 to 1;
        `calibration_error`: mean absolute difference of the two over the intervals.
    """
    ranks, bins = counts / counts.sum(), len(counts)
    dropped = range((bins - 1) // 2, 0, -1)  # ranks left out at each end
    nominal = [0.0, *((bins - 2 * d) / bins for d in dropped), 1.0]
    observed = [0.0, *(float(ranks[d : bins - d].sum()) for d in dropped), 1.0]
    return {
        "ranks": ranks.tolist(),
        "coverage": {"nominal": nominal, "observed": observed},
        "calibration_error": float(np.abs(np.subtract(nominal, observed))[1:-1].mean()),
    }
