"""Several files that are times of one series."""

import os

import numpy as np
import pytest
import rasterio
import xarray as xr

from keras_uai.fields.files import open_field
from tests.fields import stand_in
from tests.fields.files.making import (
    COMMAND,
    dataset,
    gaps,
    make,
    only_sst,
    values,
    write_dataset,
    write_scene,
)
from tests.testing import same_bits


@pytest.mark.parametrize("kind", ["nc", "geo.tif", "npy", "fits"])
def test_a_series_of_files(tmp_path, kind):
    """Each file comes back as if it had been filled with the values of all."""
    paths = [make(kind, tmp_path)]
    os.rename(paths[0], paths[0].replace("in", "a"))
    paths.append(make(kind, tmp_path))
    paths[0] = paths[0].replace("in", "a")
    if kind == "nc":
        data = xr.load_dataset(paths[1], decode_cf=False)
        data["time"] = (data.time + 3).assign_attrs(data.time.attrs)
        write_dataset(paths[1], data)
    field = open_field(*paths, **only_sst(kind))
    frames = 2 if kind == "geo.tif" else 6
    data = field.data()
    assert data.shape == ((2, 40, 50, 2) if kind == "geo.tif" else (6, 6, 8))
    assert field.never_fill() is None
    result = stand_in.fill(data, num_samples=3)
    rise = np.arange(float(frames)).reshape(-1, *[1] * (data.ndim - 1))
    result = result._replace(best=result.best + rise)
    field.write(str(tmp_path / "out"), result, COMMAND, True)
    start = 0
    for path in paths:
        before = open_field(path, **only_sst(kind))
        after = open_field(os.path.join(tmp_path, "out", os.path.basename(path)), **only_sst(kind))
        array = after.array if kind != "nc" else after.arrays()[0]
        gone = before.arrays()[0].missing
        same_bits(array.stored[~gone], before.arrays()[0].stored[~gone])
        part = np.asarray(result.best)[start : start + (1 if kind == "geo.tif" else 3)]
        expected = part[0] if kind == "geo.tif" else part
        np.testing.assert_allclose(array.stored[gone], expected[gone], atol=0.51)
        start += len(part)


def test_a_series_of_single_frames(tmp_path):
    """Frames `(H, W)`, one of which is missing altogether."""
    for i in range(3):
        frame = values(seed=i)[0]
        frame[gaps((6, 8)) | (i == 1)] = np.nan
        np.save(tmp_path / f"{i}.npy", frame)
        coordinates = {"lat": np.arange(6.0), "lon": np.arange(8.0)}
        xr.DataArray(frame, coordinates, ("lat", "lon"), "sst").to_netcdf(
            tmp_path / f"{i}.nc", engine="h5netcdf"
        )
    never = np.zeros((6, 8), bool)
    never[0] = True
    np.save(tmp_path / "never.npy", never)
    for kind in ("npy", "nc"):
        paths = [str(tmp_path / f"{i}.{kind}") for i in range(3)]
        field = open_field(*paths, never_fill=str(tmp_path / "never.npy"))
        assert field.data().shape == (3, 6, 8)
        assert field.never_fill().shape == (6, 8)
        result = stand_in.fill(field.data(), never_fill=field.never_fill())
        field.write(str(tmp_path / "out"), result, COMMAND, True)
    for i in range(3):
        with xr.open_dataset(tmp_path / "out" / f"{i}.nc") as found:
            assert found.sst.dims == ("lat", "lon")
            same_bits(found.sst.values, np.load(tmp_path / "out" / f"{i}.npy"))
            assert np.isnan(found.sst_std.values[0]).any()
            assert not np.isnan(found.sst.values[1:]).any()
            assert found.sst_samples.shape == (10, 6, 8)


def test_files_of_a_series_must_fit(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 6, 8)))
    np.save(tmp_path / "b.npy", np.ones((3, 6, 9)))
    write_scene(tmp_path / "a.tif", nodata=-9999)
    write_scene(tmp_path / "b.tif", nodata=-9999, transform=rasterio.Affine.scale(2.0))
    for kind in ("npy", "tif"):
        with pytest.raises(ValueError, match=r"one format, grid and number of channels. .*b\."):
            open_field(str(tmp_path / f"a.{kind}"), str(tmp_path / f"b.{kind}"))
    write_dataset(tmp_path / "a.nc", dataset())
    write_dataset(tmp_path / "b.nc", dataset().assign_coords(lat=np.arange(6.0)))
    field = open_field(str(tmp_path / "a.nc"), str(tmp_path / "b.nc"), variable="sst")
    with pytest.raises(ValueError, match=r"the same coordinates of space, .* Received: .*a\.nc"):
        field.data()
