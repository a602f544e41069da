"""Scores of samples against true images: error, diversity, calibration.

Scores are made in three steps: `image_sums` (one image and its K samples to sums in float64),
`Scores` (collects the sums of any number of images), `Scores.result` (sums to numbers). A number
does not depend on the batch size. Sums are kept per image, so that `Scores.bootstrap` can tell how
far a number can be trusted. Images may have different sizes.

With true image `x`, samples `x_1 ... x_K` and their mean `m`, over the values (pixels times
channels) of all images together:

| score | definition |
| --- | --- |
| `mse`, `mse_missing` | mean of (x_k - x)^2 over all samples, all values or the missing ones |
| `mse_missing_8bit` | `mse_missing` in squared units of 8-bit values: times 127.5^2 |
| `psnr`, `ssim` | of one sample, averaged over samples and images (Wang et al. 2004) |
| `mse_of_mean`, ... | the same five for m in place of x_k |
| `std` | standard deviation of the K samples, averaged over missing values |
| `crps` | see `errors.crps`, averaged over missing values |
| `spread` | sqrt((K + 1) / K times the mean variance of the samples), missing values |
| `skill` | root-mean-square error of m over missing values |
| `spread_skill` | spread / skill: 1 = calibrated, below 1 = overconfident, 0 = z is ignored |
| `spread_skill_1`, `_2_4`, `_5_16`, `_over_16` | by distance to the nearest observed pixel |
| `coverage_90` | share of missing values in the 90% interval m +- t sqrt(1 + 1/K) std |

`mse` and `std` are the paper's (section 3.4, which takes `std` with K = 10 over 1,000 images). The
paper does not state its divisor; here, as in the variances, it is K - 1. The (K + 1) / K of
`spread` makes `spread_skill` 1 on average for a calibrated sampler, whatever K (Fortin et al.
2014). t is the 95% quantile of Student's distribution with K - 1 degrees of freedom, which makes
the interval exact for normal samples of any K. Scores of spread need K of at least 2. Without any
missing value, scores of missing values are NaN; bins of distance without any are left out.

Where images are known in part only (`known`), everything is over the known values, and there is no
`ssim`. Without true images, `std` and `spread` are left.
"""

import numpy as np

from keras_uai.metrics import calibration, checks
from keras_uai.metrics.errors import SSIM_WINDOW, crps, psnr, ssim

INTERVAL = 0.9  # nominal coverage of `coverage_90`
_CHUNK = 1 << 18  # missing values handled at once, which bounds the memory

# score: (sum to divide, divisor, whether a square root follows)
_RATIOS = {
    "mse": ("squares", "values", False),
    "mse_missing": ("squares_missing", "missing", False),
    "mse_missing_8bit": ("squares_missing", "missing", False),
    "psnr": ("psnr", "images", False),
    "ssim": ("ssim", "ssim_images", False),
    "mse_of_mean": ("squares_of_mean", "values", False),
    "mse_missing_of_mean": ("squares_missing_of_mean", "missing", False),
    "mse_missing_8bit_of_mean": ("squares_missing_of_mean", "missing", False),
    "psnr_of_mean": ("psnr_of_mean", "images", False),
    "ssim_of_mean": ("ssim_of_mean", "ssim_images", False),
    "std": ("deviations", "missing", False),
    "crps": ("crps", "missing", False),
    "spread": ("variances", "missing", True),
    "skill": ("squares_missing_of_mean", "missing", True),
    "spread_skill": ("variances", "squares_missing_of_mean", True),
    **{
        f"spread_skill_{label}": (f"variances_{label}", f"squares_of_mean_{label}", True)
        for label in calibration.DISTANCE_BINS
    },
    "coverage_90": ("covered_90", "missing", False),
}
BY_DISTANCE = tuple(f"spread_skill_{label}" for label in calibration.DISTANCE_BINS)
NEEDS_TWO_SAMPLES = ("std", "spread", "spread_skill", *BY_DISTANCE, "coverage_90")


