"""How far reconstructions are from the clean images, how much they vary, and whether that variation
is right.

All of it in three steps: `image_sums` (one image and its K samples -> sums, float64), `Scores`
(gathers the sums of any number of batches), and `Scores.result` (sums -> numbers). Images are taken
one at a time, so that a number does not depend on the batch size; sums are kept per image, so that
`Scores.bootstrap` can tell how far to trust a number.

With clean image `x`, samples `x_1 ... x_K` and their mean `m`, all in [-1, 1], over the values
(pixels times channels) of all images together:

| score | what it is |
| --- | --- |
| `mse`, `mse_missing` | mean of (x_k - x)^2 over all samples, all values or the missing ones |
| `psnr`, `ssim` | of one sample, averaged over samples and images (Wang et al. 2004) |
| `mse_of_mean`, ... | the same four for m in place of x_k |
| `std` | standard deviation of the K samples, averaged over missing values |
| `crps` | see `crps`, averaged over missing values |
| `spread` | sqrt((K + 1) / K times the mean variance of the samples), missing values |
| `skill` | root-mean-square error of m over missing values |
| `spread_skill` | spread / skill: 1 = calibrated, below 1 = overconfident, 0 = z is ignored |

`mse` and `std` are the paper's (section 3.4, which takes `std` with K = 10 over 1,000 images); it
does not say how it divides: here, as in the variances, by K - 1. The (K + 1) / K of `spread` makes
`spread_skill` 1 on average for a sampler that is right, whatever K (Fortin et al. 2014).
`std`, `spread` and `spread_skill` need K of at least 2. A score without any value to average (no
missing pixel in the whole data set) is NaN.

Where clean images are known in part only (`known`, as with `keras_uai.metrics.holdout`), everything
is over the known values, and there is no `ssim`. Without clean images, `std` and `spread` are left.
"""

import numpy as np

from keras_uai.metrics import checks

MAX_PSNR = 100.0  # dB; stands for the infinite PSNR of a reconstruction without any error
SSIM_WINDOW, SSIM_SIGMA, SSIM_K1, SSIM_K2 = 11, 1.5, 0.01, 0.03
DATA_RANGE = 2.0
_RESAMPLES_AT_ONCE = 250  # bounds the memory of the bootstrap: as many times images numbers

# score: (sum to divide, what it is divided by, whether a square root follows)
_RATIOS = {
    "mse": ("squares", "values", False),
    "mse_missing": ("squares_missing", "missing", False),
    "psnr": ("psnr", "images", False),
    "ssim": ("ssim", "ssim_images", False),
    "mse_of_mean": ("squares_of_mean", "values", False),
    "mse_missing_of_mean": ("squares_missing_of_mean", "missing", False),
    "psnr_of_mean": ("psnr_of_mean", "images", False),
    "ssim_of_mean": ("ssim_of_mean", "ssim_images", False),
    "std": ("deviations", "missing", False),
    "crps": ("crps", "missing", False),
    "spread": ("variances", "missing", True),
    "skill": ("squares_missing_of_mean", "missing", True),
    "spread_skill": ("variances", "squares_missing_of_mean", True),
}
NEEDS_TWO_SAMPLES = ("std", "spread", "spread_skill")


def psnr(mse):
    """Peak signal-to-noise ratio in dB of a mean squared error of images in [-1, 1]; at most
    `MAX_PSNR`.
    """
    mse = np.asarray(mse, dtype="float64")
    floor = DATA_RANGE**2 * 10.0 ** (-MAX_PSNR / 10.0)
    return 10.0 * np.log10(DATA_RANGE**2 / np.maximum(mse, floor))


