"""NetCDF: written by xarray, filled by a stand-in, opened again."""

import h5netcdf
import numpy as np
import pytest
import xarray as xr

from tests.fields.files.making import COMMAND, dataset, filled, gaps, raw, write_dataset
from tests.testing import same_bits

#: Stored dtype and attributes of a variable with gaps, and the number that marks them.
VARIABLES = {
    "float": ("float32", {"_FillValue": np.float32(-999)}, -999),
    "NaN": ("float64", {}, np.nan),
    "packed": (
        "int16",
        {"_FillValue": np.int16(-1), "scale_factor": 0.01, "add_offset": 273.15},
        -1,
    ),
    "missing_value": ("int16", {"missing_value": np.int16(7)}, 7),
    "unsigned": (
        "int8",
        {"_FillValue": np.int8(-1), "_Unsigned": "true", "scale_factor": np.float32(0.5)},
        -1,
    ),
    "valid_range": ("int16", {"valid_range": np.array([0, 100], "int16")}, 101),
}


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("kind", VARIABLES)
def test_netcdf(tmp_path, kind, engine):
    """Oracle: xarray's own decoding."""
    dtype, attributes, mark = VARIABLES[kind]
    path = write_dataset(tmp_path / "in.nc", dataset(dtype, attributes, mark), engine)
    before = xr.load_dataset(path, engine=engine, decode_cf=False)
    filled(path, tmp_path / "out.nc", variable="sst", never_fill="land")
    after, decoded = raw(tmp_path / "out.nc"), xr.load_dataset(tmp_path / "out.nc")

    assert set(after.variables) == {*before.variables, "sst_std", "sst_samples", "realization"}
    for name in set(before.variables) - {"sst"}:
        xr.testing.assert_identical(before[name].variable, after[name].variable)
    history = after.attrs.pop("history").split("\n")
    assert history[0] == before.attrs.pop("history")
    assert history[1].endswith(f"Z {COMMAND}")
    assert after.attrs == before.attrs
    assert after.sst.attrs.pop("ancillary_variables") == "quality sst_std"
    before.sst.attrs.pop("ancillary_variables")
    assert sorted(map(str, after.sst.attrs.items())) == sorted(map(str, before.sst.attrs.items()))
    assert after.sst.dtype == before.sst.dtype

    land = np.broadcast_to(before.land == 1, gaps().shape)
    where = gaps() & ~land
    same_bits(after.sst.values[~where], before.sst.values[~where])
    known = xr.decode_cf(before).sst.values[~gaps()]
    scale = attributes.get("scale_factor", 1.0)
    step = 0.0 if dtype.startswith("float") else 0.5 * scale
    got = decoded.sst.values[where]
    np.testing.assert_allclose(got, known.mean(), atol=step + 1e-5)
    assert decoded.sst_std.dtype == ("float64" if dtype == "float64" else "float32")
    assert decoded.sst_std.attrs["units"] == "K"
    assert decoded.sst_std.attrs["long_name"] == "standard deviation of temperature"
    assert decoded.sst_std.attrs["standard_name"] == "sea_surface_temperature standard_error"
    expected = np.where(where, 1.0, np.where(gaps(), np.nan, 0.0))
    np.testing.assert_array_equal(decoded.sst_std, expected)
    assert decoded.sst_samples.dims == ("realization", "time", "lat", "lon")
    same_bits(after.sst_samples.values[0], after.sst.values)
    rise = decoded.sst_samples.values[:, where].mean(axis=1)
    np.testing.assert_allclose(np.diff(rise), 1.0, atol=2 * step + 1e-4)
    assert decoded.realization.attrs["standard_name"] == "realization"
    with h5netcdf.File(tmp_path / "out.nc") as file:
        assert file.dimensions["time"].isunlimited() == (engine == "h5netcdf")


def test_netcdf_groups_compression_and_single_depths_are_kept(tmp_path):
    path, out = tmp_path / "in.nc", tmp_path / "out.nc"
    data = dataset()
    data["sst"] = data.sst.expand_dims(depth=1, axis=1)
    data.sst.encoding = {"zlib": True, "chunksizes": (1, 1, 6, 8)}
    write_dataset(path, data)
    with h5netcdf.File(path, "a") as file:
        group = file.create_group("flags")
        group.create_variable("kept", ("time",), "i4", data=np.arange(3))
    field = filled(path, out, save_samples=False, variable="sst")
    assert field.data().dims == ("time", "lat", "lon")
    with h5netcdf.File(out) as file:
        assert file["flags/kept"][:].tolist() == [0, 1, 2]
        assert file["sst"].compression == "gzip"
        assert file["sst"].chunks == (1, 1, 6, 8)
    assert raw(out).sst_std.dims == ("time", "depth", "lat", "lon")


def test_several_variables_of_netcdf(tmp_path):
    path, out = tmp_path / "in.nc", tmp_path / "out.nc"
    write_dataset(path, dataset())
    field = filled(path, out, variable="sst,quality", never_fill="land", mask="land=0")
    assert set(field.data().data_vars) == {"sst", "quality"}
    assert field.data().time.dtype.kind == "M"
    after = xr.load_dataset(out)
    land = raw(path).land.values == 1
    for name in ("sst", "quality"):
        assert not np.isnan(after[name].values[:, ~land]).any()
        assert after[f"{name}_samples"].sizes["realization"] == 3
