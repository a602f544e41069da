"""Makes the reference statistics of clean images that Fréchet and kernel distances are measured to.

    keras-uai reference_statistics --data=my/photos --image_size=64 --split=validation

Prints the file's path; its name holds everything it was made from.
"""

from keras_uai import progress
from keras_uai.cli import evaluate, flags


def define():
    flags.define_data_flags(damage=False)
    evaluate.define_feature_flags()


def run(options):
    """Makes or finds the statistics; returns the path."""
    from keras_uai.metrics import commands

    with progress.stage("Making reference statistics"):
        return commands.reference_statistics(options)[1]
