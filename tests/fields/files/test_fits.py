"""FITS: written by astropy, filled by a stand-in, opened again."""

import warnings

import astropy.io.fits
import numpy as np
import pytest

from tests.fields.files.making import COMMAND, filled, gaps, values, write_fits
from tests.testing import same_bits


@pytest.mark.parametrize(
    ("dtype", "header", "mark"),
    [
        ("float32", {}, np.nan),
        ("float64", {}, np.nan),
        ("int16", {"BLANK": -32768}, -32768),
        ("int32", {"BLANK": -1, "BSCALE": 0.25, "BZERO": 100.0}, -1),
        ("uint8", {"BLANK": 255}, 255),
        ("int16", {"BLANK": -32768, "BZERO": 32768}, -32768),
    ],
)
def test_fits(tmp_path, dtype, header, mark):
    path, out = tmp_path / "in.fits", tmp_path / "out.fits"
    stored = values(dtype=dtype)
    stored[gaps()] = mark
    write_fits(path, stored, header)
    never = np.zeros((6, 8), bool)
    never[:2] = True
    np.save(tmp_path / "never.npy", never)
    filled(path, out, never_fill=str(tmp_path / "never.npy"))
    where = gaps() & ~never
    opened = {"do_not_scale_image_data": True}
    with (
        astropy.io.fits.open(path, **opened) as before,
        astropy.io.fits.open(out, checksum=True, **opened) as after,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")  # checksums
        assert [hdu.name for hdu in after] == [*(hdu.name for hdu in before), "ERR", "SAMPLES"]
        same_bits(after[1].data[~where], before[1].data[~where])
        assert (after[1].data[where] != mark).all()
        assert COMMAND in "".join(after[1].header["HISTORY"]).replace("\n", "")
        ours = ("HISTORY", "CHECKSUM", "DATASUM")
        for a, b in zip(before, after, strict=False):
            kept = {k: v for k, v in a.header.items() if k not in ours}
            assert kept == {k: v for k, v in b.header.items() if k not in ours}
        assert (after[2].data["a"] == before[2].data["a"]).all()
        assert after["ERR"].header["CRPIX1"] == 3.5
        assert after["ERR"].header["BUNIT"] == "adu"
        expected = np.where(where, 1.0, np.where(gaps(), np.nan, 0.0))
        np.testing.assert_array_equal(after["ERR"].data, expected)
        same_bits(after["SAMPLES"].data[0], after[1].data)
    with astropy.io.fits.open(path) as before, astropy.io.fits.open(out) as after:
        mean = before[1].data[~gaps()].astype("float64").mean()
        step = 1e-4 if dtype.startswith("f") else 0.5 * header.get("BSCALE", 1)
        np.testing.assert_allclose(after[1].data[where].astype("float64"), mean, atol=step)
        rise = np.diff(after["SAMPLES"].data[:, where].astype("float64").mean(axis=1))
        np.testing.assert_allclose(rise, 1.0, atol=2 * step)


def test_nodata_of_fits_is_a_value(tmp_path):
    """Unsigned integers are stored with an offset of 32768."""
    stored = values((6, 8), "uint16")
    stored[gaps((6, 8))] = 0
    write_fits(tmp_path / "in.fits", stored)
    filled(tmp_path / "in.fits", tmp_path / "out.fits", nodata=0.0)
    with astropy.io.fits.open(tmp_path / "out.fits") as after:
        assert after[1].data.dtype == np.uint16
        assert after["SAMPLES"].data.dtype == np.uint16
        same_bits(after[1].data[~gaps((6, 8))], stored[~gaps((6, 8))])
        assert (after[1].data != 0).all()


@pytest.mark.parametrize(("bits", "flags"), [(None, 1 | 4 | 8), ([1, 4], 1 | 4), ([8], 8)])
def test_data_quality_of_fits(tmp_path, bits, flags):
    """Chosen bits are missing; ERR of the file is kept where the image was observed."""
    path, out = tmp_path / "in.fits", tmp_path / "out.fits"
    stored, error = values((6, 8)), values((6, 8), seed=5)
    dq = np.random.default_rng(2).choice([0, 0, 1, 4, 8, 9], (6, 8)).astype("int32")
    write_fits(path, stored, dq=dq, error=error)
    filled(path, out, save_samples=False, dq="DQ", dq_bits=bits)
    missing = dq & flags != 0
    with astropy.io.fits.open(out) as after:
        same_bits(after["SCI"].data[~missing], stored.astype(">f4")[~missing])
        np.testing.assert_allclose(after["SCI"].data[missing], stored[~missing].mean(), rtol=1e-5)
        np.testing.assert_array_equal(after["ERR"].data, np.where(missing, 1.0, error))
        np.testing.assert_array_equal(after["DQ"].data, dq)
        assert [hdu.name for hdu in after] == ["PRIMARY", "SCI", "", "DQ", "ERR"]
