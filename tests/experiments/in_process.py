"""Stands in for `processes.call` in tests: the commands run in this process, which is faster, and
the test sees them.
"""

import io
import re
from contextlib import redirect_stderr, redirect_stdout

from keras_uai.experiment import jobs, processes, runner
from keras_uai.metrics import commands

_EVALUATE = {
    "data_dir": None, "split": "withheld", "split_seed": None, "image_size": None,
    "crop_size": None, "channels": None, "measurement": None, "mask_from": None, "holdout": None,
    "seed": 0, "model": None, "restart": False, "data": None,
}  # fmt: skip


def values(flags):
    """Flags as a dict of the values that absl would make of them."""
    return {name: _value(value) for name, value in jobs.as_dict(flags).items()}


def _value(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class Call:
    """`call(command, output, lock)`; `commands` are those it was called with.

    Args:
        instead: `{part of a command: (exit code, last words) or an exception}`: what to answer to
            commands that have the part in them, without running anything.
    """

    def __init__(self, instead=None):
        self.instead, self.commands = instead or {}, []

    def __call__(self, command, output, lock=None):
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
            code = _PROGRAMS[re.split(r"[/\\]", program)[-1]](values(flags))
        if code > 128:
            raise processes.SignalError(code - 128)
        return code, (said.getvalue().strip().splitlines() or [""])[-1]


def _evaluate(given):
    given["baselines"] = [name for name in str(given["baselines"]).split(",") if name]
    commands.evaluate({**_EVALUATE, **given, "progress": False})
    return 0


def _figures(given):
    given = {
        name: str(v).split(",") if name in ("model", "names") else v for name, v in given.items()
    }
    commands.draw_figure({**_EVALUATE, "uncertainty": True, "clean": True, **given})
    return 0


_PROGRAMS = {"run.py": runner.main, "evaluate": _evaluate, "figures": _figures}
