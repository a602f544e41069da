"""Stored numbers and the values that they stand for."""

import numpy as np
import pytest

from keras_uai.fields.files import Encoding
from tests.testing import same_bits


@pytest.mark.parametrize(
    ("encoding", "given", "stored"),
    [
        (Encoding("uint8"), [-3, 0.4, 0.6, 300], [0, 0, 1, 255]),
        (Encoding("uint8", marks=(255,)), [254.9, 300], [254, 254]),
        (Encoding("uint8", marks=(0,)), [-1, 0.3], [1, 1]),
        (Encoding("int16", 0.5, 10.0, marks=(2,)), [10.9, 11.1], [1, 3]),
        (Encoding("int16", marks=(-9999, 1e20)), [-9999.2, -9999, -9998.8], [-10000, -9998, -9998]),
        (Encoding("int16", limits=(0, 100)), [-5, 500], [0, 100]),
        (Encoding("int64"), [1e300, -1e300], [2**63 - 1024, -(2**63)]),
        (Encoding("float32", marks=(0.0,)), [0.0, 1.0], [np.nextafter(np.float32(0), 1), 1]),
        (Encoding("float32", limits=(0.0, 1.0)), [-0.1, 0.5], [0, 0.5]),
    ],
)
def test_values_are_rounded_clipped_and_never_a_mark(encoding, given, stored):
    same_bits(encoding.encode(np.array(given)), np.array(stored, encoding.dtype))


@pytest.mark.parametrize("mark", [-3.4028234663852886e38, -3.40282346638529e38, -np.inf])
def test_extreme_floats_are_marks(mark):
    """Headers give the lowest float32 with 15 digits, which is below it."""
    stored = np.array([1.0, max(mark, np.finfo("float32").min), np.nan], "float32")
    stored[1] = mark if np.isinf(mark) else stored[1]
    np.testing.assert_array_equal(Encoding("float32", marks=(mark,)).missing(stored), [0, 1, 1])


@pytest.mark.parametrize("dtype", ["bool", "complex64", "U3"])
def test_values_must_be_numbers(dtype):
    with pytest.raises(ValueError, match="Values must be integers or floats"):
        Encoding(dtype)
