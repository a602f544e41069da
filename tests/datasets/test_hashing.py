import numpy as np
import pytest

from keras_uai.datasets import hashing


def test_bits_are_splitmix64():
    """The published outputs of SplitMix64 for the seed 1234567."""
    found = [int(hashing.bits(1234567, step)) for step in range(3)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_path_is_followed_step_by_step():
    assert hashing.bits(5, 1, 2) == hashing.bits(int(hashing.bits(5, 1)), 2)
    assert hashing.bits(5, 1, 2) != hashing.bits(5, 2, 1)


@pytest.mark.parametrize("seed", [0, -1, 2**63, 2**64 + 3])
def test_any_integer_is_a_seed(seed):
    assert hashing.bits(seed, 4) == hashing.bits(seed % 2**64, 4)


def test_uniform_has_the_moments_of_a_uniform():
    u = hashing.uniform(7, np.arange(100_000))
    assert u.min() >= 0.0
    assert u.max() < 1.0
    # Five standard errors of the mean and of the variance.
    assert abs(u.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / 1e5)
    assert abs(u.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / 1e5)
    lag = np.corrcoef(u[:-1], u[1:])[0, 1]
    assert abs(lag) < 5 / np.sqrt(1e5)