def image_sums(x, samples, mask, known=None, stochastic=True):
    """Returns the sums of one image that every score is made of.

    Args:
        x: true image, `(H, W, C)`; or None, and only the sums of spread are returned.
        samples: `(K, H, W, C)`.
        mask: `(H, W, 1)` or `(H, W, C)`, 1 = observed.
        known: like `mask`, 1 where x is known and is to be scored; None for everywhere.
        stochastic: whether samples differ; False makes the spread of a single one 0.

    Returns:
        dict of floats; with K of at least 2 and x, also of `ranks` `(K + 1,)`, see
        `calibration.rank_counts`.
    """
    shape = samples.shape[1:]
    inside = np.broadcast_to(True if known is None else known, shape) > 0.5
    bins = np.broadcast_to(calibration.distance_bins(np.asarray(mask) > 0.5), shape).reshape(-1)
    at = np.flatnonzero(inside & (np.asarray(mask) <= 0.5))
    sums = {"images": 1.0, "missing": float(len(at))}
    drawn = samples.reshape(len(samples), -1)
    true = None if x is None else np.asarray(x).reshape(-1)
    for start in range(0, max(len(at), 1), _CHUNK):
        part = at[start : start + _CHUNK]
        found = _missing_sums(
            None if x is None else true[part], drawn[:, part], bins[part], stochastic
        )
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums if x is None else sums | _error_sums(np.asarray(x, "float64"), samples, inside)


def _missing_sums(true, drawn, bins, stochastic):
    """Sums over missing values: `true` `(P,)` or None, `drawn` `(K, P)`, `bins` of distance."""
    from scipy import stats

    k, drawn = len(drawn), drawn.astype("float64")
    if k > 1:
        variance = drawn.var(axis=0, ddof=1)
    else:
        variance = np.full(drawn.shape[1], np.nan if stochastic else 0.0)
    spread = (k + 1.0) / k * variance
    sums = {"deviations": np.sqrt(variance).sum(), "variances": spread.sum()}
    if true is None:
        return sums
    squares = (drawn.mean(axis=0) - true) ** 2
    sums["squares_missing"] = ((drawn - true) ** 2).sum() / k
    sums["squares_missing_of_mean"] = squares.sum()
    sums["crps"] = crps(drawn, true).sum()
    for position, label in enumerate(calibration.DISTANCE_BINS):
        there = bins == position
        sums[f"missing_{label}"] = float(there.sum())
        sums[f"variances_{label}"] = spread[there].sum()
        sums[f"squares_of_mean_{label}"] = squares[there].sum()
    quantile = stats.t.ppf((1.0 + INTERVAL) / 2.0, k - 1) if k > 1 else 0.0
    sums["covered_90"] = float((squares <= quantile**2 * spread).sum())
    if k > 1:
        sums["ranks"] = calibration.rank_counts(true, drawn)
    return sums


def _error_sums(x, samples, inside):
    """Sums over all values of the image, one sample at a time."""
    values = float(inside.sum())
    whole = inside.all() and min(x.shape[:2]) >= SSIM_WINDOW

    def errors(image):
        squares = ((image - x) ** 2)[inside].sum()
        return np.array([squares, psnr(squares / max(values, 1)), ssim(image, x) if whole else 0.0])

    found = {
        "": sum(errors(sample.astype("float64")) for sample in samples) / len(samples),
        "_of_mean": errors(samples.mean(axis=0, dtype="float64")),
    }
    sums = {"values": values, "ssim_images": float(whole)}
    for suffix, numbers in found.items():
        for name, number in zip(("squares", "psnr", "ssim"), numbers, strict=True):
            sums[f"{name}{suffix}"] = float(number)
    return sums


