"""GeoTIFF scenes larger than memory: workers read and fill windows, which are written in order."""

import collections

import numpy as np

from keras_uai import cluster
from keras_uai.fields import filling, tiles
from keras_uai.fields.files.geotiff import GeotiffFile

_Result = collections.namedtuple("_Result", "best std samples report model")


class _Scene:
    """A `tiles.Source` of a file."""

    def __init__(self, field):
        self.field = field
        self.height, self.width = field.height, field.width
        self.size = field.height * field.width * len(field.bands)

    def cut(self, rows, columns):
        sides = (self.height, self.width)
        rows, columns = (
            slice(*s.indices(n)[:2]) for s, n in zip((rows, columns), sides, strict=True)
        )
        return {"data": self.field.window(rows, columns).data()}


def fill(field, options, model, client, command):
    """Fills a scene and writes the result; returns its report and model.

    Args:
        field: A `GeotiffFile`.
        options: Dict of the flags of tools/fill.
        model: A `FieldModel`, or None: one is trained on a part of the scene.
        client: A `distributed.Client`.
        command: See `FieldFile.write`.
    """
    scene, report = _Scene(field), None
    count, seed = options["num_samples"], options["seed"]
    if model is None:
        given = tiles.load_some(scene, seed, filling.show)
        model, report = filling.fit(
            given, options["window"], options["minutes"], count, seed, filling.show
        )
    settings = (field.path, options["nodata"], filling.better(report))
    settings += (count, seed, options["save_samples"])
    size = field.height, field.width
    windows = [(tile, *tiles.around(tile, *size)) for line in tiles.grid(*size) for tile in line]
    content = cluster.share(client, tiles.packed(model))
    with field.writing(options["out"], command, count if options["save_samples"] else 0) as put:
        pairs = cluster.submitted(client, _fill_window, windows, content, *settings)
        for ((rows, columns), *_), future in pairs:
            put(rows.start, columns.start, *future.result())
    return _Result(None, None, None, report, model)


def _fill_window(windows, content, path, nodata, best, num_samples, seed, save_samples):
    """Returns a window's `StoredArray`, and what `FieldFile.unpack` returns."""
    field = GeotiffFile(path, nodata)
    tile, window, inside = windows
    part = field.window(*tile)
    if not part.array.gaps.any():
        stored, several = part.array.stored, num_samples if save_samples else 0
        samples = np.broadcast_to(stored, (several, *stored.shape)) if several else None
        return part.array, stored, np.zeros(stored.shape, "float32"), samples
    parts = {"data": field.window(*window).data()}
    found = tiles.fill_tile(window, inside, content, [], parts, best, num_samples, seed)
    result = _Result(*(found[name][0] for name in ("best", "std", "samples")), None, None)
    return part.array, *part.unpack(result, save_samples)
