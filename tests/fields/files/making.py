"""Small files with gaps of every format, written by their own libraries."""

import astropy.io.fits
import numpy as np
import rasterio
import tifffile
import xarray as xr

from keras_uai.fields.files import open_field
from tests.fields import stand_in

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


def dataset(dtype="float32", attributes=None, mark=np.nan):
    """A data set as it is stored, with a variable `sst`, and others."""
    stored = values(dtype=dtype)
    stored[gaps()] = mark
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
