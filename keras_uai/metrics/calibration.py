"""Is the diversity right? Where the clean values fall among the samples, and whether large spread
means large error.

If a clean value and its K samples are draws from the same distribution, the rank of the clean value
among the samples is uniform on 0 ... K (Talagrand et al. 1997). From the histogram of ranks follows
how often the interval between the j-th smallest and the j-th largest sample covers the clean value,
which should be (K + 1 - 2 j) / (K + 1): the coverage plot. Below the diagonal the samples vary too
little, above it too much.

The second question needs more than ranks: missing values are sorted into bins by the spread that
the samples predict for them, and the root-mean-square error in each bin should equal its spread.
"""

import numpy as np

from keras_uai.metrics import checks

# Edges of the bins of predicted spread; images in [-1, 1] have standard deviations up to about 1.
SPREAD_EDGES = np.concatenate([[0.0], np.geomspace(0.01, 1.0, 13), [np.inf]])


def rank_counts(x, samples, mask, known=None):
    """Histogram of the ranks of an image's missing clean values among their samples.

    Args:
        x: clean image, `(H, W, C)`.
        samples: `(K, H, W, C)`.
        mask: `(H, W, 1)` or `(H, W)`, 1 = observed.
        known: like `mask`, 1 where x is known; None where it is known everywhere.

    Returns:
        float64 `(K + 1,)`. A value equal to some samples, as happens at the ends of the range,
        counts in equal parts for every rank it could have.
    """
    drawn, clean = _missing(x, samples, mask, known)
    k = len(drawn)
    below = (drawn < clean).sum(axis=0)
    ties = (drawn == clean).sum(axis=0)
    pairs, counts = np.unique(below * (k + 1) + ties, return_counts=True)
    histogram = np.zeros(k + 1)
    for pair, count in zip(pairs, counts, strict=True):
        first, tied = divmod(int(pair), k + 1)
        histogram[first : first + tied + 1] += count / (tied + 1.0)
    return histogram


def spread_sums(x, samples, mask, known=None):
    """Sums over an image's missing values in each bin of `SPREAD_EDGES`.

    Args:
        x, samples, mask, known: see `rank_counts`; K of at least 2.

    Returns:
        float64 `(3, bins)`: how many values, their summed (K + 1) / K times variance, and their
        summed squared error of the mean.
    """
    drawn, clean = _missing(x, samples, mask, known)
    k = len(drawn)
    variance = drawn.var(axis=0, ddof=1) * (k + 1.0) / k
    squares = (drawn.mean(axis=0) - clean) ** 2
    bins = np.searchsorted(SPREAD_EDGES, np.sqrt(variance), side="right") - 1
    size = len(SPREAD_EDGES) - 1
    return np.stack(
        [np.bincount(bins, weights, size) for weights in (np.ones_like(squares), variance, squares)]
    )


class Calibration:
    """Gathers ranks and binned errors of any number of batches.

    Example:

    >>> calibration = keras_uai.metrics.Calibration()
    >>> calibration.update(x, model.inpaint(y, num_samples=10, seed=0), mask)
    >>> calibration.result()["coverage"]  # {"nominal": [...], "observed": [...]}
    """

    def __init__(self):
        self._rows = []
        self.num_samples = None

    def update(self, x, samples, mask, known=None):
        """Adds a batch; see `keras_uai.metrics.Scores.update`. K must be at least 2."""
        if x is None:
            raise ValueError("Calibration needs clean images. Received: x=None")
        x, samples, mask, known = checks.scored(x, samples, mask, known, self.num_samples)
        if samples.shape[1] < 2:
            raise ValueError("Calibration needs at least 2 samples an image. Received: 1")
        self.num_samples = samples.shape[1]
        known = np.ones_like(mask) if known is None else known
        for row in zip(x, samples, mask, known, strict=True):
            self._rows.append(image_row(*row))

    def image_rows(self):
        """What was gathered, a row an image: float64 `(images, K + 1 + 3 * bins)`."""
        if not self._rows:
            raise ValueError("No image has been gathered yet: call `update` first. Received: 0")
        return np.stack(self._rows)

    def result(self):
        """JSON-able dict of `ranks`, `coverage` and `spread_error`; see `summarize`."""
        return summarize(self.image_rows().sum(axis=0), self.num_samples)


def image_row(x, samples, mask, known=None):
    """Ranks and binned sums of one image as one float64 vector; rows of images add up."""
    image = (x, samples, mask, known)
    return np.concatenate([rank_counts(*image), spread_sums(*image).ravel()])


def summarize(row, num_samples):
    """From summed rows to a JSON-able dict.

    Returns:
        `ranks`: fraction of missing values at each rank, `(K + 1)` numbers;
        `coverage`: `nominal` and `observed` coverage of central intervals, from 0 to 1;
        `calibration_error`: mean absolute difference of the two over the intervals;
        `spread_error`: `spread` and `error` (root mean squares) and `share` of each non-empty bin.
    """
    counts, sums = row[: num_samples + 1], row[num_samples + 1 :].reshape(3, -1)
    total = counts.sum()
    if total == 0:
        raise ValueError("There is no missing pixel, and so nothing to calibrate. Received: 0")
    ranks = counts / total
    nominal, observed = coverage(ranks)
    inner = slice(1, -1)
    filled = sums[0] > 0
    number, variance, squares = sums[:, filled]
    return {
        "ranks": ranks.tolist(),
        "coverage": {"nominal": nominal.tolist(), "observed": observed.tolist()},
        "calibration_error": float(np.abs(nominal - observed)[inner].mean()),
        "spread_error": {
            "spread": np.sqrt(variance / number).tolist(),
            "error": np.sqrt(squares / number).tolist(),
            "share": (number / total).tolist(),
        },
    }


def coverage(ranks):
    """Nominal and observed coverage of the central intervals between samples.

    Args:
        ranks: fractions at the K + 1 ranks.

    Returns:
        two float64 arrays of length floor(K / 2) + 2 that rise from 0 to 1.
    """
    ranks = np.asarray(ranks, dtype="float64")
    bins = len(ranks)
    nominal, observed = [0.0], [0.0]
    for dropped in range((bins - 1) // 2, 0, -1):  # ranks left out at each end
        nominal.append((bins - 2 * dropped) / bins)
        observed.append(ranks[dropped : bins - dropped].sum())
    return np.array([*nominal, 1.0]), np.array([*observed, 1.0])


def _missing(x, samples, mask, known):
    x, samples = np.asarray(x, dtype="float64"), np.asarray(samples, dtype="float64")
    missing = np.asarray(mask).reshape(x.shape[:2]) <= 0.5
    if known is not None:
        missing &= np.asarray(known).reshape(x.shape[:2]) > 0.5
    return samples[:, missing].reshape(len(samples), -1), x[missing].ravel()
