"""Fills the gaps of fields: NetCDF, GeoTIFF, TIFF, FITS, .npy and .npz.

    keras-uai fill sst.nc --variable=sst --never_fill=land --window=3 --out=filled.nc
    keras-uai fill scene.tif --nodata=0 --minutes=20 --out=filled.tif
    keras-uai fill 2018-*.tif --window=3 --out=filled   # several files: times of one series
    keras-uai fill frames.fits --dq=DQ --dq_bits=1,4 --num_samples=20 --save_samples --out=filled.fits
    keras-uai fill scene.tif --model=model.keras --workers=8 --out=filled.tif   # larger than memory

A model is trained on the gaps of the data, unless --model names one. The result has the format,
numbers and attributes of the file; observed values keep their bits. Its standard deviation is the
variable NAME_std (NetCDF), the extension ERR (FITS), the array std (.npz), or a file *_std.
Where a classical method was better than the model, its values are written, and the report says so.
With --workers or --scheduler (Dask) fields are filled by tiles, and a GeoTIFF need not fit into memory.
"""

from absl.flags import DEFINE_bool, DEFINE_float, DEFINE_integer, DEFINE_list, DEFINE_string

from keras_uai import progress
from keras_uai.cli import flags

#: Files are positional arguments.
POSITIONAL = True


def define():
    flags.define_model_flags(
        or_else=", which is applied as it is. Default: one is trained on the file"
    )
    DEFINE_string(
        "out",
        None,
        "File of the result, of the same format; of several files: a folder.",
        required=True,
    )
    DEFINE_string(
        "variable",
        None,
        "NetCDF: names of variables, separated by commas. FITS: name or number of the extension. "
        ".npz: name of the array (data). Default: the only one; FITS: the first image.",
    )
    DEFINE_string(
        "mask",
        None,
        "Where values are observed (1, or 255): a file, or a variable, extension or array of the "
        "same file. NAME=VALUE,... chooses the values that count as 1.",
    )
    DEFINE_string("never_fill", None, "Pixels never to be filled, such as land: as --mask.")
    DEFINE_float(
        "nodata",
        None,
        "Number that marks missing values, besides the file's own marks (NetCDF: as packed).",
    )
    DEFINE_string("dq", None, "FITS: name or number of the data-quality extension.")
    DEFINE_list(
        "dq_bits", None, "Values (1, 2, 4, ...) of its bits that mean missing. Default: any."
    )
    DEFINE_integer("num_samples", 10, "Samples.", lower_bound=2)
    DEFINE_integer(
        "window", 1, "Neighbouring times as context, an odd number: 3 is one each side.", 1
    )
    DEFINE_float(
        "minutes", None, "Longest training. Default: until its score no longer falls.", 0.0
    )
    DEFINE_integer("seed", 0, "Seed of training and samples.")
    DEFINE_bool("save_samples", False, "Write the samples, too.")
    DEFINE_string("report", None, "File of the report, JSON.")
    DEFINE_string("save_model", None, "File of the trained model (*.keras).")
    DEFINE_bool("overwrite", False, "Replace existing files.")
    flags.define_cluster_flags()


def run(options, paths):
    """Fills the files; returns the report and the paths of what was written."""
    from keras_uai.fields import command

    with progress.stage("Filling"):
        return command.run(options, paths)
