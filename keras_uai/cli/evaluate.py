"""Scores a trained model on images it has not seen, and baselines beside it.

    keras-uai evaluate --model=runs/0007-uai-faces-drop_pixel_0.9-seed0 --out=evaluations/0007
    keras-uai evaluate --model=my.keras --data=my/photos --measurement="DropPixel(0.9)" --out=scores
    keras-uai evaluate --data=my/photos --measurement="Patch(90, 10)" --out=scores   # baselines only
    keras-uai evaluate --model=runs/0008-... --clean_data=kept/aside   # damaged images

Writes into --out: results.json (scores with 95% intervals, data, seeds, versions), table.md,
samples.png, methods.png and calibration.png. The same command resumes an interrupted evaluation.
"""

import os
import shlex
import sys

from absl.flags import DEFINE_bool, DEFINE_float, DEFINE_integer, DEFINE_list, DEFINE_string

from keras_uai import progress
from keras_uai.cli import flags


def define_feature_flags():
    """Defines the flags that choose the features of distances."""
    DEFINE_string(
        "extractor",
        "auto",
        "Features of the Fréchet and kernel distances: inception[:path], efficientnet_lite0, or "
        "none. auto: inception where its weights are on this machine, else efficientnet_lite0.",
    )
    DEFINE_integer("feature_crop", 64, "Side of crops for features; 0: whole images.", 0)
    DEFINE_string("references", ".cache/references", "Folder of reference statistics.")
    DEFINE_bool("progress", True, "Show progress bars.")


def define():
    flags.define_model_flags(
        or_else=". A run's folder or a preset also names its data. "
        "Default: none, only baselines are scored"
    )
    DEFINE_string("sampler", None, flags.SAMPLER_HELP)
    flags.define_data_flags()
    DEFINE_float(
        "holdout",
        None,
        "Share of the observed pixels to hide and to score on. Default: 0.2 without clean images.",
    )
    DEFINE_list(
        "baselines",
        "mean_colour,nearest,linear_interpolation,telea,navier_stokes,biharmonic",
        "Baselines to score.",
    )
    DEFINE_integer("num_samples", 10, "Samples per image.", lower_bound=1)
    DEFINE_integer("seed", 0, "Seed of the samples.")
    define_feature_flags()
    DEFINE_integer("grid", 8, "Images in the pictures; 0: no pictures.", lower_bound=0)
    DEFINE_string("out", "evaluation", "Folder of the results.")
    DEFINE_bool("restart", False, "Start anew instead of resuming what is in --out.")
    flags.define_cluster_flags()


def run(options):
    """Evaluates; returns the table."""
    from keras_uai.metrics import commands, report

    program = os.path.basename(sys.argv[0]) if os.path.isabs(sys.argv[0]) else sys.argv[0]
    command = shlex.join([program, *sys.argv[1:]])
    with progress.stage("Evaluating"):
        result, paths = commands.evaluate({**options, "command": command})
    return f"{report.table(result)}\nWritten: {', '.join(paths)}"
