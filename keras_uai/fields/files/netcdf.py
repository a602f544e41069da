"""NetCDF files with CF conventions."""

import shutil

import numpy as np

from keras_uai import files
from keras_uai.fields.files.base import (
    FieldFile,
    check_memory,
    readable,
    require,
    smallest,
    stamped,
)
from keras_uai.fields.files.storage import Encoding, StoredArray

#: Attributes of a variable that also hold for its standard deviation.
_SHARED = ("units", "coordinates", "grid_mapping")

#: Attributes of a variable that also hold for its samples.
_OF_NUMBERS = (
    "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "valid_min",
    "valid_max", "valid_range", "standard_name", *_SHARED,
)  # fmt: skip

_DEFLATE = {"zlib": True, "complevel": 4}


class NetcdfFile(FieldFile):
    """Variables of a NetCDF file.

    Missing are NaN, `_FillValue`, `missing_value`, and values out of `valid_range`. A copy of the
    file is written (NetCDF-4, also where the input is of the classic format) with each variable NAME
    filled, in its own packing; NAME_std, which NAME's `ancillary_variables` lists; on request
    NAME_samples with the dimension `realization`; and a line of history. All else is kept.

    Args:
        path: of the file.
        nodata: number (as stored) that marks missing values, besides the file's own. Default: none.
        variable: names of variables, separated by commas. Default: the only one that has two
            dimensions or more.
    """

    OPTIONS = ("nodata", "variable")

    def __init__(self, path, nodata=None, variable=None):
        self.xr, _ = require("Reading NetCDF", "xarray", "h5netcdf")
        self.path = path
        self.is_classic = files.read_bytes(path, 3) == b"CDF"
        self.dims, self.stored_arrays = {}, {}
        with readable(path, "NetCDF"):
            self.raw = self._open()
        with self.raw:
            self.names = self._names(variable)
            for name in self.names:
                self._read(name, nodata)
            with readable(path, "NetCDF"):
                decoded = self.xr.decode_cf(self.raw[self.names])
                self.coordinates = decoded.coords.to_dataset().load()
        encodings = [array.encoding for array in self.arrays()]
        self.marked = all(
            e.dtype.kind == "f" or e.marks or e.limits != (None, None) for e in encodings
        )

    def arrays(self):
        return list(self.stored_arrays.values())

    def data(self):
        found = {name: self._data_array(name) for name in self.names}
        return found[self.names[0]] if len(found) == 1 else self.xr.Dataset(found)

    def never_fill(self):
        name = self.names[0]
        mask = smallest(self.stored_arrays[name].never_fill)
        return None if mask is None else self.xr.DataArray(mask, dims=self.dims[name][-mask.ndim :])

    def planes(self):
        wanted = self.arrays()[0].stored.shape[-2:]
        return [str(n) for n, v in self.raw.variables.items() if v.shape[-2:] == wanted]

    def plane(self, name):
        with readable(self.path, "NetCDF"), self._open() as raw:
            return raw[name].values

    def outputs(self, out, save_samples):
        endings = ["std", *(["samples"] if save_samples else [])]
        new = [f"{name}_{ending}" for name in self.names for ending in endings]
        new += ["realization"] if save_samples else []
        if there := sorted({*new} & {*self.raw.variables, *self.raw.dims}):
            raise ValueError(
                f"The file must not have what is added to it: {', '.join(new)}. Rename or remove it. "
                f"Received: {self.path} with {', '.join(there)}"
            )
        return [out]

    def write(self, out, result, command, save_samples=False):
        """Writes the file; `command` goes into its attribute `history`."""
        history = "\n".join(filter(None, [self.raw.attrs.get("history"), stamped(command)]))
        added = self.xr.Dataset(attrs={"history": history})
        for name in self.names:
            self._add(added, name, result, save_samples)
        if save_samples:
            count = np.arange(added.sizes["realization"], dtype="int32")
            attributes = {"standard_name": "realization", "long_name": "number of the sample"}
            added["realization"] = ("realization", count, attributes)
        with files.atomic_path(out) as temporary:
            if self.is_classic:
                with self._open() as raw:
                    for variable in raw.variables.values():
                        variable.encoding = {"_FillValue": variable.attrs.pop("_FillValue", None)}
                    raw.to_netcdf(temporary, engine="h5netcdf")
            else:
                shutil.copyfile(self.path, temporary)
            added.to_netcdf(temporary, mode="a", engine="h5netcdf")

    def _open(self):
        engine = "scipy" if self.is_classic else "h5netcdf"
        return self.xr.open_dataset(self.path, engine=engine, decode_cf=False)

    def _names(self, wanted):
        fields = {
            name: f"{name} ({', '.join(map(str, variable.dims))})"
            for name, variable in self.raw.variables.items()
            if variable.ndim >= 2 and variable.dtype.kind in "iuf" and variable.size
        }
        names = wanted.split(",") if wanted else list(fields)
        if (len(names) != 1 and not wanted) or not set(names) <= set(fields):
            raise ValueError(
                f"`--variable` must name variables of {self.path}: "
                f"{', '.join(fields.values()) or 'none has two dimensions of numbers'}. "
                f"Received: --variable={wanted or ''}"
            )
        return names

    def _read(self, name, nodata):
        variable = self.raw[name].variable
        check_memory(self.path, variable.nbytes)
        encoding = _encoding(variable.dtype, variable.attrs, nodata)
        with readable(self.path, "NetCDF"):
            stored = np.array(variable.values).view(encoding.dtype)
        dims = list(variable.dims)
        for dim in variable.dims[1:-2]:  # such as a single depth
            if len(dims) > 3 and variable.sizes[dim] == 1:
                stored = stored.squeeze(dims.index(dim))
                dims.remove(dim)
        if len(dims) > 3:
            raise ValueError(
                f"A variable must have a time and two dimensions of space; choose one of the others "
                f"(xarray: .isel, NCO: ncks -d). Received: {self.path} with {name} "
                f"({', '.join(map(str, variable.dims))})"
            )
        self.dims[name] = dims
        self.stored_arrays[name] = StoredArray(stored, encoding, name=f"{self.path}[{name}]")

    def _data_array(self, name):
        attributes = self.raw[name].attrs
        kept = {
            k: attributes[k] for k in ("units", "long_name", "standard_name") if k in attributes
        }
        dims = self.dims[name]
        coordinates = {k: v for k, v in self.coordinates.coords.items() if {*v.dims} <= {*dims}}
        values = self.stored_arrays[name].decode(floats=True)
        return self.xr.DataArray(values, coordinates, dims, name, kept)

    def _add(self, added, name, result, save_samples):
        """Adds the filled variable `name`, as it is stored, and what belongs to it."""
        raw, array = self.raw[name], self.stored_arrays[name]

        def of(values, *before):
            found = values if len(self.names) == 1 else values[name]
            return found.transpose(*before, *self.dims[name]).values

        def as_stored(values):
            return array.filled(values).view(raw.dtype).reshape(raw.shape)

        title = raw.attrs.get("long_name", name)
        shared = {key: raw.attrs[key] for key in _SHARED if key in raw.attrs}
        if "standard_name" in raw.attrs:
            shared["standard_name"] = f"{raw.attrs['standard_name']} standard_error"
        error = f"{name}_std"
        more = " ".join(filter(None, [raw.attrs.get("ancillary_variables"), error]))
        added[name] = (raw.dims, as_stored(of(result.best)), {"ancillary_variables": more})
        std = array.error(of(result.std)).reshape(raw.shape)
        added[error] = (raw.dims, std, {"long_name": f"standard deviation of {title}", **shared})
        added[error].encoding = {"_FillValue": std.dtype.type(np.nan), **_DEFLATE}
        if save_samples:
            samples = np.stack([as_stored(sample) for sample in of(result.samples, "sample")])
            kept = {key: raw.attrs[key] for key in _OF_NUMBERS if key in raw.attrs}
            kept["long_name"] = f"samples of {title}"
            added[f"{name}_samples"] = (("realization", *raw.dims), samples, kept)
            added[f"{name}_samples"].encoding = dict(_DEFLATE)


def _encoding(dtype, attributes, nodata):
    """Returns the `Encoding` of a variable's numbers, from its attributes."""
    signs = {"true": "u", "false": "i"}
    kind = signs.get(attributes.get("_Unsigned"), dtype.kind) if dtype.kind in "iu" else "f"
    held = np.dtype(f"{kind}{dtype.itemsize}")
    scale = float(np.ravel(attributes.get("scale_factor", 1))[0])
    offset = float(np.ravel(attributes.get("add_offset", 0))[0])

    def numbers(key):
        found = np.ravel(attributes.get(key, ()))
        return found.view(held) if found.dtype == dtype else found

    def limit(key, index):
        found = numbers("valid_range")[index:][:1] if "valid_range" in attributes else numbers(key)
        if not found.size:
            return None
        unpacked = found.dtype.kind == "f" and kind != "f"  # against CF, but common
        return float((found[0] - offset) / scale if unpacked else found[0])

    limits = (limit("valid_min", 0), limit("valid_max", 1))
    marks = (*numbers("_FillValue"), *numbers("missing_value"), nodata)
    return Encoding(held, scale, offset, marks, limits)
