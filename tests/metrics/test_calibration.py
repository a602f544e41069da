"""Ranks are uniform for an oracle, coverage is its nominal value, and known cases come out by
hand.
"""

import numpy as np
import pytest

from keras_uai.metrics import calibration
from keras_uai.metrics.calibration import Calibration


def gather(scale, k=9, count=60):
    """An oracle where scale is 1: a pixel's own mean and width, samples `scale` times as wide."""
    random = np.random.default_rng(0)
    width = random.uniform(0.02, 0.2, (count, 8, 8, 1))
    x = random.normal(size=(count, 8, 8, 1)) * width
    samples = random.normal(size=(count, k, 8, 8, 1)) * width[:, None] * scale
    found = Calibration()
    found.update(np.clip(x, -1, 1), np.clip(samples, -1, 1), np.zeros((count, 8, 8, 1)))
    return found


def test_ranks_by_hand():
    x = np.array([[0.5, -0.5]])[..., None]
    samples = np.array([0.1, 0.2, 0.6]).reshape(3, 1, 1, 1) * np.ones((3, 1, 2, 1))
    assert np.array_equal(calibration.rank_counts(x, samples, np.zeros((1, 2))), [1, 0, 1, 0])
    observed = np.array([[1, 0]])
    assert np.array_equal(calibration.rank_counts(x, samples, observed), [1, 0, 0, 0])


def test_ties_count_in_equal_parts():
    x = np.full((1, 1, 1), -1.0)
    samples = np.array([-1.0, -1.0, 0.3]).reshape(3, 1, 1, 1)
    assert calibration.rank_counts(x, samples, np.zeros((1, 1))) == pytest.approx(
        [1 / 3, 1 / 3, 1 / 3, 0]
    )


@pytest.mark.parametrize("k", [2, 3, 10])
def test_coverage_of_uniform_ranks_is_nominal(k):
    nominal, observed = calibration.coverage(np.full(k + 1, 1 / (k + 1)))
    assert observed == pytest.approx(nominal)
    assert len(nominal) == k // 2 + 2
    assert nominal[0] == 0
    assert nominal[-1] == 1
    assert (np.diff(nominal) > 0).all()


def test_an_oracle_is_calibrated():
    found = gather(1.0).result()
    values = 60 * 64
    assert found["ranks"] == pytest.approx(np.full(10, 0.1), abs=4 * np.sqrt(0.09 / values))
    assert found["coverage"]["observed"] == pytest.approx(found["coverage"]["nominal"], abs=0.04)
    assert found["calibration_error"] < 0.02


def test_the_error_of_an_oracle_is_its_spread():
    """Values are binned by an estimate of their spread, which is good with many samples."""
    bins = gather(1.0, k=100).result()["spread_error"]
    assert sum(bins["share"]) == pytest.approx(1)
    filled = np.array(bins["share"]) > 0.1
    assert np.array(bins["error"])[filled] == pytest.approx(
        np.array(bins["spread"])[filled], rel=0.1
    )


def test_too_narrow_and_too_wide_fall_on_their_sides():
    narrow, wide = gather(0.4).result(), gather(2.5).result()
    inner = slice(1, -1)
    nominal = np.array(narrow["coverage"]["nominal"])[inner]
    assert (np.array(narrow["coverage"]["observed"])[inner] < nominal).all()
    assert (np.array(wide["coverage"]["observed"])[inner] > nominal).all()
    assert narrow["ranks"][0] > 0.2 > 0.06 > wide["ranks"][0]


def test_without_spread_nothing_is_covered():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 1))
    found = Calibration()
    found.update(x, np.zeros((2, 10, 4, 4, 1)), np.zeros((2, 4, 4, 1)))
    assert found.result()["coverage"]["observed"] == [0, 0, 0, 0, 0, 0, 1]
    assert found.result()["spread_error"]["spread"] == [0]


def test_batches_change_nothing():
    random = np.random.default_rng(0)
    x, samples = random.uniform(-1, 1, (5, 4, 4, 2)), random.uniform(-1, 1, (5, 3, 4, 4, 2))
    mask = (random.random((5, 4, 4, 1)) < 0.5) * 1.0
    whole, parts = Calibration(), Calibration()
    whole.update(x, samples, mask)
    for part in (slice(0, 2), slice(2, 5)):
        parts.update(x[part], samples[part], mask[part])
    assert whole.result() == parts.result()


def test_bad_input_is_named():
    x, mask = np.zeros((1, 4, 4, 1)), np.zeros((1, 4, 4, 1))
    with pytest.raises(ValueError, match=r"at least 2 samples.*Received: 1"):
        Calibration().update(x, np.zeros((1, 1, 4, 4, 1)), mask)
    with pytest.raises(ValueError, match="No image"):
        Calibration().result()
    found = Calibration()
    found.update(x, np.zeros((1, 2, 4, 4, 1)), mask + 1)
    with pytest.raises(ValueError, match="no missing pixel"):
        found.result()