class Scores:
    """Collects the scores of any number of batches; see the module for their definitions.

    Args:
        bounded: whether images lie in [-1, 1], as 8 and 16-bit images do. Values of other fields,
            scaled by their own location and scale, may lie outside.
        stochastic: whether samples of an image differ. If not, `std`, `spread` and `spread_skill`
            are 0, also from a single sample.

    Example:

    >>> import numpy as np
    >>> x = np.zeros((1, 16, 16, 3), "float32")
    >>> samples = np.random.default_rng(0).normal(0, 0.1, (1, 10, 16, 16, 3))
    >>> scores = keras_uai.metrics.Scores()
    >>> scores.update(x, samples, mask=np.zeros((1, 16, 16, 1)))
    >>> round(scores.result()["spread_skill"])
    3
    """

    def __init__(self, bounded=True, stochastic=True):
        self.bounded = bounded
        self.stochastic = stochastic
        self.num_samples = None
        self._rows = []

    def update(self, x, samples, mask, known=None):
        """Adds a batch of images of one size.

        Args:
            x: true images, `(N, H, W, C)`; or None (for all batches).
            samples: `(N, K, H, W, C)`; K must be the same in all batches.
            mask: `(N, H, W, 1)` or `(N, H, W, C)`, 1 = observed.
            known: like `mask`, 1 where x is known; None for everywhere.
        """
        wanted = (None, self.num_samples, None, None, None)
        samples = checks.images("samples", samples, wanted, self.bounded)
        shape = (samples.shape[0], *samples.shape[2:])
        known = None if known is None else checks.mask("known", known, shape) > 0.5
        if x is not None:
            x = checks.to_numpy(x)
            scored = x if known is None else np.where(known, x, np.zeros((), x.dtype))
            checks.images("x", scored, shape, self.bounded)
        mask = checks.mask("mask", mask, shape)
        self.num_samples = samples.shape[1]
        for image in range(len(samples)):
            parts = (None if part is None else part[image] for part in (x, samples, mask, known))
            self._rows.append(image_sums(*parts, self.stochastic))

    def extend(self, table, num_samples):
        """Adds the images of an `image_table` of other scores."""
        rows = zip(*table.values(), strict=True)
        self._rows += [dict(zip(table, row, strict=True)) for row in rows]
        self.num_samples = num_samples

    def __len__(self):
        return len(self._rows)

    def image_table(self):
        """Returns the sums of `image_sums` as a dict of float64 arrays `(images, ...)`."""
        if not self._rows:
            raise ValueError("Scores need at least one image: call `update` first. Received: 0")
        return {name: np.array([row[name] for row in self._rows]) for name in self._rows[-1]}

    def result(self):
        """Returns a dict of all scores, and of `images` and `num_samples`."""
        table = self.image_table()
        totals = {name: column.sum(axis=0) for name, column in table.items()}
        scores = {name: float(_ratio(totals, name)) for name in self._names(totals)}
        return {**scores, "images": len(self), "num_samples": self.num_samples}

    def calibration(self, resamples=200, seed=0):
        """Returns `calibration.summarize` of the missing values, or None where there are none.

        `calibration_error_interval` holds the 95% bootstrap interval over images, if `resamples` is
        above 0.
        """
        counts = self.image_table().get("ranks", np.zeros((0, 1)))
        counts = counts[counts.any(axis=1)]
        if not len(counts):
            return None
        result = calibration.summarize(counts.sum(axis=0))
        if resamples:
            generator = np.random.default_rng(seed)
            draws = (generator.choice(len(counts), len(counts)) for _ in range(resamples))
            found = [calibration.summarize(counts[rows].sum(axis=0)) for rows in draws]
            errors = [one["calibration_error"] for one in found]
            result["calibration_error_interval"] = np.quantile(errors, (0.025, 0.975)).tolist()
        return result

    def bootstrap(self, resamples=2000, seed=0):
        """Returns 95% percentile bootstrap intervals, `{score: (low, high)}` (Efron 1979).

        An interval tells how far a score would move with other images of the same kind. It does
        not cover other training runs.
        """
        table = {name: column for name, column in self.image_table().items() if column.ndim == 1}
        columns = np.stack(list(table.values()), axis=1)
        generator = np.random.default_rng(seed)
        shares = np.full(len(self), 1.0 / len(self))
        # Only the number of times that each image is drawn matters.
        draws = (generator.multinomial(len(self), shares) for _ in range(resamples))
        totals = np.array([draw @ columns for draw in draws])
        totals = dict(zip(table, totals.T, strict=True))
        return {name: _interval(_ratio(totals, name)) for name in self._names(totals)}

    def _names(self, totals):
        without = set()
        if not self.stochastic:
            without = {*BY_DISTANCE, "coverage_90"}
        elif self.num_samples < 2:
            without = set(NEEDS_TWO_SAMPLES)
        if not self.bounded:
            without |= {"mse_missing_8bit", "mse_missing_8bit_of_mean"}
        if not np.any(totals.get("ssim_images", 0)):
            without |= {"ssim", "ssim_of_mean"}
        empty = [n for n in calibration.DISTANCE_BINS if not np.any(totals.get(f"missing_{n}", 0))]
        without |= {f"spread_skill_{label}" for label in empty}
        there = [name for name, (*sums, _) in _RATIOS.items() if set(sums) <= set(totals)]
        return [name for name in there if name not in without]


def _interval(values):
    """Quantiles of the resamples that have a value (those with missing pixels in the bin)."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    return tuple(float(v) for v in np.quantile(values, (0.025, 0.975)))


def _ratio(totals, name):
    numerator, denominator, root = _RATIOS[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(totals[numerator]) / np.asarray(totals[denominator])
    ratio = np.where(np.isfinite(ratio), ratio, np.nan)
    if "_8bit" in name:
        ratio = ratio * 127.5**2
    return np.sqrt(ratio) if root else ratio
