"""Files with gaps: NetCDF, GeoTIFF, TIFF, FITS, `.npy` and `.npz`.

`open_field` reads what `keras_uai.fill` is given. The object that it returns writes the result in
the same format, with all else as it was.
"""

import os

import numpy as np

from keras_uai import files
from keras_uai.fields.files.base import FieldFile, readable, require
from keras_uai.fields.files.fits import FitsFile
from keras_uai.fields.files.geotiff import GeotiffFile
from keras_uai.fields.files.netcdf import NetcdfFile
from keras_uai.fields.files.numpy_files import NumpyFile
from keras_uai.fields.files.series import FileSeries
from keras_uai.fields.files.storage import Encoding, StoredArray
from keras_uai.fields.files.tiff import TiffFile

__all__ = ["Encoding", "FieldFile", "StoredArray", "format_of", "open_field", "open_scene"]

#: Formats by their extensions, lower case.
_FORMATS = {
    "NetCDF": (".nc", ".nc4", ".cdf"),
    "TIFF": (".tif", ".tiff"),
    "FITS": (".fits", ".fit", ".fts"),
    "NumPy array": (".npy",),
    "NumPy archive": (".npz",),
}

#: Tags of TIFF files that lie on a map, or have GDAL's nodata.
_GEO_TAGS = {33550, 33922, 34264, 34735, 42113}


def format_of(path):
    """Returns the name of a file's format, from its extension.

    >>> keras_uai.fields.files.format_of("sst.nc")
    'NetCDF'
    """
    extension = os.path.splitext(path)[1].lower()
    for name, extensions in _FORMATS.items():
        if extension in extensions:
            return name
    known = ", ".join(e for extensions in _FORMATS.values() for e in extensions)
    raise ValueError(
        f"A file must be one of {known} (of other images, see tools/inpaint). Received: {path}"
    )


def open_field(*paths, mask=None, never_fill=None, **options):
    """Opens a file with gaps, or files that are times of one series.

    Args:
        *paths: of the file or files. Several must have one format and grid, and are filled together.
        mask: string, where values are observed: a file (an image, or one of the formats here) or a
            variable, extension or array of the same file, of 0 and 1 (or 0 and 255), of shape
            `(H, W)`, `(T, H, W)` or that of the values. `"NAME=VALUE,..."` chooses the values that
            count as 1. Default: the array `mask` of a `.npz` file; else all that the file does not
            mark as missing.
        never_fill: string, the pixels that are never filled, given as `mask` is. Default: the array
            `never_fill` of a `.npz` file; else none.
        **options: `nodata`, `variable`, `dq` and `dq_bits`, of the formats that have them (see their
            classes). None: not given.

    Returns:
        A `FieldFile`.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: the format's library is not installed; the message says how to install it.
        ValueError: a file is damaged, or an option is wrong; the message says which.
    """
    given = {name: value for name, value in options.items() if value is not None}
    fields = [_open(path, mask, never_fill, given) for path in paths]
    field = fields[0] if len(fields) == 1 else FileSeries(fields)
    for arrays in zip(*(one.arrays() for one in fields), strict=True):
        seen = [array.check() for array in arrays]
        if not any(seen):
            names = ", ".join(array.name for array in arrays)
            raise ValueError(f"Some values must be observed. Received: none in {names}")
    return field


def open_scene(paths, nodata=None, **others):
    """Opens a GeoTIFF file without reading it, for work by windows; else returns None.

    Args:
        paths: List of one file.
        nodata: See `GeotiffFile`.
        **others: Options that need the file as a whole: None for a scene.
    """
    given = any(value is not None for value in others.values())
    if given or len(paths) > 1 or _class_of(paths[0]) is not GeotiffFile:
        return None
    return GeotiffFile(paths[0], nodata)


