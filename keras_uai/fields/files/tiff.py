"""TIFF files without a map: pages of integers of 8 or 16 bits, or of floats."""

import contextlib
import os

import numpy as np

from keras_uai import files
from keras_uai.fields.files.base import FieldFile, check_memory, readable, require
from keras_uai.fields.files.storage import Encoding, StoredArray

#: Tags about how pixels lie in the file, which the writer makes, and tags of further directories.
_LAYOUT = {
    254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 282, 283, 284, 296, 317, 322, 323, 324, 325,
    330, 338, 339, 347, 400, 530, 531, 532, 32997, 32998, 34665, 34853, 40965,
}  # fmt: skip


class TiffFile(FieldFile):
    """The pages of a TIFF file: gray `(T, H, W)` or with channels `(T, H, W, C)`.

    Missing are NaN, pixels whose alpha is 0, and `nodata`. Writes NAME.tif, with the pages and tags
    of the input, NAME_std.tif (float32), and on request NAME_samples.tif (all pages of the first
    sample, then of the second, ...). Compressed files become deflate, which keeps every bit.

    Args:
        path: of the file.
        nodata: number that marks missing values. Default: none.
    """

    def __init__(self, path, nodata=None):
        (self.tifffile,) = require("Reading TIFF", "tifffile")
        self.path = path
        with readable(path, "TIFF"), self.tifffile.TiffFile(path) as found:
            series, page = found.series[0], found.pages[0]
            if len(found.series) > 1 or len(series.levels) > 1:
                raise ValueError("it must hold images of one size, not a pyramid")
            if page.photometric == self.tifffile.PHOTOMETRIC.PALETTE:
                raise ValueError("its values are indices of a palette, not numbers")
            check_memory(path, series.nbytes)
            self.axes, self.shape = series.axes, series.shape
            stored = self._to_pages(series.asarray())
            self.alpha = None
            if any(page.extrasamples) and stored.ndim == 4:
                stored, self.alpha = stored[..., :-1], stored[..., -1]
        self.has_channels = stored.ndim == 4
        encoding = Encoding(stored.dtype.newbyteorder("="), marks=(nodata,))
        stored = np.ascontiguousarray(stored, encoding.dtype)
        missing = encoding.missing(stored)
        if self.alpha is not None:
            missing |= (self.alpha == 0)[..., None]
        self.marked = bool(encoding.dtype.kind == "f" or encoding.marks or self.alpha is not None)
        self.array = StoredArray(stored, encoding, missing, path)

    def write(self, out, result, command, save_samples=False):
        """Writes the result; `command` is not recorded, as TIFF files have no history."""
        filled, std, samples = self.unpack(result, save_samples)
        paths = self.outputs(out, save_samples)
        with contextlib.ExitStack() as all_files:
            temporary = [all_files.enter_context(files.atomic_path(path)) for path in paths]
            found = all_files.enter_context(self.tifffile.TiffFile(self.path))
            if self.alpha is not None:
                opaque = np.iinfo(self.alpha.dtype).max if self.alpha.dtype.kind == "u" else 1
                done = (self.array.gaps & ~np.isnan(std)).any(axis=-1)
                filled = np.concatenate([filled, np.where(done, opaque, self.alpha)[..., None]], -1)
                filled = filled.astype(self.alpha.dtype)
            self._write(temporary[0], [filled], found)
            name = os.path.basename(self.path)
            self._write(temporary[1], [std], found, f"standard deviation of {name}".encode())
            if samples is not None:
                self._write(temporary[2], samples, found, f"samples of {name}".encode())

    def _write(self, path, arrays, found, description=None):
        """Writes all pages of some arrays: with the tags of the file's pages, or a description."""
        size = sum(array.nbytes for array in arrays)
        settings = {"bigtiff": found.is_bigtiff or size > 2**31, "byteorder": found.byteorder}
        pages = [pixels for array in arrays for pixels in self._of_pages(array)]
        with self.tifffile.TiffWriter(path, **settings) as writer:
            for i, pixels in enumerate(pages):
                page = found.pages[i % len(found.pages)]
                tags = {"description": description, "photometric": "minisblack"}
                if description is None:
                    kept = [tag.astuple() for tag in page.tags if tag.code not in _LAYOUT]
                    kept = kept if i < len(found.pages) else []  # ImageJ: one page's for all
                    tags = {"extratags": kept, "photometric": page.photometric}
                    tags["extrasamples"] = page.extrasamples or None
                    if page.photometric == self.tifffile.PHOTOMETRIC.YCBCR:  # decoded
                        tags["photometric"] = "rgb"
                planar = None
                if pixels.ndim == 3:
                    planar = page.planarconfig
                    pixels = np.moveaxis(pixels, -1, 0) if planar == 2 else pixels
                writer.write(
                    pixels,
                    planarconfig=planar,
                    compression=None if page.compression == 1 else "zlib",
                    resolution=page.resolution if 282 in page.tags else None,
                    resolutionunit=page.resolutionunit if 296 in page.tags else None,
                    software=False,
                    metadata=None,
                    **tags,
                )

    def _to_pages(self, array):
        """Moves the axes of the file's series to `(T, H, W)` or `(T, H, W, C)`."""
        channels = [a for a, n in zip(self.axes, self.shape, strict=True) if a in "SC" and n > 1]
        if len(channels) > 1 or not {*"YX"} <= {*self.axes}:
            raise ValueError(f"its axes are {self.axes}, not images and channels")
        last = ["Y", "X", *channels]
        self.moved = [*(a for a in self.axes if a not in last), *last]
        array = array.transpose([self.axes.index(a) for a in self.moved])
        return array.reshape(-1, *array.shape[-len(last) :])

    def _of_pages(self, array):
        """Moves `(T, H, W[, C])` back to pages as the file has them: `(pages, H, W[, S])`."""
        before = [
            n
            for a, n in zip(self.axes, self.shape, strict=True)
            if a in self.moved[: 1 - array.ndim]
        ]
        array = array.reshape(*before, *array.shape[1:])
        samples = [a for a in self.moved if a == "S"]
        pages = [*(a for a in self.axes if a not in "YXS"), "Y", "X", *samples]
        array = array.transpose([self.moved.index(a) for a in pages])
        return array.reshape(-1, *array.shape[-2 - len(samples) :])
