"""Repeats a finished run and says whether logs, weights and scores agree to the last bit.

    keras-uai rerun runs/0007-uai-drawn_faces-drop_pixel_0.9-seed0

The repetition is a run folder of its own beside the run's, with `-rerun` at its end. The same command
goes on with one that was interrupted. A run that --minutes ended is repeated up to its last step,
unless its learning rates followed the clock (--schedule=cosine). Other versions, hardware and images
than the run's are named. The exit code is 0 if the runs agree and 1 if they differ; the first
difference is printed.
"""

import shlex
import sys

from absl.flags import DEFINE_string

#: The run's folder is a positional argument.
POSITIONAL = True


def define():
    DEFINE_string("out", None, "Folder of the repetition. Default: the run's, with -rerun.")
    DEFINE_string("data_dir", None, "Folder of named data sets.")


def run(options, folders):
    """Repeats the run; returns the exit code."""
    from keras_uai.training import repeating

    if len(folders) != 1:
        raise ValueError(f"Name the folder of a run. Received: {' '.join(folders) or 'none'}")
    given = {name: options[name] for name in ("out", "data_dir")}
    return repeating.rerun(folders[0], command=shlex.join(sys.argv), **given)
