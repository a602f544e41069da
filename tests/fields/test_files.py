"""Files with gaps: written by their own libraries, filled by a stand-in, opened again."""

import functools
import os
import re
import sys
import warnings

import astropy.io.fits
import h5netcdf
import numpy as np
import pytest
import rasterio
import tifffile
import xarray as xr
from PIL import Image

from keras_uai import atomic, files
from keras_uai.fields.files import Encoding, StoredArray, open_field
from tests.fields import stand_in
from tests.strategies import attempt
from tests.testing import same_bits

COMMAND = "keras-uai fill in --out=out"


def values(shape=(3, 6, 8), dtype="float32", low=10, high=60, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def gaps(shape=(3, 6, 8), seed=1):
    return np.random.default_rng(seed).random(shape) < 0.3


def filled(path, out, save_samples=True, **options):
    """Opens, fills and writes a file; returns the opened field."""
    field = open_field(str(path), **options)
    result = stand_in.fill(field.data(), num_samples=3, never_fill=field.never_fill())
    field.write(str(out), result, COMMAND, save_samples)
    return field


# -- numbers ---------------------------------------------------------------------------------------


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


# -- NetCDF ----------------------------------------------------------------------------------------

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


def dataset(dtype="float32", attributes=None, mark=np.nan, mask=None):
    """A data set as it is stored, with a variable `sst`, and others."""
    stored = values(dtype=dtype)
    stored[gaps() if mask is None else mask] = mark
    about = {"units": "K", "standard_name": "sea_surface_temperature", "long_name": "temperature"}
    about |= {"grid_mapping": "crs", "ancillary_variables": "quality"}
    time = np.arange(3.0), {"units": "days since 2017-01-01", "standard_name": "time"}
    land = np.zeros((6, 8), "int8")
    land[:2] = 1
    return xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), stored, {**about, **(attributes or {})}),
            "land": (("lat", "lon"), land, {"flag_values": np.array([0, 1], "int8")}),
            "quality": (
                ("time", "lat", "lon"),
                values(dtype="int16"),
                {"_FillValue": np.int16(12)},
            ),
            "crs": ((), np.int32(0), {"grid_mapping_name": "latitude_longitude"}),
            "time": ("time", *time),
            "lat": ("lat", np.linspace(30, 35, 6, dtype="float32"), {"units": "degrees_north"}),
            "lon": ("lon", np.linspace(-5, 2, 8, dtype="float32"), {"units": "degrees_east"}),
        },
        attrs={"Conventions": "CF-1.8", "title": "a test", "history": "2017 made"},
    )


def write_dataset(path, data, engine="h5netcdf"):
    for variable in data.variables.values():
        variable.encoding["_FillValue"] = variable.attrs.pop("_FillValue", None)
    # SciPy writes records wrongly where there is a scalar.
    data.to_netcdf(path, engine=engine, unlimited_dims=["time"] if engine == "h5netcdf" else [])
    return path


def raw(path):
    return xr.load_dataset(path, engine="h5netcdf", decode_cf=False)


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


# -- GeoTIFF ---------------------------------------------------------------------------------------

PLACE = {
    "crs": "EPSG:32630",
    "transform": rasterio.transform.from_origin(500000, 4100000, 30, 30),
}


def write_scene(path, dtype="int16", bands=2, nodata=None, mask=None, alpha=False, **settings):
    shape = (bands, 40, 50)
    stored = values(shape, dtype)
    missing = gaps(shape)
    if mask is not None or alpha:
        missing = np.broadcast_to(missing[0], shape)
    if nodata is not None:
        stored[missing] = nodata
    profile = {"driver": "GTiff", "height": 40, "width": 50, "dtype": dtype, **PLACE, **settings}
    count = bands + alpha
    profile |= {"alpha": "yes"} if alpha else {}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=mask == "internal"),
        rasterio.open(path, "w", count=count, nodata=nodata, **profile) as file,
    ):
        file.write(stored, range(1, bands + 1))
        file.update_tags(SCENE="LE07", AREA_OR_POINT="Point")
        file.update_tags(1, wavelength="0.5")
        file.descriptions = ["red", "nir", "alpha"][:bands] + ["alpha"] * alpha
        if mask:
            file.write_mask(~missing[0])
        if alpha:
            file.write((~missing[0] * np.iinfo(dtype).max).astype(dtype), count)
    return stored, missing


