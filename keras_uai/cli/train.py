"""Trains and scores a model in a numbered run folder.

    python experiments/run.py --flagfile=experiments/flagfiles/drawn_faces_drop_pixel_32.flags
    python experiments/run.py --data=my/photos --measurement="DropPixel(0.9)" --minutes=60
    python experiments/run.py --resume=runs/0007-uai-drawn_faces-drop_pixel_0.9-seed0

Flags that are not given come from the configuration (--config); the defaults named here are those of
--config=paper.
"""

import shlex
import sys

from absl.flags import DEFINE_bool, DEFINE_enum, DEFINE_float, DEFINE_integer, DEFINE_string


def define():
    from keras_uai.training.settings import PLACES, SETTINGS

    for name, setting in {**SETTINGS, **PLACES}.items():
        default = "" if setting.default in (None, "") else f" Default: {setting.default}."
        text = setting.help + default
        # The flag's own default is None: not given.
        if isinstance(setting.kind, tuple):
            DEFINE_enum(name, None, setting.kind, text)
        elif setting.kind in (int, float):
            number = DEFINE_integer if setting.kind is int else DEFINE_float
            number(name, None, text, lower_bound=setting.least)
        else:
            (DEFINE_bool if setting.kind is bool else DEFINE_string)(name, None, text)


def run(options):
    """Trains; returns the exit code."""
    from keras_uai.training import runner
    from keras_uai.training.settings import PLACES, SETTINGS

    given = {name: options[name] for name in (*SETTINGS, *PLACES)}
    return runner.main(given, shlex.join(sys.argv))
