"""Makes the reference statistics of clean images that Fréchet and kernel distances are measured to.

    tools/reference_statistics --data=my/photos --image_size=64 --split=validation

Prints the file's path; its name holds everything it was made from.
"""

from absl.flags import DEFINE_bool, DEFINE_string

from keras_uai.cli import flags
from keras_uai.cli.evaluate import EXTRACTOR_HELP, define_feature_crop


def define():
    flags.define_data_flags(damage=False)
    DEFINE_string("extractor", "auto", EXTRACTOR_HELP)
    define_feature_crop()
    DEFINE_string("references", ".cache/references", "Folder of the files.")
    DEFINE_bool("progress", True, "Show a progress bar.")


def run(options):
    """Makes or finds the statistics; returns the path."""
    from keras_uai.metrics import commands

    return commands.reference_statistics(options)[1]
