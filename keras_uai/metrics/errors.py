"""Errors of reconstructions: signal-to-noise ratio, structural similarity, ranked probability."""

import numpy as np

MAX_PSNR = 100.0  # dB; stands for the infinite PSNR of a reconstruction without any error
SSIM_WINDOW = 11  # pixels
DATA_RANGE = 2.0


def psnr(mse):
    """Returns the peak signal-to-noise ratio in dB, at most `MAX_PSNR`, of a mean squared error of
    images in [-1, 1].
    """
    return 10.0 * np.log10(DATA_RANGE**2 / np.maximum(mse, DATA_RANGE**2 * 10 ** (-MAX_PSNR / 10)))


def ssim(x, y):
    """Returns the structural similarity of two images `(H, W, C)` in [-1, 1] (Wang et al. 2004).

    The window is Gaussian, 11 x 11, of sigma 1.5, without padding, as in `tf.image.ssim`.
    """
    from skimage.metrics import structural_similarity

    x, y = np.asarray(x, dtype="float64"), np.asarray(y, dtype="float64")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(x, y, data_range=DATA_RANGE, channel_axis=-1, **options)


def crps(samples, x):
    """Returns the fair continuous ranked probability score of samples `(K, ...)` of x `(...)`.

    It is float64 `(...)`, with K = 1 the absolute error. See Gneiting and Raftery (2007) and Ferro
    (2014).
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
