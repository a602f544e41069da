"""Errors against TensorFlow, scikit-image, double sums and Gaussians of known answers."""

import numpy as np
import pytest

from keras_uai.metrics import errors
from tests.metrics.test_scores import normal


def test_ssim_is_tensorflows():
    import tensorflow as tf

    x = np.clip(normal((3, 20, 17, 3), 0, 0.5), -1, 1)
    y = np.clip(x + normal(x.shape, 1, 0.2), -1, 1)
    found = [errors.ssim(*pair) for pair in zip(x, y, strict=True)]
    assert found == pytest.approx(tf.image.ssim(x, y, max_val=2.0).numpy(), abs=1e-6)
    assert errors.ssim(x[0], x[0]) == pytest.approx(1)


def test_psnr_is_tensorflows_and_finite():
    import tensorflow as tf

    x, y = normal((2, 8, 8, 3), 0), normal((2, 8, 8, 3), 1)
    mse = ((x - y) ** 2).mean(axis=(1, 2, 3))
    assert errors.psnr(mse) == pytest.approx(tf.image.psnr(x, y, 2.0).numpy(), rel=1e-5)
    assert errors.psnr(0.0) == errors.MAX_PSNR


@pytest.mark.parametrize("k", [2, 3, 10])
def test_crps_is_its_double_sum(k):
    samples, x = normal((k, 50), 0), normal(50, 1)
    pairs = np.abs(samples[:, None] - samples[None]).sum(axis=(0, 1))
    expected = np.abs(samples - x).mean(axis=0) - pairs / (2 * k * (k - 1))
    assert errors.crps(samples, x) == pytest.approx(expected, abs=1e-12)


def test_crps_of_one_sample_is_its_absolute_error():
    samples, x = normal((1, 50), 0), normal(50, 1)
    assert errors.crps(samples, x) == pytest.approx(np.abs(samples[0] - x))


@pytest.mark.parametrize("k", [2, 5, 20])
def test_crps_is_fair_on_gaussians(k):
    """For x, x_k ~ N(0, s^2) the CRPS of the distribution is s / sqrt(pi), whatever K."""
    count, s = 40_000, 0.3
    found = errors.crps(normal((k, count), 0, s), normal(count, 1, s))
    assert found.mean() == pytest.approx(s / np.sqrt(np.pi), abs=4 * found.std() / np.sqrt(count))
