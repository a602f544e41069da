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
    parts, whole = Scores(), gathered(x, samples, mask)
    for part in (slice(0, 1), slice(1, 5), slice(5, 7)):
        parts.update(x[part], samples[part], mask[part])
    assert same(parts, whole)
    again = Scores()
    again.extend(whole.image_table(), 3)
    assert same(again, whole)


def same(a, b):
    return str((a.result(), a.calibration(), a.bootstrap())) == str(
        (b.result(), b.calibration(), b.bootstrap())
    )


def test_images_of_any_size_and_pieces_of_them(monkeypatch):
    """Values weigh the same wherever they are, whatever is handled at once."""
    found = Scores()
    parts = [(1, 13, 40), (2, 30, 12)]
    data = [
        (normal((n, h, w, 2), 0), normal((n, 4, h, w, 2), 1), (normal((n, h, w, 1), 2) > 0) * 1.0)
        for n, h, w in parts
    ]
    for batch in data:
        found.update(*batch)
    squares = np.concatenate(
        [((s - x[:, None]) ** 2).mean(axis=1)[m[..., 0] < 0.5].ravel() for x, s, m in data]
    )
    assert found.result()["mse_missing"] == pytest.approx(squares.mean())
    assert found.result()["mse_missing_8bit"] == pytest.approx(squares.mean() * 127.5**2)
    monkeypatch.setattr(scores, "_CHUNK", 100)
    pieces = Scores()
    for batch in data:
        pieces.update(*batch)
    assert pieces.result() == pytest.approx(found.result(), rel=1e-12, nan_ok=True)
    assert np.array_equal(pieces.image_table()["ranks"], found.image_table()["ranks"])


def test_a_mask_a_channel():
    """The same as two data sets of one channel, but for what is of whole images."""
    x, samples = normal((3, 12, 12, 2), 0), normal((3, 4, 12, 12, 2), 1)
    mask = (normal((3, 12, 12, 2), 2) > 0.1) * 1.0
    both = gathered(x, samples, mask).result()
    apart = Scores()
    for c in (slice(0, 1), slice(1, 2)):
        apart.update(x[..., c], samples[..., c], mask[..., c])
    apart = apart.result()
    names = ("mse", "mse_missing", "std", "crps", "spread_skill", "coverage_90", "spread_skill_2_4")
    for name in names:
        assert both[name] == pytest.approx(apart[name]), name


def test_spread_by_distance():
    """A sampler whose spread is half of its error next to observed pixels, and right elsewhere."""
    mask = np.zeros((20, 9, 60, 1))
    mask[:, :, 0] = 1
    column = np.arange(60).reshape(1, 1, -1, 1)
    width = np.where(column < 2, 0.05, 0.1)
    samples = normal((20, 30, 9, 60, 1), 1, 1.0) * width
    found = gathered(normal(mask.shape, 0), samples, mask).result()
    assert found["spread_skill_1"] == pytest.approx(0.5, rel=0.15)
    for name in ("spread_skill_2_4", "spread_skill_5_16", "spread_skill_over_16"):
        assert found[name] == pytest.approx(1.0, rel=0.08)


def test_one_sample_has_no_std():
    found = gathered(normal((2, 4, 4, 1), 0), normal((2, 1, 4, 4, 1), 1), np.zeros((2, 4, 4, 1)))
    assert not set(scores.NEEDS_TWO_SAMPLES) & (set(found.result()) | set(found.bootstrap()))
    certain = Scores(stochastic=False)
    certain.update(normal((2, 4, 4, 1), 0), normal((2, 1, 4, 4, 1), 1), np.zeros((2, 4, 4, 1)))
    assert all(certain.result()[n] == 0 for n in ("std", "spread", "spread_skill"))
    assert certain.result()["crps"] == found.result()["crps"]


def test_nothing_missing_leaves_no_score_of_missing_pixels():
    x = normal((2, 4, 4, 1), 0)
    found = gathered(x, np.repeat(x[:, None], 2, axis=1), np.ones((2, 4, 4, 1)))
    assert found.result()["mse"] == 0
    assert not set(scores.BY_DISTANCE) & set(found.result())
    for name in ("mse_missing", "spread_skill", "coverage_90"):
        assert np.isnan(found.result()[name])
        assert np.isnan(found.bootstrap()[name]).all()


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
    with pytest.raises(ValueError, match=r"at least one image: call `update`"):
        found.result()
    found.update(x, samples, mask)
    cases = [
        ((x + 1.5, samples, mask), r"v / 127.5 - 1.*values from 1.5 to 1.5"),
        ((x.astype("uint8"), samples, mask), "an array of uint8"),
        (
            (x * np.nan, samples, mask),
            r"must be finite.*32 NaN or infinite values",
        ),
        ((x, samples[:, :2], mask), r"\(N, 3, H, W, C\). Received: shape \(2, 2"),
        ((x, samples[:, :, :3], mask), r"`x` must have shape \(2, 3, 4, 1\)"),
        ((x, samples + np.inf, mask), "`samples` must be finite"),
        ((x, samples, mask[:, :2]), r"`mask` must have shape \(2, 4, 4, 1\)"),
        ((x, samples, mask + 0.5), "must hold 1 where a value is observed.*0.5"),
        ((x, samples, mask, mask + 2), "`known` must hold 1"),
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
    for other in (0.9, np.nan):  # never-fill pixels are neither scored nor counted
        again = Scores()
        again.update(np.where(known > 0.5, x, other), samples, mask, known)
        assert str(again.result()) == str(result)


def test_values_of_fields_may_leave_the_range_of_images():
    x, samples, mask = np.full((1, 4, 4, 1), 7.0), np.zeros((1, 2, 4, 4, 1)), np.zeros((1, 4, 4, 1))
    with pytest.raises(ValueError, match="must lie in"):
        Scores().update(x, samples, mask)
    found = Scores(bounded=False)
    found.update(x, samples, mask)
    assert found.result()["mse"] == 49
    assert "mse_missing_8bit" not in found.result()


def test_spread_needs_no_clean_image():
    samples, mask = normal((3, 4, 6, 6, 2), 1), (normal((3, 6, 6, 1), 2) > 0) * 1.0
    without = Scores()
    without.update(None, samples, mask)
    found = gathered(normal((3, 6, 6, 2), 0), samples, mask).result()
    assert without.result() == {
        name: found[name] for name in ("std", "spread", "images", "num_samples")
    }
    assert set(without.bootstrap()) == {"std", "spread"}
