"""Trains and scores a model in a numbered run folder.

    keras-uai train --data=drawn_faces --image_size=32 --measurement="DropPixel(0.9)" --minutes=5
    keras-uai train --data=my/photos --mask_from=alpha --crop_size=64 --minutes=60
    keras-uai train --flagfile=experiments/flagfiles/drawn_faces_drop_pixel_32.flags
    keras-uai train --resume=runs/0007-uai-drawn_faces-drop_pixel_0.9-seed0

Flags that are not given come from the configuration (--config); the defaults named here are those
of --config=paper.
"""

import shlex
import sys

from absl.flags import DEFINE_bool, DEFINE_enum, DEFINE_float, DEFINE_integer, DEFINE_string

from keras_uai.cli import flags
from keras_uai.training.settings import PLACES, SETTINGS

#: Flags that `--help` lists; `--helpfull` lists all.
SHOWN = (
    "data data_dir image_size crop_size center_crop channels mask_from measurement model config "
    "minutes epochs steps batch_size learning_rate precision eval_images runs resume dry_run"
)


def define():
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

    given = {name: options[name] for name in (*SETTINGS, *PLACES)}
    again = [n for n in PLACES if n not in ("runs", "resume", "dry_run") and given[n] is not None]
    resume = shlex.join([*flags.program("train"), *(f"--{n}={given[n]}" for n in again)])
    figures = flags.program("figures")
    figures += [f"--data_dir={given['data_dir']}"] if given["data_dir"] else []
    return runner.main(
        given,
        shlex.join(sys.argv),
        f"{resume} --resume=FOLDER",
        f"{shlex.join(figures)} --model=FOLDER --out=FOLDER/figure.png",
    )
