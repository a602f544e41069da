"""Calibration of samples: ranks of the true values, coverage, error by predicted spread.

If a true value and its K samples are draws from one distribution, the rank of the true value among
the samples is uniform on 0 ... K (Talagrand et al. 1997). The histogram of ranks gives the coverage
plot: the interval between the j-th smallest and the j-th largest sample should cover the true value
in (K + 1 - 2 j) / (K + 1) of the cases. Below the diagonal the samples vary too little, above it
too much.

Ranks do not tell whether a large spread means a large error. Missing values are therefore also
sorted into bins by their predicted spread, and by their distance to the nearest observed pixel. In
each bin the root-mean-square error of the mean should equal the spread.
"""

import numpy as np

# Bins of predicted spread. Images in [-1, 1] have standard deviations up to about 1.
SPREAD_EDGES = np.concatenate([[0.0], np.geomspace(0.01, 1.0, 13), [np.inf]])

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


def spread_sums(variances, squares):
    """Sums variances and squared errors in each bin of `SPREAD_EDGES`.

    Args:
        variances: (K + 1) / K times the variance of the samples, float64 `(P,)`.
        squares: squared errors of the mean of the samples, float64 `(P,)`.

    Returns:
        float64 `(3, bins)`: number of values, summed variances, summed squared errors.
    """
    bins = np.searchsorted(SPREAD_EDGES, np.sqrt(variances), side="right") - 1
    size = len(SPREAD_EDGES) - 1
    weights = (np.ones_like(squares), variances, squares)
    return np.stack([np.bincount(bins, weight, size) for weight in weights])


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


def coverage(ranks):
    """Returns nominal and observed coverage of the central intervals between samples.

    Args:
        ranks: float64 array of the fractions at the K + 1 ranks.

    Returns:
        Two float64 arrays of length floor(K / 2) + 2 that rise from 0 to 1.
    """
    bins = len(ranks)
    dropped = range((bins - 1) // 2, 0, -1)  # ranks left out at each end
    nominal = [(bins - 2 * d) / bins for d in dropped]
    observed = [ranks[d : bins - d].sum() for d in dropped]
    return np.array([0.0, *nominal, 1.0]), np.array([0.0, *observed, 1.0])


def summarize(counts, sums):
    """Turns summed histograms into a JSON-able dict.

    Args:
        counts: sum of `rank_counts`, `(K + 1,)`, not all 0.
        sums: sum of `spread_sums`, `(3, bins)`.

    Returns:
        `ranks`: fraction of missing values at each rank, K + 1 numbers;
        `coverage`: `nominal` and `observed` coverage of central intervals, from 0 to 1;
        `calibration_error`: mean absolute difference of the two over the intervals;
        `spread_error`: `spread` and `error` (root mean squares) and `share` of each filled bin.
    """
    total = counts.sum()
    ranks = counts / total
    nominal, observed = coverage(ranks)
    number, variance, squares = sums[:, sums[0] > 0]
    return {
        "ranks": ranks.tolist(),
        "coverage": {"nominal": nominal.tolist(), "observed": observed.tolist()},
        "calibration_error": float(np.abs(nominal - observed)[1:-1].mean()),
        "spread_error": {
            "spread": np.sqrt(variance / number).tolist(),
            "error": np.sqrt(squares / number).tolist(),
            "share": (number / total).tolist(),
        },
    }