@pytest.mark.parametrize(
    "settings",
    [
        {"nodata": -9999},
        {"nodata": -9999, "bands": 1},
        {"dtype": "uint8", "nodata": 0, "compress": "lzw"},
        {"dtype": "uint16", "mask": "internal"},
        {"dtype": "uint16", "mask": "beside"},
        {"dtype": "uint8", "bands": 1, "alpha": True},
        {"dtype": "uint16", "bands": 3, "alpha": True, "photometric": "rgb"},
        {"dtype": "float32", "nodata": np.nan, "tiled": True, "blockxsize": 16, "blockysize": 16},
        {"dtype": "float64", "nodata": -3.4e38, "bands": 1, "bigtiff": "yes"},
        {"dtype": "float32", "nodata": 0.0, "driver": "COG", "bands": 1},
    ],
    ids=str,
)
def test_geotiff(tmp_path, settings):
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    stored, missing = write_scene(path, **settings)
    never = np.zeros((40, 50), "uint8")
    never[:9] = 1
    Image.fromarray(never * 255).save(tmp_path / "never.png")
    filled(path, out, never_fill=str(tmp_path / "never.png"))
    where = missing & (never == 0)
    with rasterio.open(path) as before, rasterio.open(out) as after:
        for name in ("crs", "transform", "dtypes", "nodatavals", "descriptions", "colorinterp"):
            assert str(getattr(after, name)) == str(getattr(before, name)), name
        tags = after.tags()
        assert tags.pop("KERAS_UAI").endswith(COMMAND)
        assert {**before.tags(), **tags} == tags
        assert after.tags(1) == before.tags(1)
        bands = range(1, len(stored) + 1)
        got = after.read(list(bands))
        same_bits(got[~where], stored[~where])
        atol = 0.5 if stored.dtype.kind in "iu" else 1e-4
        np.testing.assert_allclose(got[where], stored[~missing].mean(), atol=atol)
        np.testing.assert_array_equal(after.read_masks(1) == 0, missing[0] & ~where[0])
    with rasterio.open(tmp_path / "out_std.tif") as std:
        assert (std.crs, std.transform) == (PLACE["crs"], PLACE["transform"])
        assert set(std.dtypes) == {"float32"}
        expected = np.where(where, 1.0, np.where(missing, np.nan, 0.0))
        np.testing.assert_array_equal(std.read(), expected)
    with rasterio.open(tmp_path / "out_samples.tif") as samples:
        assert samples.count == 3 * len(stored)
        same_bits(samples.read()[: len(stored)], got)
    made = {"out.tif", "out_std.tif", "out_samples.tif"}
    assert {p.name for p in tmp_path.iterdir()} - {"in.tif.msk"} == {"in.tif", "never.png", *made}


def test_a_lossy_scene_is_written_without_loss(tmp_path):
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    write_scene(path, "uint8", 1, nodata=0, compress="jpeg")
    with rasterio.open(path) as file:
        stored, place = file.read(), file.transform
    filled(path, out)
    with rasterio.open(out) as file:
        same_bits(file.read()[stored != 0], stored[stored != 0])
        assert file.transform == place
        assert file.compression.name == "deflate"


def test_overviews_are_made_again(tmp_path):
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    write_scene(path, nodata=-9999)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    filled(path, out)
    with rasterio.open(out) as file:
        assert file.overviews(1) == [2, 4]
        assert (file.read(1, out_shape=(20, 25)) != -9999).all()