def _open(path, mask, never_fill, options):
    cls = _class_of(path)
    for name, value in options.items():
        if name not in cls.OPTIONS:
            raise ValueError(
                f"`--{name}` must not be given for {format_of(path)} files. "
                f"Received: --{name}={value} for {path}"
            )
    field = cls(path, **options)
    mask = mask or field.own_plane("mask")
    never_fill = never_fill or field.own_plane("never_fill")
    if mask is not None:
        seen = _plane(field, mask, "mask")
        for array in field.arrays():
            array.missing |= ~_broadcast(seen, array, field, "mask", mask)
    elif not field.marked:
        raise ValueError(
            f"The file must say which values are missing: integers need --nodata, --mask or a mark of "
            f"the format. Received: {path}"
        )
    if never_fill is not None:
        never = _plane(field, never_fill, "never_fill")
        for array in field.arrays():
            array.never_fill = _broadcast(never, array, field, "never_fill", never_fill)
    return field


def _class_of(path):
    kind = format_of(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path}")
    if kind == "TIFF":
        (tifffile,) = require("Reading TIFF", "tifffile")
        with readable(path, "TIFF"), tifffile.TiffFile(path) as found:
            page = found.pages[0]
            on_map = _GEO_TAGS & {tag.code for tag in page.tags}
            # tifffile itself does not read LZW, GDAL reads only the first page.
            lzw = page.compression == tifffile.COMPRESSION.LZW and len(found.pages) == 1
        return GeotiffFile if on_map or lzw else TiffFile
    return {"NetCDF": NetcdfFile, "FITS": FitsFile}.get(kind, NumpyFile)


def _plane(field, text, flag):
    """Reads the mask that a flag names, as booleans."""
    chooses = "=" in text and not os.path.exists(text)
    name, _, chosen = text.rpartition("=") if chooses else (text, "", "")
    if name in field.planes():
        plane = field.plane(name)
    elif os.path.isfile(name):
        plane = _read_plane(name)
    else:
        planes = ", ".join(field.planes())
        raise ValueError(
            f"`--{flag}` must name a file{f' or one of {planes}' if planes else ''}. "
            f"Received: --{flag}={text}"
        )
    if chooses:
        try:
            return np.isin(plane, [float(value) for value in chosen.split(",")])
        except ValueError as error:
            raise ValueError(
                f"`--{flag}` must list numbers after the =. Received: --{flag}={text}"
            ) from error
    if plane.dtype == bool:
        return plane
    for high in (1, 255):
        if ((plane == 0) | (plane == high)).all():
            return plane == high
    raise ValueError(
        f"`--{flag}` must hold 0 and 1 (or 0 and 255); or choose the values that count as 1: "
        f"--{flag}={name}=VALUE,VALUE. Received: --{flag}={text} with values from "
        f"{np.nanmin(plane)} to {np.nanmax(plane)}"
    )


def _read_plane(path):
    """Reads a file as one array."""
    extension = os.path.splitext(path)[1].lower()
    if extension in _FORMATS["NumPy array"]:
        return np.asarray(files.read_arrays(path))
    if extension in _FORMATS["TIFF"]:
        (tifffile,) = require("Reading TIFF", "tifffile")
        with readable(path, "TIFF"):
            return tifffile.imread(path)
    if extension in files.EXTENSIONS:
        return files.to_channels(files.decode_image(path)[0], 1)[..., 0]
    return _class_of(path)(path).arrays()[0].stored


def _broadcast(plane, array, field, flag, text):
    """Returns a mask in the shape of an array."""
    shape = array.stored.shape
    wanted = shape[:-1] if field.has_channels else shape
    if plane.shape == shape:
        return plane
    plane = plane.squeeze()
    if plane.shape in (wanted, wanted[-2:]):
        plane = plane[..., None] if field.has_channels else plane
        return np.broadcast_to(plane, shape)
    raise ValueError(
        f"`--{flag}` must have shape {wanted[-2:]} or {wanted} for values of shape {shape}. "
        f"Received: --{flag}={text} of shape {plane.shape}"
    )
