"""Mistakes of users, damaged files, and masks of many kinds."""

import functools
import re
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_uai import atomic, files
from keras_uai.fields.files import Encoding, StoredArray, open_field
from tests.fields import stand_in
from tests.fields.files.making import (
    COMMAND,
    KINDS,
    gaps,
    make,
    only_sst,
    raw,
    values,
)
from tests.strategies import attempt
from tests.testing import same_bits


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
