"""Scores against other implementations, against Gaussians whose answers are known, and by hand."""

import numpy as np
import pytest

from keras_uai.metrics import scores
from keras_uai.metrics.scores import Scores


def normal(shape, seed, scale=0.1):
    return np.random.default_rng(seed).normal(size=shape) * scale


def gathered(x, samples, mask):
    found = Scores()
    found.update(x, samples, mask)
    return found


def test_by_hand():
    x = np.zeros((1, 2, 2, 1))
    mask = np.array([1, 0, 0, 0.0]).reshape(1, 2, 2, 1)
    samples = np.zeros((1, 2, 2, 2, 1))
    samples[0, 0, 0, 1], samples[0, 1, 0, 1] = 0.4, 0.2
    found = gathered(x, samples, mask).result()
    assert found["mse"] == pytest.approx((0.16 + 0.04) / 8)
    assert found["mse_missing"] == pytest.approx((0.16 + 0.04) / 6)
    assert found["mse_of_mean"] == pytest.approx(0.09 / 4)
    assert found["mse_missing_of_mean"] == pytest.approx(0.09 / 3)
    assert found["psnr"] == pytest.approx(np.mean([10 * np.log10(4 / m) for m in (0.04, 0.01)]))
    assert found["psnr_of_mean"] == pytest.approx(10 * np.log10(4 / 0.0225))
    deviation = np.sqrt(2 * 0.01)  # of 0.4 and 0.2, divided by K - 1 = 1
    assert found["std"] == pytest.approx(deviation / 3)
    assert found["spread"] == pytest.approx(np.sqrt(1.5 * 0.02 / 3))
    assert found["skill"] == pytest.approx(np.sqrt(0.09 / 3))
    assert found["spread_skill"] == pytest.approx(np.sqrt(1.5 * 0.02 / 0.09))
    assert found["crps"] == pytest.approx((0.3 - 0.2 / 2) / 3)
    assert found["images"] == 1
    assert found["num_samples"] == 2
    assert "ssim" not in found  # too small for its window


def test_ssim_is_tensorflows_and_scikit_images():
    import tensorflow as tf

    x = np.clip(normal((3, 20, 17, 3), 0, 0.5), -1, 1)
    y = np.clip(x + normal(x.shape, 1, 0.2), -1, 1)
    found = scores.ssim(x, y)
    assert found == pytest.approx(tf.image.ssim(x, y, max_val=2.0).numpy(), abs=1e-6)
    metrics = pytest.importorskip("skimage.metrics")
    for i in range(3):
        other = metrics.structural_similarity(
            x[i], y[i], data_range=2, channel_axis=-1, gaussian_weights=True,
            sigma=1.5, use_sample_covariance=False,
        )  # fmt: skip
        assert found[i] == pytest.approx(other, rel=1e-9)
    assert scores.ssim(x, x) == pytest.approx(1)


def test_ssim_needs_its_window():
    with pytest.raises(ValueError, match="Received: 10 x 20"):
        scores.ssim(np.zeros((10, 20, 1)), np.zeros((10, 20, 1)))


def test_psnr_is_tensorflows_and_finite():
    import tensorflow as tf

    x, y = normal((2, 8, 8, 3), 0), normal((2, 8, 8, 3), 1)
    mse = ((x - y) ** 2).mean(axis=(1, 2, 3))
    assert scores.psnr(mse) == pytest.approx(tf.image.psnr(x, y, 2.0).numpy(), rel=1e-5)
    assert scores.psnr(0.0) == scores.MAX_PSNR


@pytest.mark.parametrize("k", [2, 3, 10])
def test_crps_is_its_double_sum(k):
    samples, x = normal((k, 50), 0), normal(50, 1)
    pairs = np.abs(samples[:, None] - samples[None]).sum(axis=(0, 1))
    expected = np.abs(samples - x).mean(axis=0) - pairs / (2 * k * (k - 1))
    assert scores.crps(samples, x) == pytest.approx(expected, abs=1e-12)


def test_crps_of_one_sample_is_its_absolute_error():
    samples, x = normal((1, 50), 0), normal(50, 1)
    assert scores.crps(samples, x) == pytest.approx(np.abs(samples[0] - x))


