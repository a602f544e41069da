"""Fills damaged image files, several times each.

    keras-uai inpaint --preset=faces_32_drop_pixel photograph.png --out=filled
    keras-uai inpaint --model=saved_models/mine/serving/1 photographs/ --mask=sidecar --out=filled
    keras-uai inpaint --server=grpc://localhost:8500/mine photographs/ --mask=color:255,0,255 --out=filled

Writes a folder for each image: sample_01.png, ..., mean.png, and where samples differ: std.png
(grey, for programs) and uncertainty.png (colours). Folders within folders are mirrored. Existing
results are kept, so that the same command resumes. Errors of single images are listed at the end.
"""

from absl.flags import DEFINE_bool, DEFINE_float, DEFINE_integer, DEFINE_string

from keras_uai.cli import flags

#: Images and folders are positional arguments.
POSITIONAL = True


def define():
    flags.define_model_flags(or_else=", or a SavedModel's folder")
    DEFINE_string(
        "server",
        None,
        "grpc://host:port/model[/version] or http(s)://host:port/v1/models/model[/versions/version].",
    )
    DEFINE_string("out", None, "Folder of the results.", required=True)
    DEFINE_string(
        "mask",
        "auto",
        "Source of masks: alpha (transparent = missing), sidecar (NAME.mask.png or NAME_mask.png "
        "beside the image, or in a folder `masks`; black = missing), color:R,G,B (missing), or a "
        "file: one mask for all. auto: sidecar where there is one, else alpha. NaN is missing, too.",
    )
    DEFINE_integer("num_samples", 5, "Samples per image.", lower_bound=1)
    DEFINE_integer("seed", 0, "Seed of the samples.")
    DEFINE_bool("overwrite", False, "Replace existing results.")
    DEFINE_float("timeout", 60.0, "Seconds that a server has for an image.")
    DEFINE_integer("retries", 4, "Further attempts where a server is busy.", lower_bound=0)
    DEFINE_integer("concurrency", None, "Images at a time. Default: 1; on servers: 8.", 1)
    DEFINE_bool("progress", True, "Show a progress bar.")
    flags.define_cluster_flags()


def run(options, paths):
    """Fills the images; returns the exit code: 0, 1 where an image failed, 130 after Ctrl-C."""
    from keras_uai.serving import inpainting

    return inpainting.run(options, paths)
