""".npy and .npz files, filled by a stand-in."""

import numpy as np
import pytest

from tests.fields.files.making import filled, gaps, values
from tests.testing import same_bits


@pytest.mark.parametrize("dtype", ["float16", "float32", "int16", "uint8"])
@pytest.mark.parametrize("shape", [(6, 8), (3, 6, 8), (3, 6, 8, 2)])
def test_npy(tmp_path, shape, dtype):
    path, out = tmp_path / "in.npy", tmp_path / "out.npy"
    stored, missing = values(shape, dtype), gaps(shape)
    stored[missing] = 99
    np.save(path, stored)
    filled(path, out, nodata=99)
    got = np.load(out)
    same_bits(got[~missing], stored[~missing])
    atol = 0.5 if dtype[0] != "f" else 0.05
    np.testing.assert_allclose(
        got[missing].astype(float), stored[~missing].astype(float).mean(), atol=atol
    )
    np.testing.assert_array_equal(np.load(tmp_path / "out_std.npy"), missing)
    assert np.load(tmp_path / "out_samples.npy").shape == (3, *shape)


def test_npz(tmp_path):
    path, out = tmp_path / "in.npz", tmp_path / "out.npz"
    stored, seen, never = values(dtype="uint16"), ~gaps(), np.zeros((6, 8), bool)
    never[0] = True
    np.savez(path, data=stored, mask=seen, never_fill=never, lat=np.arange(6))
    filled(path, out)
    with np.load(out) as found:
        assert set(found) == {"data", "mask", "never_fill", "lat", "std", "samples"}
        where = ~seen & ~never
        same_bits(found["data"][~where], stored[~where])
        np.testing.assert_allclose(found["data"][where], stored[seen].mean(), atol=0.5)
        np.testing.assert_array_equal(found["lat"], np.arange(6))
