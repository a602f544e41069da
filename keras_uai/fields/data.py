"""Conversion of users' arrays and xarray objects to stacks of frames, and back."""

import numpy as np

from keras_uai import checks
from keras_uai.fields.stack import Stack

#: Names of dimensions of time and of space.
TIME = ("time", "t", "date", "valid_time")
ROWS = ("y", "lat", "latitude", "row", "rows", "northing", "j")
COLUMNS = ("x", "lon", "longitude", "column", "columns", "easting", "i")


class Data:
    """Arrays `(T, H, W, C)` of the user's numbers, and the way back to the user's form.

    Args:
        data: See `fill`.
        mask, never_fill, context: See `fill`.
        is_tile: Whether `data` may be without observed values, as a part of a field.

    Attributes:
        arrays: List of arrays `(T, H, W, C)` in the user's dtype, in ascending order of time.
        observed, fillable: Lists of bools of these shapes.
        times: List of float64 `(T,)`, in days where times are known.
    """

    def __init__(self, data, mask=None, never_fill=None, context=None, is_tile=False):
        self.given = data
        if isinstance(data, (list, tuple)):
            self.form = "list"
            arrays = [
                _with_axes(array, frames=1, name=f"data[{i}]") for i, array in enumerate(data)
            ]
            if not arrays:
                raise ValueError("`data` must hold an array. Received: an empty list")
            masks = [None] * len(arrays) if mask is None else list(mask)
            never = [None] * len(arrays) if never_fill is None else list(never_fill)
            if len(masks) != len(arrays) or len(never) != len(arrays):
                raise ValueError(
                    "`mask` and `never_fill` must be lists as long as `data`. "
                    f"Received: {len(arrays)} arrays, {len(masks)} masks, {len(never)} of never_fill"
                )
            contexts = [None] * len(arrays) if context is None else list(context)
        elif hasattr(data, "dims") and hasattr(data, "coords"):
            self.form = "dataset" if hasattr(data, "data_vars") else "dataarray"
            array, mask, never_fill, context = self._of_xarray(data, mask, never_fill, context)
            arrays, masks, never, contexts = [array], [mask], [never_fill], [context]
        else:
            self.form = "array"
            data = np.asanyarray(data)
            arrays, masks, never, contexts = [_with_axes(data)], [mask], [never_fill], [context]
        channels = {array.shape[-1] for array in arrays}
        if len(channels) > 1:
            raise ValueError(
                f"Arrays of `data` must have equally many channels. Received: {channels}"
            )
        self.arrays, self.observed, self.fillable, self.contexts = [], [], [], []
        for array, known, never_one, context_one in zip(
            arrays, masks, never, contexts, strict=True
        ):
            self._add(array, known, never_one, context_one)
        if self.form not in ("dataset", "dataarray"):
            self.times = [np.arange(len(array), dtype="float64") for array in self.arrays]
        if not (is_tile or any(seen.any() for seen in self.observed)):
            raise ValueError("`data` must have observed values. Received: none")

    def _add(self, array, mask, never_fill, context):
        shape = array.shape
        observed = checks.is_given(array)
        values = np.ma.getdata(array)
        if values.dtype.kind not in "iuf":
            raise ValueError(f"`data` must be integers or floats. Received: {values.dtype}")
        if mask is not None:
            observed = observed & (_like(mask, shape, "mask") > 0.5)
        fillable = np.ones(shape, bool)
        if never_fill is not None:
            fillable = ~(_like(never_fill, shape, "never_fill") > 0.5)
        if values.dtype.kind == "f" and np.isinf(values[observed]).any():
            raise ValueError(
                "Observed values of `data` must be finite: mask infinite ones, or set them to NaN. "
                f"Received: {int(np.isinf(values[observed]).sum()):,} infinite values"
            )
        self.arrays.append(values)
        self.observed.append(observed & fillable)
        self.fillable.append(fillable)
        self.contexts.append(None if context is None else _context(context, shape))

    # -- xarray ----------------------------------------------------------------------------------

    def _of_xarray(self, data, mask, never_fill, context):
        names = [data.name] if self.form == "dataarray" else _variables(data)
        fields = [data] if self.form == "dataarray" else [data[name] for name in names]
        self.names = names
        rows, columns, self.time_dim, self.band_dim = _roles(fields[0])
        order = [d for d in (self.time_dim, rows, columns, self.band_dim) if d]
        self.order = order

        def array(field):
            found = field.transpose(*(d for d in order if d in field.dims))
            found = found.expand_dims({d: data.sizes[d] for d in order if d not in field.dims})
            found = found.transpose(*order).values
            found = found if self.time_dim else found[None]
            return found if self.band_dim else found[..., None]

        values = np.concatenate([array(field) for field in fields], axis=-1)
        self.times = [np.arange(len(values), dtype="float64")]
        self.sorting = np.arange(len(values))
        if self.time_dim and self.time_dim in data.coords:
            self._sort(data[self.time_dim])
            values = values[self.sorting]

        def of(extra):
            if hasattr(extra, "dims"):
                extra = array(extra)
                extra = extra[self.sorting] if len(extra) > 1 else extra
            return extra

        if context is not None and hasattr(context, "data_vars"):
            context = np.concatenate([of(context[name]) for name in context.data_vars], axis=-1)
        return values, of(mask), of(never_fill), of(context)

    def _sort(self, time):
        values = time.values
        if values.dtype.kind == "M":
            days = (values - values.min()) / np.timedelta64(1, "s") / 86400.0
        elif values.dtype.kind in "iuf":
            days = values.astype("float64")
        else:
            days = np.arange(len(values), dtype="float64")
        repeated = len(days) - len(np.unique(days))
        if repeated:
            raise ValueError(
                f"Times must differ: average or drop repeated ones first. Received: {repeated} "
                f"repeated values of {self.time_dim!r}"
            )
        self.sorting = np.argsort(days, kind="stable")
        self.times = [days[self.sorting]]

    # -- and back --------------------------------------------------------------------------------

    def stacks(self, location, scale):
        """Returns the `Stack`s in network units."""
        stacks = []
        for i, array in enumerate(self.arrays):
            observed = self.observed[i]
            values = (array.astype("float64") - location) / scale
            values = np.where(observed, values, 0.0).astype("float32")
            stacks.append(
                Stack(values, observed, self.fillable[i], self.times[i], self.contexts[i])
            )
        return stacks

    def filled(self, fills):
        """Returns fills `(..., T, H, W, C)` in the user's units as the user's dtype and form.

        Observed values are the user's own, and so is what is never filled.
        """
        found = []
        for fill, array, observed, fillable in zip(
            fills, self.arrays, self.observed, self.fillable, strict=True
        ):
            if array.dtype.kind in "iu":
                limits = np.iinfo(array.dtype)
                fill = np.clip(np.rint(fill), limits.min, limits.max)
            keep = observed | ~fillable
            found.append(np.where(keep, array, fill.astype(array.dtype)))
        return self.wrapped(found)

    def deviations(self, stds):
        """Returns standard deviations as `filled`: float32, 0 if observed, NaN if never filled."""
        found = []
        for std, observed, fillable in zip(stds, self.observed, self.fillable, strict=True):
            std = np.where(observed, 0.0, std)
            found.append(np.where(fillable, std, np.nan).astype("float32"))
        return self.wrapped(found)

    def wrapped(self, arrays):
        """Returns arrays `([K,] T, H, W, C)` in the user's form; K becomes the first axis."""
        if self.form == "list":
            return [
                _without_axes(array, np.shape(given))
                for array, given in zip(arrays, self.given, strict=True)
            ]
        if self.form == "array":
            return _without_axes(arrays[0], np.shape(self.given))
        array, several = arrays[0], arrays[0].ndim == 5
        back = np.argsort(self.sorting)
        array = array[:, back] if several else array[back]
        if self.form == "dataarray":
            return self._field(self.given, array, several)
        parts = np.split(array, len(self.names), axis=-1)
        pairs = zip(self.names, parts, strict=True)
        return self.given.assign(
            {name: self._field(self.given[name], part, several) for name, part in pairs}
        )

    def _field(self, template, array, several):
        import xarray

        dims = ["sample"] * several + list(self.order)
        array = array if self.band_dim else array[..., 0]
        if not self.time_dim:
            array = array[:, 0] if several else array[0]
        if array.dtype.kind == "f" and template.dtype.kind == "f" and array.dtype != template.dtype:
            array = array.astype(template.dtype)
        found = xarray.DataArray(
            array, template.coords, dims, name=template.name, attrs=template.attrs
        )
        return found.transpose(*["sample"] * several, *template.dims)