def test_windows_of_a_scene(tmp_path):
    """A scene is read and written by windows: the same file as at once."""
    path = tmp_path / "in.tif"
    stored, missing = write_scene(path, nodata=-9999)
    field = open_field(str(path))
    filled(path, tmp_path / "whole.tif")
    with field.writing(str(tmp_path / "parts.tif"), COMMAND, 3) as put:
        for row in (0, 16, 32):
            for column in (0, 30):
                array = field.read(row, column, min(16, 40 - row), 30 if column == 0 else 20)
                where = np.moveaxis(missing, 0, -1)[row : row + 16, column : column + 30][:, :30]
                np.testing.assert_array_equal(array.missing, where[:, : array.missing.shape[1]])
                new = array.filled(np.full(array.stored.shape, stored[~missing].mean()))
                samples = [
                    array.filled(np.full(new.shape, stored[~missing].mean() + k)) for k in range(3)
                ]
                put(row, column, array, new, array.missing * 1.0, samples)
        assert not (tmp_path / "parts.tif").exists()
    for ending in ("", "_std", "_samples"):
        with (
            rasterio.open(tmp_path / f"whole{ending}.tif") as a,
            rasterio.open(tmp_path / f"parts{ending}.tif") as b,
        ):
            same_bits(a.read(), b.read())


# -- TIFF ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "dtype", "settings"),
    [
        ((3, 6, 8), "uint16", {"metadata": None, "description": "frames", "resolution": (72, 72)}),
        ((3, 6, 8), "float32", {"byteorder": ">", "metadata": None}),
        ((3, 6, 8), "uint8", {"imagej": True, "metadata": {"axes": "TYX", "fps": 5.0}}),
        ((3, 2, 6, 8), "uint16", {"imagej": True, "metadata": {"axes": "TCYX"}}),
        ((3, 2, 6, 8), "float32", {"ome": True, "metadata": {"axes": "TCYX"}}),
        ((6, 8), "float64", {"compression": "zlib", "metadata": None}),
        ((6, 8, 3), "uint16", {"photometric": "rgb", "metadata": None}),
        ((2, 6, 8, 3), "uint8", {"photometric": "rgb", "metadata": None}),
        ((3, 6, 8), "uint16", {"photometric": "rgb", "planarconfig": "separate"}),
        ((6, 8, 4), "uint8", {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    ],
    ids=str,
)
def test_tiff(tmp_path, shape, dtype, settings):
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    stored, missing = values(shape, dtype), gaps(shape)
    alpha = "extrasamples" in settings
    if alpha:
        missing = np.repeat(missing[..., :1], 4, axis=-1)
        stored[..., 3] = np.where(missing[..., 3], 0, 255)
    elif dtype.startswith("f"):
        stored[missing] = np.nan
    else:
        stored[missing] = 255
    file = {k: settings[k] for k in settings if k in ("imagej", "ome", "byteorder")}
    rest = {k: settings[k] for k in settings if k not in file}
    with tifffile.TiffWriter(path, **file) as writer:
        writer.write(stored, **{"photometric": "minisblack", **rest})
    filled(path, out, nodata=None if alpha or dtype.startswith("f") else 255)
    got, std = tifffile.imread(out), tifffile.imread(tmp_path / "out_std.tif")
    same_bits(got[~missing], stored[~missing])
    if alpha:
        assert (got[..., 3] == 255).all()
        got, stored, missing = (a[..., :3] for a in (got, stored, missing))
    atol = 1e-4 if dtype.startswith("f") else 0.5
    np.testing.assert_allclose(got[missing], stored[~missing].astype(float).mean(), atol=atol)
    assert std.dtype == ("float64" if dtype == "float64" else "float32")
    np.testing.assert_array_equal(std.reshape(missing.shape) == 1, missing)
    with tifffile.TiffFile(path) as a, tifffile.TiffFile(out) as b:
        assert a.series[0].axes == b.series[0].axes
        assert a.byteorder == b.byteorder
        assert a.imagej_metadata == b.imagej_metadata
        assert a.ome_metadata == b.ome_metadata
        for name in ("description", "photometric", "resolution", "planarconfig"):
            assert getattr(a.pages[0], name) == getattr(b.pages[0], name)
    samples = tifffile.imread(tmp_path / "out_samples.tif")
    assert samples.size == 3 * got.size
    same_bits(samples.ravel()[: got.size], got.ravel())


# -- FITS ------------------------------------------------------------------------------------------


def write_fits(path, stored, header=(), dq=None, error=None):
    primary = astropy.io.fits.PrimaryHDU()
    primary.header["TELESCOP"] = "a telescope"
    image = astropy.io.fits.ImageHDU(stored, name="SCI")
    image.header["BUNIT"] = "adu"
    image.header["CRPIX1"] = 3.5
    for key, value in dict(header).items():
        image.header[key] = value
    table = astropy.io.fits.BinTableHDU.from_columns(
        [astropy.io.fits.Column("a", "J", array=np.arange(4), bzero=2**31)]
    )
    hdus = [primary, image, table]
    for name, plane in (("DQ", dq), ("ERR", error)):
        if plane is not None:
            hdus.append(astropy.io.fits.ImageHDU(plane, name=name))
    astropy.io.fits.HDUList(hdus).writeto(path, checksum=True)


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


# -- NumPy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_tiff_of_lzw(tmp_path, channels):
    """tifffile alone does not read them: GDAL does."""
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    stored = values((6, 8, channels), "uint16" if channels == 1 else "uint8")
    stored[gaps((6, 8))] = 0
    image = Image.fromarray(stored.squeeze())
    image.save(path, compression="tiff_lzw", dpi=(300, 300), description="a scan")
    filled(path, out, nodata=0)
    with Image.open(out) as got:
        assert got.mode == image.mode
        assert got.info["dpi"] == (300, 300)
        assert got.tag_v2[270] == "a scan"
        got = np.asarray(got).reshape(stored.shape)
    same_bits(got[~gaps((6, 8))], stored[~gaps((6, 8))])
    assert (got != 0).all()
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"in.tif", "out.tif", "out_std.tif", "out_samples.tif"}


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


