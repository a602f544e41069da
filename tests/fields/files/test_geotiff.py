"""GeoTIFF: written by rasterio, filled by a stand-in, opened again."""

import numpy as np
import pytest
import rasterio
from PIL import Image

from keras_uai.fields.files import open_field
from tests.fields.files.making import COMMAND, PLACE, filled, write_scene
from tests.testing import same_bits


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