def _with_axes(array, frames=None, name="data"):
    """Returns an array as `(T, H, W, C)`."""
    array = np.asanyarray(array)
    if array.ndim == 2:
        return array[None, ..., None]
    if array.ndim == 3:
        channels_last = frames == 1 or array.shape[-1] <= 4
        return array[None] if channels_last else array[..., None]
    if array.ndim == 4 and frames is None:
        return array
    shapes = "(H, W) or (H, W, C)" if frames == 1 else "(T, H, W[, C]) or (H, W[, C])"
    raise ValueError(f"`{name}` must have shape {shapes}. Received: shape {array.shape}")


def _without_axes(array, shape):
    """Returns `(..., T, H, W, C)` with the axes of the user's `shape`, after a sample's."""
    several = array.ndim == 5
    return array.reshape(*array.shape[:1] * several, *shape)


def _like(mask, shape, name):
    """Returns a mask for `(T, H, W, C)`, of the same shape."""
    mask = np.asarray(np.ma.filled(mask, 0))
    found = checks.is_observed(mask, name).astype("float32")
    for candidate in (
        found,
        found[..., None],
        found[None],
        found[None, ..., None],
    ):
        if (
            candidate.ndim == 4
            and all(n in (1, wanted) for n, wanted in zip(candidate.shape, shape, strict=True))
            and candidate.shape[1:3] == shape[1:3]
        ):
            return np.broadcast_to(candidate, shape)
    raise ValueError(
        f"`{name}` must have the shape of `data`, with or without its time and channels. "
        f"Received: shape {mask.shape} for data of shape {shape}"
    )


