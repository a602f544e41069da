"""Fields larger than memory: tiles of a fixed grid, one after another or on several machines."""

import functools
import pickle
import threading

import keras
import numpy as np

from keras_uai.fields.data import Data, _roles, _variables
from keras_uai.fields.low_rank import LowRank
from keras_uai.fields.model import Inputs

#: Side of the tiles in pixels, and what is seen around each, at least. Windows begin at multiples of
#: `ALIGNMENT`, so that noise and levels of fills are aligned with the whole image's.
TILE, HALO, ALIGNMENT = 256, 64, 64
#: Pixels that the scores of the low-rank fills are fitted to.
PIXELS = 40_000
#: Values of the tiles that are loaded for training: about 2 GB with all that is made of them.
VALUES = 2**24

_LOCK = threading.Lock()


def is_lazy(data):
    """Returns whether Dask computes `data`, an array or an object of xarray."""
    graph = getattr(data, "__dask_graph__", None)
    return graph is not None and graph() is not None


def grid(height, width):
    """Returns rows of windows `(slice of rows, slice of columns)`: the tiles of a field."""
    rows, columns = (
        [slice(start, min(start + TILE, size)) for start in range(0, size, TILE)]
        for size in (height, width)
    )
    return [[(row, column) for column in columns] for row in rows]


