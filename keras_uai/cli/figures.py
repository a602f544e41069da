"""Draws reconstructions in the layout of figures 4 and 5 of the paper.

    keras-uai figures --model=runs/0007-uai-faces-drop_pixel_0.9-seed0 --out=figure.png

Observations are on top; below each are its samples for different z, their mean, their standard
deviation, and the clean image. The images are the first of the split.

    keras-uai figures --model=runs/0007-...,runs/0008-... --names=ours,MisGAN --out=models.png

Several models are drawn side by side on the same observations: a column a model, a row a sample.
"""

from absl.flags import DEFINE_alias, DEFINE_bool, DEFINE_integer, DEFINE_list, DEFINE_string

from keras_uai import progress
from keras_uai.cli import flags


def define():
    several = f"{flags.MODEL_HELP}; several are separated by commas."
    DEFINE_list("model", None, several, required=True)
    DEFINE_alias("preset", "model")
    DEFINE_string("sampler", None, flags.SAMPLER_HELP)
    DEFINE_list("names", None, "Titles of the columns of several models.")
    flags.define_data_flags(images=8)
    DEFINE_integer("first", 0, "Place in the split of the first image.", lower_bound=0)
    DEFINE_integer("num_samples", 5, "Samples to show.", lower_bound=1)
    DEFINE_integer("seed", 0, "Seed of the samples.")
    DEFINE_string("out", "figure.png", "The PNG to write.")
    DEFINE_list("baselines", None, "Baselines to show in further rows. Default: none.")
    DEFINE_bool("uncertainty", True, "Add the rows of mean and standard deviation.")
    DEFINE_bool("clean", True, "Add the clean images where they are known.")


def run(options):
    """Draws; returns the path."""
    from keras_uai.metrics import commands

    with progress.stage("Drawing"):
        return f"Written: {commands.draw_figure(options)}"
