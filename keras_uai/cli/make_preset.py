"""Makes a preset of a finished run: config, weights, metadata, model card, SavedModel.

    keras-uai make_preset --run=runs/0007-uai-drawn_faces-drop_pixel_0.9-seed0 \\
        --evaluation=evaluations/0007 --out=saved_models/drawn_faces_32_drop_pixel \\
        --description="Drawn faces, nine pixels of ten missing"

The card's training comes from the run's folder, its scores from the folder of an evaluation. Absolute
paths are left out.
"""

from absl.flags import DEFINE_bool, DEFINE_multi_string, DEFINE_string

from keras_uai import progress


def define():
    DEFINE_string("run", None, "Folder of a finished run (experiments/run.py).", required=True)
    DEFINE_string("out", None, "The preset's folder; its last part is its name.", required=True)
    DEFINE_string("description", None, "Description in one line.", required=True)
    DEFINE_string("evaluation", None, "Folder of tools/evaluate. Default: the run's own.")
    DEFINE_string("data_name", None, "Name of the data. Default: the folder's name.")
    DEFINE_string("licence", None, "Licence of the data; required for image folders.")
    DEFINE_string("note", None, "A sentence on the data for the card.")
    DEFINE_multi_string("limit", [], "A further limit for the card; may be repeated.")
    DEFINE_bool("serving", True, "Also export a SavedModel into serving/1.")
    DEFINE_bool("float16", True, "Store kernels as float16.")
    DEFINE_bool("overwrite", False, "Replace an existing preset.")


def run(options):
    """Makes the preset; returns its path."""
    from keras_uai.training import publishing

    names = ("description", "evaluation", "data_name", "licence", "note")
    names += ("serving", "float16", "overwrite")
    given = {name: options[name] for name in names}
    with progress.stage("Making the preset"):
        path = publishing.publish(options["run"], options["out"], limits=options["limit"], **given)
    return f"Written: {path}"
