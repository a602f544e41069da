"""Errors of reconstructions: peak signal-to-noise ratio, structural similarity, ranked probability."""

import numpy as np

MAX_PSNR = 100.0  # dB; stands for the infinite PSNR of a reconstruction without any error
SSIM_WINDOW, SSIM_SIGMA, SSIM_K1, SSIM_K2 = 11, 1.5, 0.01, 0.03
DATA_RANGE = 2.0


def psnr(mse):
    """Returns the peak signal-to-noise ratio in dB of a mean squared error of images in [-1, 1].

    It is at most `MAX_PSNR`.
    """
    mse = np.asarray(mse, dtype="float64")
    floor = DATA_RANGE**2 * 10.0 ** (-MAX_PSNR / 10.0)
    return 10.0 * np.log10(DATA_RANGE**2 / np.maximum(mse, floor))


def ssim(x, y):
    """Returns the structural similarity of images in [-1, 1] (Wang et al. 2004).

    The window is Gaussian, 11 x 11, of sigma 1.5, without padding.

    Args:
        x, y: `(..., H, W, C)` that broadcast against each other, H and W at least 11.

    Returns:
        float64 `(...)`, averaged over positions and channels; equal to `tf.image.ssim`.
    """
    from scipy import ndimage

    x, y = np.asarray(x, dtype="float64"), np.asarray(y, dtype="float64")
    if min(x.shape[-3:-1]) < SSIM_WINDOW:
        raise ValueError(
            f"SSIM needs images of at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels. "
            f"Received: {x.shape[-3]} x {x.shape[-2]}"
        )
    margin = SSIM_WINDOW // 2
    window = np.exp(-(np.arange(-margin, margin + 1.0) ** 2) / (2 * SSIM_SIGMA**2))
    window /= window.sum()

    def blur(image):
        for axis in (-3, -2):
            image = ndimage.correlate1d(image, window, axis)
        return image[..., margin:-margin, margin:-margin, :]

    c1, c2 = (SSIM_K1 * DATA_RANGE) ** 2, (SSIM_K2 * DATA_RANGE) ** 2
    mean_x, mean_y = blur(x), blur(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = blur(x * y) - product
    variances = blur(x * x) + blur(y * y) - squares
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return similarity.mean(axis=(-3, -2, -1))


def crps(samples, x):
    """Returns the fair continuous ranked probability score of K samples for each value.

    See Gneiting and Raftery (2007) and Ferro (2014).

    Args:
        samples: `(K, ...)`. With K = 1 the score is the absolute error.
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