@pytest.mark.parametrize("k", [2, 5, 20])
def test_crps_is_fair_on_gaussians(k):
    """For x, x_k ~ N(0, s^2) the CRPS of the distribution is s / sqrt(pi), whatever K."""
    count, s = 40_000, 0.3
    found = scores.crps(normal((k, count), 0, s), normal(count, 1, s))
    assert found.mean() == pytest.approx(s / np.sqrt(np.pi), abs=4 * found.std() / np.sqrt(count))


def test_crps_prefers_the_right_spread():
    x = normal(20_000, 1, 0.3)
    found = {s: scores.crps(normal((5, 20_000), 0, s), x).mean() for s in (0.1, 0.3, 0.6)}
    assert found[0.3] < min(found[0.1], found[0.6])


@pytest.mark.parametrize("k", [2, 4, 10])
def test_an_oracle_sampler_has_spread_skill_one(k):
    """Samples and clean values from one Gaussian a pixel: 1 within the bootstrap's standard
    error.
    """
    shape = (150, 6, 6, 1)
    means = normal(shape, 0)
    x = np.clip(means + normal(shape, 1), -1, 1)
    samples = np.clip(means[:, None] + normal((150, k, 6, 6, 1), 2), -1, 1)
    found = gathered(x, samples, np.zeros(shape))
    low, high = found.bootstrap()["spread_skill"]
    error = (high - low) / 4
    assert found.result()["spread_skill"] == pytest.approx(1, abs=3 * error)
    assert error < 0.05
    assert found.result()["std"] == pytest.approx(0.1 * _c4(k), rel=0.02)


def _c4(k):
    """E of the standard deviation of k standard normal values."""
    from math import gamma

    return np.sqrt(2 / (k - 1)) * gamma(k / 2) / gamma((k - 1) / 2)


@pytest.mark.parametrize(("factor", "expected"), [(0.5, 0.5), (2.0, 2.0)])
def test_spread_skill_tells_too_narrow_and_too_wide(factor, expected):
    """The spread of K = 50 samples is `factor` of the error's, up to the error of their mean."""
    shape = (100, 6, 6, 1)
    samples = normal((100, 50, 6, 6, 1), 2, 0.1 * factor)
    ratio = gathered(normal(shape, 1), samples, np.zeros(shape)).result()["spread_skill"]
    assert ratio == pytest.approx(expected, rel=0.06)


def test_a_sampler_that_ignores_z_has_no_spread():
    x = normal((4, 12, 12, 3), 0)
    samples = np.repeat(normal((4, 1, 12, 12, 3), 1).astype("float32"), 10, axis=1)
    found = gathered(x, samples, np.zeros((4, 12, 12, 1))).result()
    assert found["std"] == 0
    assert found["spread_skill"] == 0
    assert found["mse"] == pytest.approx(found["mse_of_mean"])
    assert found["ssim"] == pytest.approx(found["ssim_of_mean"])


def test_numbers_do_not_depend_on_batches():
    x, samples = normal((7, 12, 12, 3), 0), normal((7, 3, 12, 12, 3), 1)
    mask = (np.random.default_rng(2).random((7, 12, 12, 1)) < 0.3).astype("float32")
    parts = Scores()
    for part in (slice(0, 1), slice(1, 5), slice(5, 7)):
        parts.update(x[part], samples[part], mask[part])
    assert parts.result() == gathered(x, samples, mask).result()


def test_missing_pixels_weigh_the_same_wherever_they_are():
    x = np.zeros((2, 2, 2, 1))
    samples = np.zeros((2, 1, 2, 2, 1))
    samples[0, 0, 0, 0] = 0.6  # the only missing pixel of the first image
    mask = np.zeros((2, 2, 2, 1))
    mask[0] = 1
    mask[0, 0, 0] = 0
    assert gathered(x, samples, mask).result()["mse_missing"] == pytest.approx(0.36 / 5)


def test_one_sample_has_no_std():
    found = gathered(normal((2, 4, 4, 1), 0), normal((2, 1, 4, 4, 1), 1), np.zeros((2, 4, 4, 1)))
    assert not {"std", "spread", "spread_skill"} & set(found.result())
    assert not {"std", "spread", "spread_skill"} & set(found.bootstrap())


def test_nothing_missing_leaves_no_score_of_missing_pixels():
    x = normal((2, 4, 4, 1), 0)
    found = gathered(x, np.repeat(x[:, None], 2, axis=1), np.ones((2, 4, 4, 1))).result()
    assert found["mse"] == 0
    assert np.isnan(found["mse_missing"])
    assert np.isnan(found["spread_skill"])


