"""Trains and scores a model in a numbered run folder.

    python experiments/run.py --flagfile=experiments/flagfiles/drawn_faces_drop_pixel_32.flags
    python experiments/run.py --data=my/photos --measurement="DropPixel(0.9)" --minutes=60
    python experiments/run.py --resume=runs/0007-uai-drawn_faces-drop_pixel_0.9-seed0

Flags that are not given come from the configuration (--config); the defaults named here are those of
--config=paper.
"""

import shlex
import sys

from absl.flags import (
    FLAGS,
    DEFINE_bool,
    DEFINE_enum,
    DEFINE_float,
    DEFINE_integer,
    DEFINE_string,
)

_DEFINE = {str: DEFINE_string, int: DEFINE_integer, float: DEFINE_float, bool: DEFINE_bool}


def define():
    from keras_uai.training import settings

    for name, setting in {**settings.every(), **settings.PLACES}.items():
        default = "" if setting.default in (None, "") else f" Default: {setting.default}."
        # The flag's own default is None: not given.
        if setting.choices:
            DEFINE_enum(name, None, setting.choices, setting.help + default)
        else:
            _DEFINE[setting.kind](name, None, setting.help + default)


def run(options):
    """Trains; returns the exit code."""
    from keras_uai.training import runner, settings

    known = (*settings.every(), *settings.PLACES)
    given = {name: options[name] for name in known if FLAGS[name].present}
    return runner.main(given, shlex.join(sys.argv))
