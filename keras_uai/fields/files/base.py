"""The parts that all formats share."""

import contextlib
import datetime
import importlib
import logging
import os
import warnings

import numpy as np

from keras_uai import files


def require(what, *modules):
    """Imports modules and returns them; raises an ImportError in one line if one is absent.

    Args:
        what: string, the action that needs them: `"Reading FITS"`.
        *modules: names of modules.
    """
    try:
        return [importlib.import_module(name) for name in modules]
    except ImportError as error:
        names = " and ".join(dict.fromkeys(name.partition(".")[0] for name in modules))
        raise ImportError(f"{what} needs {names}: pip install 'keras_uai[fields]'") from error


class _Raising(logging.Handler):
    """Raises what a library only logs."""

    def emit(self, record):
        raise ValueError(record.getMessage())


@contextlib.contextmanager
def readable(path, what):
    """Errors of a library about a file's content become one ValueError that names the file.

    So do reports of damage after which tifffile and astropy would read on.
    """
    logger, handler = logging.getLogger("tifffile"), _Raising(logging.ERROR)
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "(?s).*(truncated|Error validating)")
            yield
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # each library has errors of its own for damaged files
        reason = str(error) or type(error).__name__
        raise ValueError(
            f"The file must be a readable {what} file. Received: {path}: {' '.join(reason.split())}"
        ) from error
    finally:
        logger.removeHandler(handler)


def check_memory(path, size):
    """Raises a ValueError for an array of `size` bytes that is larger than the free memory."""
    if size > (free := files.free_memory()):
        raise ValueError(
            f"The values must fit into memory. Received: {path} with {size / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free"
        )


def beside(path, ending):
    """Returns the path of a further result: `"a/b.tif", "std"` gives `"a/b_std.tif"`."""
    stem, extension = os.path.splitext(path)
    return f"{stem}_{ending}{extension}"


def smallest(mask):
    """Returns a mask `(H, W)` or `(T, H, W)` without times if all are equal; None if none is True."""
    if not mask.any():
        return None
    return mask[0] if mask.ndim == 3 and (mask == mask[:1]).all() else mask


def stamped(command):
    """Returns a line for histories: the time and the command."""
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ} {command}"


class FieldFile:
    """A file with gaps: reads what `keras_uai.fill` is given, and writes what it returns.

    Attributes are `path` and `array`, a `StoredArray` of shape `(H, W)`, `(T, H, W)`, `(H, W, C)` or
    `(T, H, W, C)`.
    """

    #: Options of `open_field` that the format has.
    OPTIONS = ("nodata",)

    #: Whether the last axis are channels.
    has_channels = False

    #: String, the place on a map, where files of a series must agree in it.
    place = ""

    def arrays(self):
        """Returns a list of all `StoredArray`."""
        return [self.array]

    def data(self):
        """Returns the array for `fill`. A single image of channels gets an axis of times."""
        data = self.array.decode()
        return data[None] if self._is_image_of_channels() else data

    def never_fill(self):
        """Returns the mask of pixels never to be filled, bool `(H, W)` or `(T, H, W)`, or None."""
        mask = self.array.never_fill
        return smallest(mask.all(axis=-1) if self.has_channels else mask)

    def planes(self):
        """Returns the names of what else is in the file and may serve as a mask."""
        return []

    def plane(self, name):
        """Returns the array of one of `planes()`."""
        raise KeyError(name)

    def own_plane(self, flag):
        """Returns the name of the plane that is the mask `"mask"` or `"never_fill"`, or None."""

    def outputs(self, out, save_samples):
        """Returns the paths of all files that `write` makes."""
        endings = ["std", *(["samples"] if save_samples else [])]
        return [out, *(beside(out, ending) for ending in endings)]

    def unpack(self, result, save_samples):
        """Returns `(filled, std, samples)` of a result of `fill`: stored numbers, floats, and stored
        numbers `(num_samples, ...)` or None.
        """
        image = self._is_image_of_channels()
        best, std = (a[0] if image else a for a in (result.best, result.std))
        samples = None
        if save_samples:
            samples = [self.array.filled(s[0] if image else s) for s in result.samples]
            samples = np.stack(samples)
        return self.array.filled(best), self.array.error(std), samples

    def _is_image_of_channels(self):
        return self.has_channels and self.array.stored.ndim == 3