def test_bootstrap_intervals_are_those_of_a_mean():
    """For a plain mean of independent images, 95% is +- 1.96 standard errors."""
    x = np.zeros((400, 2, 2, 1))
    errors = np.random.default_rng(0).uniform(0, 1, (400, 1, 1, 1, 1)) * np.ones((1, 1, 2, 2, 1))
    found = gathered(x, errors, np.zeros((400, 2, 2, 1)))
    low, high = found.bootstrap()["mse"]
    squares = errors[:, 0, 0, 0, 0] ** 2
    error = squares.std() / 20
    assert (low, high) == pytest.approx(
        (squares.mean() - 1.96 * error, squares.mean() + 1.96 * error), rel=0.03
    )
    assert found.bootstrap() == found.bootstrap()
    assert found.bootstrap(seed=1) != found.bootstrap()


def test_bad_input_is_named():
    x, samples, mask = np.zeros((2, 4, 4, 1)), np.zeros((2, 3, 4, 4, 1)), np.zeros((2, 4, 4, 1))
    found = Scores()
    with pytest.raises(ValueError, match="No image has been scored"):
        found.result()
    found.update(x, samples, mask)
    cases = [
        ((x[0], samples, mask), r"`x` must have shape \(N, H, W, C\).*\(4, 4, 1\)"),
        ((x + 1.5, samples, mask), r"v / 127.5 - 1.*values from 1.5 to 1.5"),
        ((x.astype("uint8"), samples, mask), "dtype uint8"),
        ((x * np.nan, samples, mask), "NaN or infinite.*32 of them, the first at"),
        ((x, samples[:1], mask), r"\(2, 3, 4, 4, 1\).*Received: samples of shape \(1, 3"),
        ((x, samples[:, :2], mask), r"\(2, 3, 4, 4, 1\).*Received: samples of shape \(2, 2"),
        ((x, samples[:, :, :3], mask), r"Received: samples of shape \(2, 3, 3, 4, 1\)"),
        ((x, samples + np.inf, mask), "`samples` holds NaN or infinite"),
        ((x, samples, mask[:, :2]), r"`mask` must have shape \(2, 4, 4, 1\)"),
        ((x, samples, mask + 0.5), "1 .observed. and 0 .missing. only.*0.5"),
        ((x[:0], samples[:0], mask[:0]), "holds no image"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            found.update(*arguments)
    assert len(found) == 2


def test_known_values_only_are_scored():
    """Where x is known in part, everything is over that part, and ssim is not."""
    x, samples = normal((3, 12, 12, 2), 0), normal((3, 4, 12, 12, 2), 1)
    random = np.random.default_rng(2)
    mask, known = (random.random((2, 3, 12, 12, 1)) < 0.5) * 1.0
    found = Scores()
    found.update(x, samples, mask, known)
    inside, scored = (known > 0.5)[..., 0], (known * (1 - mask) > 0.5)[..., 0]
    squares = ((samples - x[:, None]) ** 2).mean(axis=1)
    result = found.result()
    assert result["mse"] == pytest.approx(squares[inside].mean())
    assert result["mse_missing"] == pytest.approx(squares[scored].mean())
    assert result["std"] == pytest.approx(samples.std(axis=1, ddof=1)[scored].mean())
    assert "ssim" not in result
    elsewhere = np.where(known > 0.5, x, 0.9)
    again = Scores()
    again.update(elsewhere, samples, mask, known)
    assert again.result() == result


def test_spread_needs_no_clean_image():
    samples, mask = normal((3, 4, 6, 6, 2), 1), (normal((3, 6, 6, 1), 2) > 0) * 1.0
    without = Scores()
    without.update(None, samples, mask)
    found = gathered(normal((3, 6, 6, 2), 0), samples, mask).result()
    assert without.result() == {
        name: found[name] for name in ("std", "spread", "images", "num_samples")
    }
    assert set(without.bootstrap()) == {"std", "spread"}


def test_scores_of_a_table_are_the_same():
    found = gathered(
        normal((3, 12, 12, 2), 0), normal((3, 4, 12, 12, 2), 1), np.zeros((3, 12, 12, 1))
    )
    again = Scores.from_table(found.image_table(), found.num_samples)
    assert again.result() == found.result()
    assert again.bootstrap() == found.bootstrap()