def around(window, height, width):
    """Returns a tile's window with its halo, and the tile's window inside of that.

    At the border a window is wider, so that all are of two lengths at most: each shape is compiled.
    """
    length, outer = TILE + 2 * HALO, []
    for inner, size in zip(window, (height, width), strict=True):
        last = max(0, (size - length) // ALIGNMENT * ALIGNMENT)
        start = max(0, min(inner.start - HALO, last))
        outer.append(slice(start, size if start == last else start + length))
    inside = tuple(
        slice(inner.start - whole.start, inner.stop - whole.start)
        for inner, whole in zip(window, outer, strict=True)
    )
    return tuple(outer), inside


class Source:
    """A field as `fill` takes it, in memory or not, of which windows can be cut.

    Args:
        data, mask, never_fill: See `fill`; not a list.
    """

    def __init__(self, data, mask=None, never_fill=None):
        self.names = self.dims = None
        self.axes = ()
        if hasattr(data, "coords"):
            self.names = _variables(data) if hasattr(data, "data_vars") else [None]
            first = self._variable(data, self.names[0])
            self.dims = _roles(first)[:2]
            self.height, self.width = (first.sizes[dim] for dim in self.dims)
            self.size = first.size * len(self.names)
        else:
            if data.ndim == 3:
                self.axes = (0,) if data.shape[-1] <= 4 else (-1,)
            elif data.ndim == 2:
                self.axes = (0, -1)
            first = int(0 not in self.axes)
            self.height, self.width = data.shape[first : first + 2]
            self.size = data.size
        self.parts = {"data": data, "mask": mask, "never_fill": never_fill}
        for name, part in self.parts.items():
            if part is not None and self._sides(part) != (self.height, self.width):
                raise ValueError(
                    f"`{name}` must have the shape of `data`, with or without its time and "
                    f"channels. Received: {self._sides(part)} instead of "
                    f"{(self.height, self.width)} pixels"
                )

    def cut(self, rows, columns):
        """Returns the arguments of `Data` for a window; arrays `data` are `(T, h, w, C)`."""
        found = {name: self._cut(part, rows, columns) for name, part in self.parts.items()}
        if self.axes:  # after the cut: Dask reads only what is cut of the array as it is given
            ends = (None,) * (0 in self.axes), (None,) * (-1 in self.axes)
            found["data"] = found["data"][(*ends[0], ..., *ends[1])]
        return found

    def _cut(self, part, rows, columns):
        if part is None:
            return None
        if hasattr(part, "dims"):
            return part.isel(dict(zip(self.dims, (rows, columns), strict=True)))
        return part[(slice(None),) * self._axis(part) + (rows, columns)]

    def _sides(self, part):
        if hasattr(part, "dims"):
            return tuple(part.sizes.get(dim) for dim in self.dims)
        return tuple(part.shape[self._axis(part) :][:2])

    def _axis(self, part):
        if part is self.parts["data"]:
            return int(0 not in self.axes)
        return int(part.ndim == 4 or tuple(part.shape[1:3]) == (self.height, self.width))

    @staticmethod
    def _variable(data, name):
        return data if name is None else data[name]

    def joined(self, tiles, output, num_samples):
        """Returns an output of `fill` of delayed `fill_tile`s of the grid, in the form of `data`."""
        import dask.array as da

        several = [num_samples] * (output == "samples")
        data = self.parts["data"]
        if self.names is None:
            dtype = "float32" if output == "std" else data.dtype
            shape = (1,) * (0 in self.axes) + data.shape + (1,) * (-1 in self.axes)
            found = self._array(da, tiles, output, 0, shape, 1, several, dtype)
            found = found[..., 0] if -1 in self.axes else found
            return found[(slice(None),) * len(several) + (0,)] if 0 in self.axes else found
        found = {}
        for i, name in enumerate(self.names):
            field = self._variable(data, name)
            dtype = "float32" if output == "std" and field.dtype.kind != "f" else field.dtype
            axes = [field.dims.index(dim) for dim in self.dims]
            array = self._array(da, tiles, output, i, field.shape, axes, several, dtype)
            dims = ["sample"] * len(several) + list(field.dims)
            found[name] = type(field)(array, field.coords, dims, field.name, field.attrs)
        return found[None] if None in found else data.assign(found)

    def _array(self, da, tiles, output, i, shape, axes, several, dtype):
        row_axis, column_axis = (axes, axes + 1) if isinstance(axes, int) else axes
        rows = []
        for line, windows in zip(tiles, grid(self.height, self.width), strict=True):
            parts = []
            for tile, (row, column) in zip(line, windows, strict=True):
                sides = list(shape)
                sides[row_axis], sides[column_axis] = (s.stop - s.start for s in (row, column))
                parts.append(da.from_delayed(tile[output][i], (*several, *sides), dtype))
            rows.append(da.concatenate(parts, axis=column_axis + len(several)))
        return da.concatenate(rows, axis=row_axis + len(several))


def chunked(data):
    """Returns an array or an object of xarray, in memory, as one of Dask."""
    if hasattr(data, "coords"):
        return data.chunk(dict.fromkeys(Source(data).dims, TILE))
    import dask.array as da

    return da.from_array(data, chunks="auto")


def load_some(source, seed, report):
    """Loads what a model is trained on: the field, or random tiles of `VALUES` values together.

    Returns:
        `Data`, with an array for each tile that has observed values.
    """
    import dask

    windows = [window for line in grid(source.height, source.width) for window in line]
    count = max(1, int(VALUES * len(windows) / source.size))
    if source.size <= VALUES:
        windows, count = [(slice(None), slice(None))], 1
    found = []
    for i in np.random.default_rng(seed).permutation(len(windows)):
        given = Data(**dask.compute(source.cut(*windows[i]))[0], is_tile=True)
        if given.observed[0].any():
            found.append(given)
        if len(found) == count:
            break
    if not found:
        raise ValueError("`data` must have observed values. Received: none")
    if len(windows) > 1:
        report(
            f"Training on {len(found)} of {len(windows)} tiles of {TILE} x {TILE} pixels, chosen "
            f"at random: more than {VALUES:,} values are not loaded."
        )
    first = found[0]
    for other in found[1:]:
        for name in ("arrays", "observed", "fillable", "times", "contexts"):
            getattr(first, name).extend(getattr(other, name))
    return first


def fill(source, model, best, num_samples, seed):
    """Fills a field of Dask lazily.

    Tiles lie on a fixed grid and know their place, so that results have the same bits whatever the
    chunks of the data, the number of workers and the order. What is global is computed once: the
    scores of the low-rank fills, on a regular subsample of the pixels. All else, such as the fill in
    space, sees a tile and `HALO` pixels around it: where gaps are smaller, results are close to those
    of the whole image, but not equal (a wide network sees up to 128 pixels far).

    Args:
        source: A `Source`.
        model: A `FieldModel`.
        best: Name of the classical method that is better; None for the model.
        num_samples, seed: See `keras_uai.fill`.

    Returns:
        Dict of `mean`, `std`, `samples` and `best` in the form of the data.
    """
    import dask

    content = dask.delayed(packed(model))
    step = max(1, int(np.ceil((source.height * source.width / PIXELS) ** 0.5)))
    scores = []
    if model.settings["ranks"]:
        some = source.cut(slice(None, None, step), slice(None, None, step))
        scores = dask.delayed(fit_scores)(some, content)
    task, size = dask.delayed(fill_tile), (source.height, source.width)
    tiles = [
        [
            task(window, inside, content, scores, source.cut(*window), best, num_samples, seed)
            for window, inside in (around(tile, *size) for tile in line)
        ]
        for line in grid(*size)
    ]
    names = ("mean", "std", "samples", "best")
    return {name: source.joined(tiles, name, num_samples) for name in names}


def fit_scores(parts, content):
    """Returns the low-rank fills of a subsample of the pixels, a list of `LowRank`."""
    settings = pickle.loads(content)[0]["config"]["settings"]
    stack = _stack(Data(**parts, is_tile=True), settings)
    return [
        LowRank.fit(stack.values, stack.observed, stack.time, rank) for rank in settings["ranks"]
    ]


def fill_tile(window, inside, content, scores, parts, best, num_samples, seed):
    """Fills a tile.

    Args:
        window, inside: See `around`.
        content: `packed` model.
        scores: See `fit_scores`.
        parts: Arguments of `Data` for the window, in memory.
        best, num_samples, seed: See `fill`.

    Returns:
        Dict of `mean`, `std`, `samples` and `best`, lists of an array for each variable.
    """
    from keras_uai.fields.filling import classical, predict

    origin = [part.start for part in window]
    model = unpacked(content, *(part.stop - part.start for part in window))
    location, scale = (np.array(model.settings[name]) for name in ("location", "scale"))
    stack = _stack(Data(**parts, is_tile=True), model.settings)
    inputs = Inputs(stack, stack.observed, model.settings, scores)
    with _LOCK:  # the threads of a process share the model
        mean, drawn = predict(model, inputs, num_samples, seed, inside, origin)
    tile = Source(**parts)
    axes, names = tile.axes, tile.names or [None]
    tile = Data(**tile.cut(*inside), is_tile=True)
    mean = mean * scale + location
    found = {
        "mean": tile.filled([mean]),
        "std": tile.deviations([drawn.std(axis=0, ddof=1) * scale]),
        "best": tile.filled([mean]),
    }
    if best is not None:
        (fill,) = classical(best, [inputs], location, scale)
        found["best"] = tile.filled([fill[:, *inside]])

    def values(result):
        arrays = [Source._variable(result, name) for name in names]
        arrays = [getattr(array, "values", array) for array in arrays]
        for axis in axes:
            arrays = [array.squeeze(axis) for array in arrays]
        return arrays

    found = {name: values(result) for name, result in found.items()}
    drawn = [values(tile.filled([one * scale + location])) for one in drawn]
    found["samples"] = [np.stack(arrays) for arrays in zip(*drawn, strict=True)]
    return found


def packed(model):
    """Returns what a worker needs of a `FieldModel` to apply it, as bytes."""
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    return pickle.dumps((config, model.inference_generator.get_weights()))


@functools.lru_cache(maxsize=4)
def unpacked(content, height, width):
    """Returns the `FieldModel` of `packed`, once in a process for each of the shapes of windows.

    TensorFlow compiles the first shape that a model sees as it is, and others for any size, which
    rounds differently: with one model bits would depend on the order of the tiles.
    """
    del height, width
    config, weights = pickle.loads(content)
    model = keras.saving.deserialize_keras_object(config)
    model.inference_generator.set_weights(weights)
    return model


def _stack(given, settings):
    """Returns the stack of frames of a window in network units."""
    (stack,) = given.stacks(np.array(settings["location"]), np.array(settings["scale"]))
    return stack