def ssim(x, y):
    """Structural similarity of images in [-1, 1]: 11 x 11 Gaussian window of sigma 1.5, no padding
    (Wang et al. 2004).

    Args:
        x, y: `(..., H, W, C)` that broadcast against each other, H and W at least 11.

    Returns:
        float64 `(...)`, averaged over positions and channels; equal to `tf.image.ssim`.
    """
    x, y = np.asarray(x, dtype="float64"), np.asarray(y, dtype="float64")
    height, width = x.shape[-3:-1]
    if min(height, width) < SSIM_WINDOW:
        raise ValueError(
            f"SSIM needs images of at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels. "
            f"Received: {height} x {width}"
        )
    rows, columns = _window_matrix(height), _window_matrix(width)

    def blur(image):  # (..., H, W, C) -> (..., C, H - 10, W - 10)
        return rows @ np.moveaxis(image, -1, -3) @ columns.T

    c1, c2 = (SSIM_K1 * DATA_RANGE) ** 2, (SSIM_K2 * DATA_RANGE) ** 2
    mean_x, mean_y = blur(x), blur(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = blur(x * y) - product
    variances = blur(x * x) + blur(y * y) - squares
    map_ = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return map_.mean(axis=(-3, -2, -1))


def crps(samples, x):
    """Fair continuous ranked probability score of K samples, a value each (Ferro 2014; Gneiting and
    Raftery 2007).

    Args:
        samples: `(K, ...)`; the mean absolute error where K is 1.
        x: `(...)`.

    Returns:
        float64 `(...)`.
    """
    samples, x = np.asarray(samples, dtype="float64"), np.asarray(x, dtype="float64")
    k = len(samples)
    error = np.abs(samples - x).mean(axis=0)
    if k == 1:
        return error
    # sum over pairs of abs(x_j - x_k) = sum over ranks r = 1 ... K of (2 r - K - 1) x_(r)
    weights = 2.0 * np.arange(1, k + 1) - k - 1.0
    pairs = np.tensordot(weights, np.sort(samples, axis=0), axes=1)
    return error - pairs / (k * (k - 1.0))


def image_sums(x, samples, mask, known=None):
    """The sums of one image that every score is made of.

    Args:
        x: clean image, `(H, W, C)`; or None, and only the sums of spread are returned.
        samples: `(K, H, W, C)`.
        mask: `(H, W, 1)` or `(H, W)`, 1 = observed.
        known: like `mask`, 1 where x is known; None where it is known everywhere.

    Returns:
        dict of floats, see the module's table.
    """
    samples = np.asarray(samples, dtype="float64")
    shape = samples.shape[1:3]
    inside = np.ones(shape, bool) if known is None else np.asarray(known).reshape(shape) > 0.5
    missing = inside & (np.asarray(mask).reshape(shape) <= 0.5)
    sums = _spread_sums(samples, missing)
    if x is not None:
        sums |= _error_sums(np.asarray(x, dtype="float64"), samples, missing, inside)
    return sums


def _spread_sums(samples, missing):
    k, drawn = len(samples), samples[:, missing]  # (K, P, C)
    variance = drawn.var(axis=0, ddof=1) if k > 1 else np.full(drawn.shape[1:], np.nan)
    return {
        "images": 1.0,
        "missing": float(variance.size),
        "deviations": np.sqrt(variance).sum(),
        "variances": (k + 1.0) / k * variance.sum(),
    }


def _error_sums(x, samples, missing, inside):
    k = len(samples)
    mean = samples.mean(axis=0)
    squares, squares_of_mean = (samples - x) ** 2, (mean - x) ** 2
    values = inside.sum() * x.shape[-1]
    sums = {
        "values": float(values),
        "squares": squares[:, inside].sum() / k,
        "squares_missing": squares[:, missing].sum() / k,
        "squares_of_mean": squares_of_mean[inside].sum(),
        "squares_missing_of_mean": squares_of_mean[missing].sum(),
        "psnr": psnr(squares[:, inside].sum(axis=(1, 2)) / max(values, 1)).mean(),
        "psnr_of_mean": float(psnr(squares_of_mean[inside].sum() / max(values, 1))),
        "crps": crps(samples[:, missing], x[missing]).sum(),
    }
    large_enough = inside.all() and min(x.shape[:2]) >= SSIM_WINDOW
    sums["ssim_images"] = float(large_enough)
    sums["ssim"] = ssim(samples, x).mean() if large_enough else 0.0
    sums["ssim_of_mean"] = float(ssim(mean, x)) if large_enough else 0.0
    return sums


class Scores:
    """Gathers the scores of any number of batches; see the module for what each is.

    Example:

    >>> scores = keras_uai.metrics.Scores()
    >>> scores.update(x, model.inpaint(y, num_samples=10, seed=0), mask)
    >>> scores.result()["spread_skill"]
    """

    def __init__(self):
        self._rows = []
        self.num_samples = None

    def update(self, x, samples, mask, known=None):
        """Adds a batch.

        Args:
            x: clean images, `(N, H, W, C)` in [-1, 1]; or None (for all batches).
            samples: `(N, K, H, W, C)` in [-1, 1]; K must be the same in all batches.
            mask: `(N, H, W, 1)`, 1 = observed.
            known: `(N, H, W, 1)`, 1 where x is known; None for everywhere.
        """
        x, samples, mask, known = checks.scored(x, samples, mask, known, self.num_samples)
        self.num_samples = samples.shape[1]
        for image in range(len(samples)):
            self._rows.append(
                image_sums(
                    None if x is None else x[image],
                    samples[image],
                    mask[image],
                    None if known is None else known[image],
                )
            )

    @classmethod
    def from_table(cls, table, num_samples):
        """The scores that `image_table` was taken from."""
        scores = cls()
        names = list(table)
        columns = [table[name] for name in names]
        scores._rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        scores.num_samples = num_samples
        return scores

    def __len__(self):
        return len(self._rows)

    def image_table(self):
        """The sums of `image_sums` as a dict of float64 arrays `(number of images,)`."""
        if not self._rows:
            raise ValueError(
                "No image has been scored yet: call `update` first. Received: 0 images."
            )
        return {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}

    def result(self):
        """All scores, and the `images` and `num_samples` they were made from; a dict."""
        table = self.image_table()
        totals = {name: column.sum() for name, column in table.items()}
        scores = {name: float(_ratio(totals, name)) for name in self._names(totals)}
        return {**scores, "images": len(self), "num_samples": self.num_samples}

    def bootstrap(self, confidence=0.95, resamples=2000, seed=0):
        """Percentile bootstrap intervals over images: `{score: (low, high)}` (Efron 1979).

        They say how far a score would move with other images of the same kind; not with another
        training run.
        """
        table = self.image_table()
        generator = np.random.default_rng(seed)
        count = len(self)
        totals = {name: [] for name in table}
        for _ in range(0, resamples, _RESAMPLES_AT_ONCE):
            # How often each image is drawn is all that matters: (resamples, images) of counts.
            draws = generator.multinomial(
                count, np.full(count, 1.0 / count), size=min(resamples, _RESAMPLES_AT_ONCE)
            )
            for name, column in table.items():
                totals[name].append(draws @ column)
        totals = {name: np.concatenate(parts) for name, parts in totals.items()}
        tails = [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]
        return {
            name: tuple(float(v) for v in np.quantile(_ratio(totals, name), tails))
            for name in self._names(totals)
        }

    def _names(self, totals):
        without = set(NEEDS_TWO_SAMPLES) if self.num_samples < 2 else set()
        if not np.any(totals.get("ssim_images", 0)):
            without |= {"ssim", "ssim_of_mean"}
        there = [name for name, (*sums, _) in _RATIOS.items() if set(sums) <= set(totals)]
        return [name for name in there if name not in without]


def _ratio(totals, name):
    numerator, denominator, root = _RATIOS[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(totals[numerator]) / np.asarray(totals[denominator])
    ratio = np.where(np.isfinite(ratio), ratio, np.nan)
    return np.sqrt(ratio) if root else ratio


def _window_matrix(size):
    """Gaussian window as a matrix `(size - 10, size)`: one row a position, no padding."""
    offsets = np.arange(SSIM_WINDOW) - (SSIM_WINDOW - 1) / 2
    window = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    window /= window.sum()
    matrix = np.zeros((size - SSIM_WINDOW + 1, size))
    for row in range(len(matrix)):
        matrix[row, row : row + SSIM_WINDOW] = window
    return matrix