def _context(context, shape):
    """Returns context as float32 `(T or 1, H, W, K)` near [-1, 1], with masks where it has gaps."""
    context = np.asanyarray(context)
    if context.shape[:2] == shape[1:3]:
        context = context.reshape(1, *shape[1:3], -1)
    elif context.shape[:3] == shape[:3] or context.shape[:3] == (1, *shape[1:3]):
        context = context.reshape(*context.shape[:3], -1)
    else:
        raise ValueError(
            "`context` must have shape (H, W[, K]) or (T, H, W[, K]). "
            f"Received: shape {context.shape} for data of shape {shape}"
        )
    known = np.isfinite(np.ma.getdata(context)) & ~np.ma.getmaskarray(context)
    values = np.where(known, np.ma.getdata(context), np.nan).astype("float64")
    centre, spread = np.nanmean(values, (0, 1, 2)), np.nanstd(values, (0, 1, 2))
    values = np.where(known, (values - centre) / np.where(spread > 0, 2 * spread, 1), 0.0)
    parts = [values] if known.all() else [values, known]
    return np.concatenate(parts, axis=-1).astype("float32")


def _variables(dataset):
    """Returns the names of the variables of a Dataset to fill: those of the dims of the first."""
    numeric = [
        name
        for name, field in dataset.data_vars.items()
        if field.ndim >= 2 and field.dtype.kind in "f"
    ]
    if not numeric:
        raise ValueError(
            "`data` must have a variable of floats with two dimensions. "
            f"Received: {list(dataset.data_vars)}"
        )
    dims = dataset[numeric[0]].dims
    return [name for name in numeric if dataset[name].dims == dims]


def _roles(field):
    """Returns the names of the dimensions of rows, columns, time and bands (None if absent)."""
    dims = list(field.dims)
    lower = {dim: str(dim).lower() for dim in dims}
    if len(dims) < 2:
        raise ValueError(f"`data` must have two dimensions in space. Received: {dims}")
    rows = next((d for d in dims if lower[d] in ROWS), None)
    columns = next((d for d in dims if lower[d] in COLUMNS), None)
    if rows is None or columns is None:
        rows, columns = dims[-2:]
    rest = [d for d in dims if d not in (rows, columns)]
    dated = [d for d in rest if d in field.coords and field.coords[d].dtype.kind == "M"]
    time = next(iter(dated), None) or next((d for d in rest if lower[d] in TIME), None)
    if time is None and len(rest) == 2:
        time = rest[0]
    bands = [d for d in rest if d != time]
    if len(bands) > 1:
        raise ValueError(
            "`data` must have dimensions of time, rows, columns and channels at most. "
            f"Received: {dims}. Select one level, or stack them: data.isel(...)"
        )
    return rows, columns, time, bands[0] if bands else None
