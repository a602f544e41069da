"""Writes a trained model as a SavedModel that TensorFlow Serving loads.

    keras-uai export --model=runs/0007-uai-faces-drop_pixel_0.9-seed0 --out=serving/faces
    keras-uai export --model=my.keras --out=serving/my/3 --weights=float16

Beside it: warm-up requests, a batching configuration, and a README with the server's command.
"""

import pathlib
import shlex

from absl.flags import DEFINE_bool, DEFINE_enum, DEFINE_integer, DEFINE_string

from keras_uai import progress
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
    from keras_uai import presets
    from keras_uai.serving import Limits, assets, exporting

    path = pathlib.Path(exporting.next_version(options["out"]))
    limits = {field: options[field] for field in Limits.__dataclass_fields__ if options[field]}
    given = {key: options[key] for key in ("weights", "overwrite", "name")}
    with progress.stage("Exporting"):
        model = presets.load_model(options["model"]).model
        exporting.export(model, path, limits=Limits(**limits), **given)
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    command = assets.command(exporting.name_on_servers(path, options["name"]))
    return (
        f"Written: {path} ({size / 1e6:.1f} MB)\n"
        f"Run a server (the contract is in {path}/README.md):\n\n"
        f"cd {shlex.quote(str(path.parent))}\n{command}\n"
    )
