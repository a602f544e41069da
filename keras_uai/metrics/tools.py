"""What the command line tools share: the flags that say which images, and how errors are said."""

import logging
import sys

from absl import flags

# What users can put right; its message says how.
USAGE_ERRORS = (ValueError, OSError, ImportError)


def define_data_flags(split, damage=True, images=None):
    """Defines the flags of `evaluation_data.EvaluationData`.

    Args:
        split: the split by default.
        damage: whether images are damaged, so that there are flags for that.
        images: how many images by default; None for all.
    """
    from keras_uai.datasets import SPLITS

    flags.DEFINE_string(
        "data", None, "Images: drawn_faces, celeb_a, lsun/bedroom, recipe1m, or a folder."
    )
    flags.DEFINE_string("data_dir", None, "Where named data sets lie.")
    flags.DEFINE_enum("split", split, SPLITS, "Which part of the images.")
    flags.DEFINE_integer(
        "split_seed",
        None,
        "Seed of the split, and of every image's mask. Default: the run's, or 0.",
    )
    flags.DEFINE_integer(
        "images", images, "At most so many images, chosen by --split_seed.", lower_bound=1
    )
    flags.DEFINE_integer("image_size", None, "Side of the square images. Default: the model's.")
    flags.DEFINE_integer("crop_size", None, "Side of the centre crop before resizing.")
    flags.DEFINE_integer("channels", None, "1 (grey) or 3 (RGB). Default: the images'.")
    if damage:
        flags.DEFINE_string(
            "measurement",
            None,
            'How images are damaged: "Patch(90, 10)", "DropPixel(0.9)". Default: as the model was '
            "trained for.",
        )
        flags.DEFINE_string(
            "mask_from",
            None,
            "Where images that are damaged already have their masks: alpha, sidecar or "
            "color:R,G,B.",
        )
        flags.DEFINE_string(
            "clean_data",
            None,
            "Folder of the clean images behind those that are damaged already, under the same names: "
            "where it was kept aside, to compare with.",
        )


def define_look_flag():
    """Defines the flag of `samplers.load`'s look."""
    flags.DEFINE_string(
        "look",
        None,
        "How the model takes its second look, in place of its own way: none, CELL or CELL,GAIN.",
    )


def options(names):
    """The flags' values as a dict."""
    return {name: flags.FLAGS[name].value for name in names if name in flags.FLAGS}


def main(run):
    """For `app.run`: `run(options)`; errors that the user can put right in one line, exit code 2."""

    def function(argv):
        if len(argv) > 1:
            print(f"error: everything is a flag. Received: {' '.join(argv[1:])}", file=sys.stderr)
            return 2
        logging.getLogger("jax").setLevel(logging.WARNING)  # it tells of accelerators not there
        try:
            print(run(options(list(flags.FLAGS))))
        except USAGE_ERRORS as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0

    return function


def run_evaluate(given):
    """Evaluates, and returns what to print."""
    from keras_uai.metrics import commands, report

    result, paths = commands.evaluate(given)
    return f"{report.table(result)}\nWritten: {', '.join(paths)}"


def run_reference_statistics(given):
    """Makes or finds reference statistics, and returns what to print."""
    from keras_uai.metrics import commands

    return commands.reference_statistics(given)[1]


def run_figures(given):
    """Draws a figure, and returns what to print."""
    from keras_uai.metrics import commands

    return f"Written: {commands.draw_figure(given)}"


def run_gallery(given):
    """Draws the gallery, and returns what to print."""
    from keras_uai.metrics import gallery

    return f"Written: {gallery.draw(given)}"
