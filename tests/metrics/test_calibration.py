"""Ranks are uniform for an oracle, coverage is nominal, and known cases come out by hand."""

import numpy as np
import pytest

from keras_uai.metrics import calibration
from keras_uai.metrics.scores import Scores


def collect(scale, k=9, count=60):
    """An oracle where scale is 1: a pixel's own mean and width, samples `scale` times as wide."""
    random = np.random.default_rng(0)
    width = random.uniform(0.02, 0.2, (count, 8, 8, 1))
    x = random.normal(size=(count, 8, 8, 1)) * width
    samples = random.normal(size=(count, k, 8, 8, 1)) * width[:, None] * scale
    found = Scores()
    found.update(np.clip(x, -1, 1), np.clip(samples, -1, 1), np.zeros((count, 8, 8, 1)))
    return found


def test_ranks_by_hand():
    x, samples = np.array([0.5, -0.5]), np.array([[0.1], [0.2], [0.6]]) * np.ones(2)
    assert np.array_equal(calibration.rank_counts(x, samples), [1, 0, 1, 0])
    tied = calibration.rank_counts(np.array([-1.0]), np.array([[-1.0], [-1.0], [0.3]]))
    assert tied == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])  # in equal parts


def test_distances_by_hand():
    observed = np.zeros((1, 40, 3), bool)
    observed[0, 0, :2] = observed[0, 3, 1] = True
    bins = calibration.distance_bins(observed)[0]
    first = [0] * 2 + [1] * 3 + [2] * 12 + [3] * 23  # 0 and 1; 2 to 4; 5 to 16; farther
    assert bins[:, 0].tolist() == first
    assert bins[:, 1].tolist() == [0] * 3 + first[:37]
    assert set(bins[:, 2]) == {3}  # no pixel is observed
    diagonal = np.zeros((3, 3, 1), bool)
    diagonal[1, 1] = True
    assert not calibration.distance_bins(diagonal).any()


@pytest.mark.parametrize("k", [2, 3, 10])
def test_coverage_of_uniform_ranks_is_nominal(k):
    found = calibration.summarize(np.full(k + 1, 7.0))
    nominal = found["coverage"]["nominal"]
    assert found["coverage"]["observed"] == pytest.approx(nominal)
    assert found["calibration_error"] == pytest.approx(0)
    assert len(nominal) == k // 2 + 2
    assert (nominal[0], nominal[-1]) == (0, 1)
    assert (np.diff(nominal) > 0).all()


def test_an_oracle_is_calibrated_and_other_samplers_fall_on_their_sides():
    found, narrow, wide = (collect(scale).calibration() for scale in (1.0, 0.4, 2.5))
    assert found["ranks"] == pytest.approx(np.full(10, 0.1), abs=4 * np.sqrt(0.09 / (60 * 64)))
    assert found["coverage"]["observed"] == pytest.approx(found["coverage"]["nominal"], abs=0.04)
    assert found["calibration_error"] < 0.02
    low, high = found["calibration_error_interval"]
    assert low <= found["calibration_error"] <= high
    covered = {n: np.array(narrow["coverage"][n])[1:-1] for n in ("nominal", "observed")}
    assert (covered["observed"] < covered["nominal"]).all()
    assert (np.array(wide["coverage"]["observed"])[1:-1] > covered["nominal"]).all()
    assert narrow["ranks"][0] > 0.2 > 0.06 > wide["ranks"][0]


@pytest.mark.parametrize("k", [2, 5, 20])
@pytest.mark.parametrize(("scale", "expected"), [(1.0, 0.9), (0.5, 0.59), (2.0, 0.999)])
def test_coverage_of_90_percent_intervals(k, scale, expected):
    """Of normal samples it is 90% for any K; of half the width 2 Phi(0.82) - 1 for many samples."""
    found = collect(scale, k).result()["coverage_90"]
    if scale == 1.0:
        assert found == pytest.approx(expected, abs=4 * np.sqrt(0.09 / (60 * 64)))
    elif k == 20:
        assert found == pytest.approx(expected, abs=0.02)
    else:
        assert (found - 0.9) * (expected - 0.9) > 0


def test_without_spread_nothing_is_covered():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 1))
    found = Scores()
    found.update(x, np.zeros((2, 10, 4, 4, 1)), np.zeros((2, 4, 4, 1)))
    assert found.calibration()["coverage"]["observed"] == [0, 0, 0, 0, 0, 0, 1]
    assert found.result()["coverage_90"] == 0


def test_images_without_a_missing_value_have_no_say():
    x, mask = np.zeros((2, 4, 4, 1)), np.ones((2, 4, 4, 1))
    found, one = Scores(), Scores()
    found.update(x, np.zeros((2, 2, 4, 4, 1)), mask)
    assert found.calibration() is None
    mask[0, 0, 0] = 0
    found.update(x, np.zeros((2, 2, 4, 4, 1)), mask)
    low, high = found.calibration()["calibration_error_interval"]
    assert low == high
    one.update(x, np.zeros((2, 1, 4, 4, 1)), mask)
    assert one.calibration() is None
