"""FITS files."""

import contextlib

import numpy as np

from keras_uai import files
from keras_uai.fields.files.base import FieldFile, check_memory, readable, require, stamped
from keras_uai.fields.files.storage import Encoding, StoredArray

#: Keywords of an image's numbers, which do not hold for its errors.
_OF_NUMBERS = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM")


class FitsFile(FieldFile):
    """An image `(H, W)` or a cube `(T, H, W)` of a FITS file; axes of length 1 before are left out.

    Missing are NaN, BLANK, and pixels with one of the chosen bits in a data-quality extension. All
    headers and other extensions are kept. The standard deviation is the extension ERR; where there
    is one already, its values are replaced where the image was filled. Samples are the extension
    SAMPLES.

    Args:
        path: of the file.
        nodata: value (after BSCALE and BZERO) that marks missing values, besides BLANK. Default:
            none.
        variable: name or number of the extension. Default: the first one with an image.
        dq: name or number of the data-quality extension. Default: none.
        dq_bits: list of integers, the values (1, 2, 4, 8, ...) of its bits that mean that a pixel
            is missing. Default: any bit.
    """

    OPTIONS = ("nodata", "variable", "dq", "dq_bits")

    def __init__(self, path, nodata=None, variable=None, dq=None, dq_bits=None):
        (self.fits,) = require("Reading FITS", "astropy.io.fits")
        self.path = path
        with self._opened() as found:
            images = [i for i, hdu in enumerate(found) if hdu.is_image and hdu.header["NAXIS"] > 1]
            self.index = self._find(found, variable, "variable", images)
            hdu = found[self.index]
            if isinstance(hdu, self.fits.CompImageHDU):
                raise ValueError(f"A compressed image must be unpacked first (funpack): {path}")
            header = hdu.header
            check_memory(path, hdu.size)
            with readable(path, "FITS"):
                stored = np.array(hdu.data)
            self.shape = stored.shape  # with axes of length 1
            while stored.ndim > 2 and stored.shape[0] == 1:
                stored = stored[0]
            if stored.ndim > 3:
                raise ValueError(
                    f"An image must have 2 or 3 axes longer than 1. Received: {stored.shape} in "
                    f"{path}[{self.index}]"
                )
            scale, offset = header.get("BSCALE", 1.0), header.get("BZERO", 0.0)
            nodata = None if nodata is None else (nodata - offset) / scale
            marks = (header.get("BLANK"), nodata)
            encoding = Encoding(stored.dtype.newbyteorder("="), scale, offset, marks)
            self.marked = encoding.dtype.kind == "f" or bool(encoding.marks) or dq is not None
            name = f"{path}[{hdu.name or self.index}]"
            self.array = StoredArray(stored.astype(encoding.dtype), encoding, name=name)
            if dq is not None:
                flags = np.array(found[self._find(found, dq, "dq", images)].data)
                self.array.missing |= self._flagged(flags, dq_bits)
            elif dq_bits:
                raise ValueError(f"`--dq_bits` needs --dq. Received: --dq_bits={dq_bits}")
            self.images = {str(found[i].name or i): i for i in images if i != self.index}

    def planes(self):
        return list(self.images)

    def plane(self, name):
        with self._opened() as found:
            return np.array(found[self.images[name]].data)

    def outputs(self, out, save_samples):
        return [out]

    def write(self, out, result, command, save_samples=False):
        """Writes the file; `command` goes into a HISTORY card of the image."""
        filled, std, samples = self.unpack(result, save_samples)
        with self._opened() as found, files.atomic_path(out) as temporary:
            hdu = found[self.index]
            hdu.data[...] = filled.reshape(self.shape)
            checksum = "CHECKSUM" in hdu.header
            hdu.header.add_history(stamped(command))
            header = hdu.header.copy(strip=True)
            for key in _OF_NUMBERS:
                header.remove(key, ignore_missing=True)
            header.remove("EXTNAME", ignore_missing=True)
            error = self._error_of(found)
            if error is None:
                found.append(self.fits.ImageHDU(std.reshape(self.shape), header, name="ERR"))
            else:
                gaps = self.array.gaps.reshape(self.shape)
                error.data[gaps] = std.reshape(self.shape)[gaps]
            if samples is not None:
                extra = self.fits.ImageHDU(samples, header, name="SAMPLES")
                for key in ("BSCALE", "BZERO", "BLANK"):
                    if key in hdu.header:  # set after the data, which would remove it
                        extra.header[key] = hdu.header[key]
                found.append(extra)
            found.writeto(temporary, checksum=checksum, output_verify="silentfix")

    @contextlib.contextmanager
    def _opened(self):
        settings = {"memmap": False, "lazy_load_hdus": False, "do_not_scale_image_data": True}
        with open(self.path, "rb") as file:
            with readable(self.path, "FITS"):
                found = self.fits.open(file, **settings)
            yield found

    def _find(self, found, wanted, flag, images):
        names = {hdu.name: i for i, hdu in reversed(list(enumerate(found))) if hdu.name}
        if wanted is None and images:
            return images[0]
        text = str(wanted)
        index = int(text) if text.isdigit() else names.get(text.upper())
        if index not in images:
            listed = ", ".join(f"{i} ({found[i].name or 'without name'})" for i in images)
            raise ValueError(
                f"`--{flag}` must name an image of {self.path}: {listed or 'it has none'}. "
                f"Received: --{flag}={wanted}"
            )
        return index

    def _flagged(self, flags, bits):
        if flags.dtype.kind not in "iu" or flags.shape[-2:] != self.array.stored.shape[-2:]:
            raise ValueError(
                "A data-quality extension must hold integers and have its image's size, "
                f"{self.array.stored.shape[-2:]}. Received: {flags.dtype} {flags.shape}"
            )
        for bit in bits or []:
            if bit < 1 or bit & (bit - 1):
                raise ValueError(
                    "`--dq_bits` must list values of single bits: 1, 2, 4, 8, ... "
                    f"Received: --dq_bits={','.join(map(str, bits))}"
                )
        flags = flags.reshape(self.array.stored.shape[-flags.ndim :])
        return (flags & sum(bits)) != 0 if bits else flags != 0

    def _error_of(self, found):
        """The image's own ERR extension, with floats of its shape and its version, or None."""
        version = found[self.index].header.get("EXTVER", 1)
        for hdu in found:
            if hdu.name == "ERR" and hdu.header.get("EXTVER", 1) == version and hdu.is_image:
                if hdu.header["BITPIX"] < 0 and hdu.shape == self.shape:
                    return hdu
                raise ValueError(
                    f"The extension ERR must hold floats {self.shape}. Received: {self.path} with "
                    f"BITPIX={hdu.header['BITPIX']} and shape {hdu.shape}"
                )
        return None