# -- series of files -------------------------------------------------------------------------------


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


# -- mistakes and damage ---------------------------------------------------------------------------


def make(kind, folder, stored=None):
    """Writes a file of a kind with gaps; returns its path as a string."""
    path = folder / f"in.{kind}"
    if stored is None:
        stored = values()
        stored[gaps()] = np.nan
    if kind == "nc":
        write_dataset(path, dataset())
    elif kind == "fits":
        write_fits(path, stored)
    elif kind == "npz":
        np.savez(path, data=stored)
    elif kind == "npy":
        np.save(path, stored)
    elif kind == "geo.tif":
        write_scene(path, nodata=-9999)
    else:
        tifffile.imwrite(path, stored, photometric="minisblack", metadata=None)
    return str(path)


KINDS = ("nc", "fits", "npz", "npy", "tif", "geo.tif")


def only_sst(kind):
    return {"variable": "sst"} if kind == "nc" else {}


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_end_early(tmp_path, kind):
    """A file cut anywhere is refused by its name, or nothing that is read was cut off."""
    path = make(kind, tmp_path)
    whole = open_field(path, **only_sst(kind)).arrays()[0]
    with open(path, "rb") as file:
        content = file.read()
    for length in (0, 3, 100, 400, len(content) // 2, len(content) - 200, len(content) - 1):
        with open(path, "wb") as file:
            file.write(content[:length])
        opened = functools.partial(open_field, **only_sst(kind))
        found = attempt(opened, path, says=["Received: ", path])
        if found is not None:
            same_bits(found.arrays()[0].stored, whole.stored)


MISTAKES = [
    ("npy", {"dtype": "uint16"}, {}, "integers need --nodata, --mask or a mark"),
    ("npy", {"dtype": "complex64"}, {}, "Values must be integers or floats. Received: complex64"),
    ("npy", {"shape": (6,)}, {}, r"must have shape .* Received: .*in.npy with shape \(6,\)"),
    ("npy", {"shape": (0, 6, 8)}, {}, r"with shape \(0, 6, 8\)"),
    ("npy", {"full": np.nan}, {}, "Some values must be observed. Received: none in .*in.npy"),
    ("npy", {}, {"variable": "x"}, "`--variable` is for .npz files"),
    ("npy", {}, {"dq": "DQ"}, "`--dq` must not be given for NumPy array files. Received: --dq=DQ"),
    ("npy", {}, {"mask": "nowhere.png"}, "`--mask` must name a file. Received: --mask=nowhere.png"),
    ("npz", {}, {"variable": "x"}, "`--variable` must name an array of .*: data. Received"),
    ("npz", {}, {"mask": "lat"}, "`--mask` must name a file"),
    (
        "nc",
        {},
        {},
        r"must name variables of .*: sst \(time, lat, lon\), land \(lat, lon\), quality",
    ),
    ("nc", {}, {"variable": "sst,x"}, "--variable=sst,x"),
    ("nc", {}, {"variable": "crs"}, "--variable=crs"),
    ("nc", {}, {"variable": "land"}, "integers need --nodata"),
    ("nc", {}, {"variable": "sst", "never_fill": "x"}, "a file or one of sst, land, quality. Rec"),
    ("nc", {}, {"variable": "sst", "never_fill": "quality"}, "choose the values .* from 1. to 59"),
    ("nc", {}, {"variable": "sst", "never_fill": "land=sea"}, "numbers after the =. Received"),
    ("nc", {"depths": 2}, {"variable": "sst"}, r"choose one .* sst \(time, depth, lat, lon\)"),
    ("tif", {"dtype": "uint8"}, {}, "integers need --nodata"),
    ("tif", {}, {"variable": "x"}, "`--variable` must not be given for TIFF files"),
    ("fits", {"dtype": "int16"}, {}, "integers need --nodata"),
    (
        "fits",
        {},
        {"variable": "XYZ"},
        r"must name an image of .*: 1 \(SCI\). Received: --variable=X",
    ),
    ("fits", {}, {"variable": "2"}, "must name an image of"),
    ("fits", {}, {"dq": "DQ"}, r"`--dq` must name an image of"),
    ("fits", {}, {"dq": "SCI"}, "data-quality extension must hold integers"),
    ("fits", {"dtype": "int16"}, {"dq": "SCI", "dq_bits": [3]}, "single bits: 1, 2, 4, 8"),
    ("fits", {"dtype": "int16"}, {"nodata": 0.5}, "integers need --nodata"),
    ("fits", {}, {"dq_bits": [1]}, "`--dq_bits` needs --dq"),
    ("fits", {"shape": (2, 3, 6, 8)}, {}, r"2 or 3 axes longer than 1. Received: \(2, 3, 6, 8\)"),
]


@pytest.mark.parametrize(("kind", "content", "options", "message"), MISTAKES)
def test_mistakes(tmp_path, kind, content, options, message):
    stored = values(content.get("shape", (3, 6, 8)), content.get("dtype", "float32"))
    if "full" in content:
        stored[...] = content["full"]
    path = make(kind, tmp_path, stored)
    if "depths" in content:
        data = raw(path)
        data["sst"] = data.sst.expand_dims(depth=content["depths"], axis=1)
        data.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match=message):
        open_field(path, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_larger_than_the_memory(tmp_path, monkeypatch, kind):
    path = make(kind, tmp_path)
    monkeypatch.setattr(files, "free_memory", lambda: 100)
    monkeypatch.setattr(atomic, "free_memory", lambda: 100)
    with pytest.raises(ValueError, match="memory"):
        open_field(path, **only_sst(kind))


@pytest.mark.parametrize("shape", [(6, 9), (4, 6, 8), (8, 6), (3, 6)])
def test_a_mask_of_another_shape(tmp_path, shape):
    np.save(tmp_path / "mask.npy", np.ones(shape, "uint8"))
    message = r"`--mask` must have shape \(6, 8\) or \(3, 6, 8\) .*mask.npy of shape "
    with pytest.raises(ValueError, match=message):
        open_field(make("npy", tmp_path), mask=str(tmp_path / "mask.npy"))


def test_masks_of_many_kinds_are_the_same(tmp_path):
    path, seen = make("npy", tmp_path), gaps((6, 8), seed=7)
    np.save(tmp_path / "mask.npy", seen)
    np.save(tmp_path / "classes.npy", np.where(seen, 5, 2.0))
    tifffile.imwrite(tmp_path / "mask.tif", seen * np.uint8(255), photometric="minisblack")
    Image.fromarray(seen * np.uint8(255)).save(tmp_path / "mask.png")
    Image.fromarray(seen).save(tmp_path / "bits.tif")
    for name in ("mask.npy", "classes.npy=5", "mask.tif", "mask.png", "bits.tif"):
        field = open_field(path, mask=str(tmp_path / name))
        np.testing.assert_array_equal(field.array.missing, gaps() | ~seen)


def test_the_smallest_mask_is_handed_on(tmp_path):
    path, never = make("npy", tmp_path), gaps((6, 8), seed=7)
    np.save(tmp_path / "never.npy", np.stack([never] * 3))
    assert open_field(path, never_fill=str(tmp_path / "never.npy")).never_fill().shape == (6, 8)
    np.save(tmp_path / "never.npy", np.stack([never, never, ~never]))
    assert open_field(path, never_fill=str(tmp_path / "never.npy")).never_fill().shape == (3, 6, 8)
    assert open_field(path).never_fill() is None
    land = open_field(make("nc", tmp_path), variable="sst", never_fill="land").never_fill()
    assert land.dims == ("lat", "lon")


def test_names_of_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file nowhere\.nc"):
        open_field("nowhere.nc")
    with pytest.raises(ValueError, match=r"must be one of .nc, .*tools/inpaint.* Received: a.png"):
        open_field("a.png")


@pytest.mark.parametrize(
    ("kind", "module", "message"),
    [
        ("nc", "xarray", "Reading NetCDF needs xarray and h5netcdf: pip install 'keras_uai"),
        ("nc", "h5netcdf", "Reading NetCDF needs xarray and h5netcdf: pip install 'keras_uai"),
        ("tif", "tifffile", "Reading TIFF needs tifffile: pip install"),
        ("geo.tif", "rasterio", "Reading GeoTIFF needs rasterio: pip install"),
        ("fits", "astropy.io.fits", "Reading FITS needs astropy: pip install"),
    ],
)
def test_a_missing_library_is_named(tmp_path, monkeypatch, kind, module, message):
    path = make(kind, tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=re.escape(message)):
        open_field(path)


def test_a_usual_mark_that_is_not_declared_is_reported(tmp_path):
    stored = values()
    stored[gaps()] = -9999
    path = make("npy", tmp_path, stored)
    with pytest.warns(UserWarning, match="in.npy holds -9999, .* pass --nodata=-9999"):
        open_field(path)
    open_field(path, nodata=-9999.0)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_written_if_writing_fails(tmp_path, kind):
    field = open_field(make(kind, tmp_path), **only_sst(kind))
    result = stand_in.fill(field.data(), num_samples=3)
    broken = result._replace(samples=result.samples[..., :1])
    before = sorted(tmp_path.iterdir())
    with pytest.raises((ValueError, IndexError)):
        field.write(str(tmp_path / f"out.{kind}"), broken, COMMAND, True)
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_added_must_be_new(tmp_path):
    field = open_field(make("nc", tmp_path), variable="sst")
    result = stand_in.fill(field.data(), num_samples=2)
    field.write(str(tmp_path / "out.nc"), result, COMMAND)
    again = open_field(str(tmp_path / "out.nc"), variable="sst")
    with pytest.raises(ValueError, match=r"Received: .*out.nc with sst_std"):
        again.outputs("x.nc", False)


def test_gaps_that_stay_are_marked(tmp_path):
    """Frames that a result leaves empty, and values that a mask hides, do not look observed."""
    stored = values(dtype="int16")
    for mark in (None, -1):
        encoding = Encoding("int16" if mark else "float32", marks=(mark,))
        array = StoredArray(stored.astype(encoding.dtype), encoding, gaps())
        got = array.filled(np.full(stored.shape, np.nan))
        assert encoding.missing(got)[gaps()].all()
        same_bits(got[~gaps()], array.stored[~gaps()])
