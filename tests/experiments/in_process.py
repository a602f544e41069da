"""Stands in for `jobs.call` in tests: commands run in this process, which is faster."""

import io
import os
from contextlib import redirect_stderr, redirect_stdout

from experiments import jobs
from keras_uai.metrics import commands
from keras_uai.training import runner

_UNSET = (
    "data_dir", "split_seed", "image_size", "center_crop", "channels", "measurement", "mask_from",
    "clean_data", "holdout", "model", "sampler", "data", "command",
)  # fmt: skip
_EVALUATE = {
    **dict.fromkeys(_UNSET),
    "split": "validation",
    "seed": 0,
    "feature_crop": 64,
    "restart": False,
    "progress": False,
    "first": 0,
}


def values(flags):
    """Returns flags as a dict of the values that absl makes of them."""
    found = jobs.as_dict(flags)
    return {name: v if name == "jit_compile" else _value(v) for name, v in found.items()}


def _value(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


class Call:
    """`call(command, output)`; `commands` are those it was called with.

    Args:
        instead: `{part of a command: (exit code, last words) or an exception}`: the answers to
            commands that contain the part, which are not run.
    """

    def __init__(self, instead=None):
        self.instead = instead or {}
        self.commands = []

    def __call__(self, command, output):
        program, *flags = command[1:]
        text = " ".join(command)
        self.commands.append(text)
        for part, answer in self.instead.items():
            if part in text:
                if isinstance(answer, Exception):
                    raise answer
                return answer
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = _PROGRAMS[os.path.basename(program)](values(flags))
        if code > 128:
            raise jobs.SignalError(code - 128)
        return code, (said.getvalue().strip().splitlines() or [""])[-1]


def _evaluate(given):
    given["baselines"] = [name for name in str(given["baselines"]).split(",") if name]
    commands.evaluate({**_EVALUATE, **given})
    return 0


def _figures(given):
    given = {n: str(v).split(",") if n in ("model", "names") else v for n, v in given.items()}
    commands.draw_figure({
        **_EVALUATE, "uncertainty": True, "clean": True, "baselines": [], **given,
    })  # fmt: skip
    return 0


_PROGRAMS = {"run.py": runner.main, "evaluate": _evaluate, "figures": _figures}
