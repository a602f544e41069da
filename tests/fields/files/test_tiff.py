"""TIFF: written by tifffile and Pillow, filled by a stand-in, opened again."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.fields.files.making import filled, gaps, values
from tests.testing import same_bits


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
