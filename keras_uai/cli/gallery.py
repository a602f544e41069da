"""Draws the samples of presets for images they never saw, one picture for all presets.

    tools/gallery --presets=drawn_faces_32_drop_pixel,faces_32_drop_pixel --data=photos/

A band a preset, a row an image: observation, samples for different z, mean, standard deviation, and
the clean image. The images are the first of the validation split (--first, --images). --data names
the images of presets without a data set of their own: one folder for all, or one a preset, separated
by commas (--data=drawn_faces,photos/). Pixels are enlarged to squares without smoothing.
"""

from absl.flags import DEFINE_list

from keras_uai.cli import flags
from keras_uai.cli.figures import define_view_flags


def define():
    DEFINE_list("presets", None, "Names or folders of presets.", required=True)
    flags.define_data_flags(images=2)
    define_view_flags("gallery.png")


def run(options):
    """Draws; returns the path."""
    from keras_uai.metrics import gallery

    return f"Written: {gallery.draw(options)}"
