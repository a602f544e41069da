"""The command `fill`: files with gaps in, files of the same format without them out."""

import collections
import os
import shlex
import sys

import numpy as np

import keras_uai
from keras_uai import checks, cluster, files
from keras_uai.fields import scenes, tiles
from keras_uai.fields.files import format_of, open_field, open_scene

_Result = collections.namedtuple("_Result", "best std samples report model")


def run(options, paths):
    """Runs the command with its flags, a dict, on a list of files; returns the text to print."""
    if not paths:
        raise ValueError("A file must be named. Received: none")
    out = options["out"]
    if len(paths) > 1 and os.path.isfile(out):
        raise ValueError(f"--out must be a folder for several files. Received: --out={out}, a file")
    if len(paths) == 1 and format_of(out) != format_of(paths[0]):
        raise ValueError(
            f"--out must have the format of the file, {format_of(paths[0])}. Received: --out={out}"
        )
    if not (options["save_model"] or ".keras").endswith(".keras"):
        raise ValueError(
            f"--save_model must end in .keras. Received: --save_model={options['save_model']}"
        )
    read = ("variable", "mask", "never_fill", "nodata", "dq")
    read = {name: options[name] for name in read}
    bits = _bits(options["dq_bits"])
    with cluster.connect(options.get("scheduler"), options.get("workers")) as client:
        scene = client and open_scene(paths, **read, dq_bits=bits)
        field = scene or open_field(*paths, **read, dq_bits=bits)
        return _run(field, paths, options, client, scene is not None)


def _run(field, paths, options, client, by_windows):
    out = options["out"]
    written = field.outputs(out, options["save_samples"])
    written += [options[name] for name in ("report", "save_model") if options[name]]
    there = [name for name in written if os.path.lexists(name)]
    if there and not options["overwrite"]:
        raise ValueError(
            f"Results must be new files; --overwrite replaces them. Received: {', '.join(there)}"
        )
    words = sys.argv[2:] if sys.argv[1:2] == ["fill"] else sys.argv[1:]  # of tools/fill
    command = shlex.join(["keras-uai", "fill", *words])
    if by_windows:
        result = scenes.fill(field, options, _model(options), client, command)
    else:
        result = _fill(field, paths, options, client)
        field.write(out, result, command, options["save_samples"])
    if options["report"]:
        files.write_json(options["report"], result.report.as_dict() if result.report else {})
    if options["save_model"] and result.model:
        with files.atomic_path(options["save_model"]) as temporary:
            result.model.save(temporary)
    shown = [str(result.report)] if result.report else []
    written = [name for name in written if result.model or name != options["save_model"]]
    return "\n".join([*shown, f"Written: {', '.join(written)}"])


def _fill(field, paths, options, client):
    if not any(array.gaps.any() for array in field.arrays()):
        checks.warn(
            f"Nothing is missing in {', '.join(paths)}: the values are written as they are, with "
            "standard deviation 0, and no model is trained."
        )
        return _unchanged(field.data(), options["num_samples"])
    given = {name: options[name] for name in ("num_samples", "window", "minutes", "seed")}
    given |= {"never_fill": field.never_fill(), "model": _model(options)}
    if client is None:
        return keras_uai.fill(field.data(), **given)
    import dask

    data = field.data()
    if isinstance(data, np.ma.MaskedArray):
        given["mask"], data = ~np.ma.getmaskarray(data), np.ma.getdata(data)
    result = keras_uai.fill(tiles.chunked(data), **given)
    arrays = {name: getattr(result, name) for name in ("best", "std", "samples")}
    if not options["save_samples"]:
        del arrays["samples"]
    arrays = {"samples": None, **dask.compute(arrays)[0]}
    return _Result(**arrays, report=result.report, model=result.model)


def _model(options):
    if not options["model"]:
        return None
    from keras_uai import presets

    return presets.load_model(options["model"]).model


def _unchanged(data, num_samples):
    """The result for data without gaps."""
    if hasattr(data, "expand_dims"):  # of xarray
        samples = data.expand_dims(sample=num_samples)
    else:
        samples = np.broadcast_to(data, (num_samples, *data.shape))
    return _Result(data, data * 0.0, samples, None, None)


def _bits(texts):
    try:
        return [int(text) for text in texts] if texts else None
    except ValueError as error:
        raise ValueError(
            f"--dq_bits must list integers. Received: --dq_bits={','.join(texts)}"
        ) from error
