"""GeoTIFF files."""

import contextlib
import copy
import os
import shutil
import warnings

import numpy as np

from keras_uai import files
from keras_uai.fields.files.base import (
    FieldFile,
    check_memory,
    readable,
    require,
    stamped,
)
from keras_uai.fields.files.storage import Encoding, StoredArray

#: Compressions that change values.
_LOSSY = ("JPEG", "YCbCr JPEG", "WEBP", "LERC", "LERC_DEFLATE", "LERC_ZSTD", "JXL")


class GeotiffFile(FieldFile):
    """The bands of a GeoTIFF file, `(H, W)` or `(H, W, C)`.

    Missing are NaN, the file's nodata, and what its mask or alpha band says. Projection, transform,
    tags and the dtype are kept; integers are rounded and clipped. Writes NAME.tif, NAME_std.tif
    (float32, nodata NaN), and on request NAME_samples.tif (all bands of the first sample, then of
    the second, ...). What was done goes into the tag KERAS_UAI.

    Scenes larger than memory are read by `read` and written by `writing`, one window at a time.

    Args:
        path: of the file.
        nodata: number that marks missing values, besides the file's own. Default: none.
    """

    def __init__(self, path, nodata=None):
        self.rasterio, _ = require("Reading GeoTIFF", "rasterio", "rasterio.shutil")
        self.path = path
        self._array = None
        enums = self.rasterio.enums
        with readable(path, "GeoTIFF"), self._open() as found:
            if found.subdatasets:
                raise ValueError(f"it holds {len(found.subdatasets)} images, not one")
            flags = found.mask_flag_enums[0]
            self.has_mask = enums.MaskFlags.per_dataset in flags
            alpha = [
                i for i in found.indexes if found.colorinterp[i - 1] == enums.ColorInterp.alpha
            ]
            self.alpha = alpha[0] if alpha else None
            self.bands = [i for i in found.indexes if i != self.alpha]
            dtypes = {found.dtypes[i - 1] for i in self.bands}
            if len(dtypes) > 1:
                raise ValueError(f"its bands have several dtypes: {', '.join(sorted(dtypes))}")
            if "palette" in [c.name for c in found.colorinterp]:
                raise ValueError("its values are indices of a palette, not numbers")
            self.height, self.width = found.shape
            self.place = f"{found.crs} {tuple(found.transform)[:6]}"
            self.overviews = found.overviews(1)
            structure = found.tags(ns="IMAGE_STRUCTURE")
            self.is_plain = (
                len(found.files) == 1
                and structure.get("COMPRESSION") not in _LOSSY
                and structure.get("LAYOUT") != "COG"
                and os.path.getsize(path) < 2**30  # may grow beyond what a classic TIFF holds
            )
            marks = (nodata, *(found.nodatavals[i - 1] for i in self.bands))
            self.encoding = Encoding(dtypes.pop(), marks=marks)
        self.has_channels = len(self.bands) > 1
        self.marked = bool(
            self.encoding.dtype.kind == "f" or self.encoding.marks or self.has_mask or self.alpha
        )

    @property
    def array(self):
        """`StoredArray` of the whole scene, read when it is first used."""
        if self._array is None:
            size = self.height * self.width * len(self.bands) * self.encoding.dtype.itemsize
            check_memory(self.path, size)
            self._array = self.read(0, 0, self.height, self.width)
        return self._array

    def read(self, row, column, height, width):
        """Reads a window, which must lie in the scene, as a `StoredArray`."""
        window = self.rasterio.windows.Window(column, row, width, height)
        with readable(self.path, "GeoTIFF"), self._open() as found:
            stored = found.read(self.bands, window=window)
            missing = self.encoding.missing(stored)
            if self.has_mask or self.alpha:
                missing |= found.dataset_mask(window=window) == 0
        if not self.has_channels:
            return StoredArray(stored[0], self.encoding, missing[0], self.path)
        stored, missing = (np.moveaxis(a, 0, -1).copy() for a in (stored, missing))
        return StoredArray(stored, self.encoding, missing, self.path)

    def window(self, rows, columns):
        """Returns a `GeotiffFile` of a window, two slices: its array is read now."""
        part = copy.copy(self)
        sides = rows.stop - rows.start, columns.stop - columns.start
        part._array = self.read(rows.start, columns.start, *sides)
        return part

    def write(self, out, result, command, save_samples=False):
        """Writes the result; `command` goes into the tag KERAS_UAI."""
        filled, std, samples = self.unpack(result, save_samples)
        with self.writing(out, command, len(samples) if save_samples else 0) as put:
            put(0, 0, self.array, filled, std, samples)

    @contextlib.contextmanager
    def writing(self, out, command, num_samples=0):
        """Yields a function that writes a window; the files appear when all are written.

        The function takes `(row, column, array, filled, std, samples)`: the `StoredArray` that was
        read there, and what `unpack` returns.
        """
        with contextlib.ExitStack() as opened:
            paths = self.outputs(out, num_samples)
            paths = [opened.enter_context(files.atomic_path(path)) for path in paths]
            # A mask beside the input becomes one inside the output.
            opened.enter_context(self.rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True))
            self._copy(paths[0])
            main = opened.enter_context(self._open(paths[0], "r+"))
            stamp = stamped(command)
            main.update_tags(KERAS_UAI=stamp)
            count = len(self.bands)
            error = opened.enter_context(self._new(paths[1], main, count, "float32", np.nan))
            error.scales = [main.scales[i - 1] for i in self.bands]
            error.update_tags(KERAS_UAI=f"standard deviation: {stamp}")
            extra = None
            if num_samples:
                settings = (num_samples * count, self.encoding.dtype.name, main.nodata)
                extra = opened.enter_context(self._new(paths[2], main, *settings))
                extra.scales, extra.offsets = (
                    [values[i - 1] for i in self.bands] * num_samples
                    for values in (main.scales, main.offsets)
                )
                extra.update_tags(KERAS_UAI=f"samples: {stamp}")

            def put(row, column, array, filled, std, samples=None):
                window = self.rasterio.windows.Window(column, row, *filled.shape[1::-1])
                main.write(self._bands_first(filled), self.bands, window=window)
                error.write(self._bands_first(std.astype("float32")), window=window)
                if extra is not None:
                    bands = np.concatenate([self._bands_first(sample) for sample in samples])
                    extra.write(bands, window=window)
                seen = self._bands_first(~array.missing | (array.gaps & ~np.isnan(std))).all(axis=0)
                if self.alpha:
                    opaque = main.read(self.alpha, window=window)
                    opaque[seen & (opaque == 0)] = np.iinfo(opaque.dtype).max
                    main.write(opaque, self.alpha, window=window)
                elif self.has_mask:
                    main.write_mask(seen, window=window)

            yield put
            if self.overviews:
                main.build_overviews(self.overviews, self.rasterio.enums.Resampling.nearest)

    def _open(self, path=None, mode="r", **settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self.rasterio.errors.NotGeoreferencedWarning)
            return self.rasterio.open(path or self.path, mode, **settings)

    def _copy(self, path):
        """Copies the file; one that cannot be changed in place is written as GDAL copies it."""
        if self.is_plain:
            shutil.copyfile(self.path, path)
        else:
            settings = {"driver": "GTiff", "compress": "deflate", "bigtiff": "if_safer"}
            self.rasterio.shutil.copy(self.path, path, **settings)

    def _new(self, path, like, count, dtype, nodata):
        """Opens a new file of the same place."""
        new = self._open(
            path,
            "w",
            driver="GTiff",
            width=self.width,
            height=self.height,
            count=count,
            dtype=dtype,
            nodata=nodata,
            crs=like.crs,
            transform=like.transform,
            compress="deflate",
            bigtiff="if_safer",
            tiled=True,
        )
        new.descriptions = [like.descriptions[i - 1] for i in self.bands] * (
            count // len(self.bands)
        )
        if like.gcps[0]:
            new.gcps = like.gcps
        if like.rpcs:
            new.rpcs = like.rpcs
        return new

    @staticmethod
    def _bands_first(array):
        return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
