"""Several files that are times of one series."""

import collections
import os

import numpy as np

from keras_uai.fields.files.base import FieldFile, smallest

_Part = collections.namedtuple("_Part", "best std samples")


class FileSeries(FieldFile):
    """Files of one format and grid, filled together: each holds one time or several, in order.

    Results are written into a folder, under the names of the files.

    Args:
        fields: list of `FieldFile`.
    """

    def __init__(self, fields):
        self.fields = fields
        self.has_channels = fields[0].has_channels
        names = [os.path.basename(field.path) for field in fields]
        if len({*names}) < len(names):
            raise ValueError(f"Files must differ in name. Received: {', '.join(names)}")
        self.parts = [_with_times(field.data()) for field in fields]
        grids = [_grid(*both) for both in zip(fields, self.parts, strict=True)]
        for field, grid in zip(fields, grids, strict=True):
            if grid != grids[0]:
                raise ValueError(
                    "Files of a series must have one format, grid and number of channels. "
                    f"Received: {fields[0].path} with {grids[0]}, {field.path} with {grid}"
                )
        self.time = getattr(_first(self.parts[0]), "dims", (None,))[0]
        counts = [len(_first(part)) for part in self.parts]
        self.ends = np.cumsum(counts).tolist()

    def arrays(self):
        return [array for field in self.fields for array in field.arrays()]

    def data(self):
        first = _first(self.parts[0])
        if isinstance(first, np.ndarray):
            masked = isinstance(first, np.ma.MaskedArray)
            return (np.ma if masked else np).concatenate(self.parts)
        import xarray as xr

        try:
            return xr.concat(self.parts, self.time, join="exact")
        except (ValueError, TypeError) as error:
            raise ValueError(
                "Files of a series must have the same coordinates of space, and times of one kind. Received: "
                f"{', '.join(field.path for field in self.fields)}: {error}"
            ) from error

    def never_fill(self):
        space = 3 if self.has_channels else 2
        masks = [field.arrays()[0].never_fill for field in self.fields]
        mask = np.concatenate([mask.reshape(-1, *mask.shape[-space:]) for mask in masks])
        mask = smallest(mask.all(axis=-1) if self.has_channels else mask)
        first = _first(self.parts[0])
        if mask is None or isinstance(first, np.ndarray):
            return mask
        return type(first)(mask, dims=first.dims[-mask.ndim :])

    def outputs(self, out, save_samples):
        paths = [os.path.join(out, os.path.basename(field.path)) for field in self.fields]
        found = zip(self.fields, paths, strict=True)
        return [name for field, path in found for name in field.outputs(path, save_samples)]

    def write(self, out, result, command, save_samples=False):
        """Writes the results into the folder `out`; each file appears whole."""
        start = 0
        for field, end in zip(self.fields, self.ends, strict=True):
            times = start if field.arrays()[0].stored.ndim == 2 else slice(start, end)
            part = _Part(
                _times_of(result.best, times, self.time),
                _times_of(result.std, times, self.time),
                _times_of(result.samples, times, self.time, 1) if save_samples else None,
            )
            path = os.path.join(out, os.path.basename(field.path))
            field.write(path, part, command, save_samples)
            start = end


def _grid(field, data):
    """Returns format, shape and place of a file as text, which all files of a series must share."""
    shape = _first(data).shape[1:]
    return " ".join(filter(None, [type(field).__name__, str(shape), field.place]))


def _first(data):
    """The array itself, or the first variable of a data set."""
    return next(iter(data.data_vars.values())) if hasattr(data, "data_vars") else data


def _with_times(data):
    """Adds an axis of times to arrays `(H, W)`."""
    if _first(data).ndim > 2:
        return data
    return data[None] if isinstance(data, np.ndarray) else data.expand_dims("time")


def _times_of(values, times, dim, axis=0):
    """Returns some times of an array (along `axis`), or of one of xarray's (along `dim`)."""
    if hasattr(values, "isel"):
        return values.isel({dim: times})
    return values[(slice(None),) * axis + (times,)]
