"""Writes a trained model as a SavedModel that TensorFlow Serving loads.

    tools/export --model=runs/0007-uai-faces-drop_pixel_0.9-seed0 --out=saved_models/faces/serving
    tools/export --model=my.keras --out=serving/my/3 --weights=float16

Beside it: warm-up requests, a batching configuration, and a README with the server's command.
"""

from absl.flags import DEFINE_bool, DEFINE_enum, DEFINE_integer, DEFINE_string

from keras_uai.cli import flags


def define():
    flags.define_model_flags(required=True)
    DEFINE_string(
        "out",
        None,
        "The new folder: .../serving/2, whose name is the version, or .../serving for the next one.",
        required=True,
    )
    DEFINE_enum("weights", "float32", ["float32", "float16"], "Kernels on disk; float16 is half.")
    DEFINE_string("name", None, "The model's name on servers. Default: from --out.")
    DEFINE_bool("overwrite", False, "Replace an existing version.")
    DEFINE_integer("max_samples", None, "Limit: samples per image.", lower_bound=1)
    DEFINE_integer("max_pixels", None, "Limit: pixels of an image.", lower_bound=1)
    DEFINE_integer("max_answer_pixels", None, "Limit: pixels of all samples of a request.", 1)


def run(options):
    """Exports; returns the command that serves it."""
    from keras_uai.serving import exporting

    return exporting.run(options)
