"""The command line of `experiments/run.py`: absl's flags, and flag files that name other flag files
relative to themselves, so that a run can be started from any folder.
"""

import os
import shlex
import sys

from absl import app, flags

from keras_uai.experiment import runner
from keras_uai.experiment.settings import NOT_SETTINGS, names


def expand(argv):
    """`argv` with each `--flagfile=PATH` replaced by the flags in the file.

    A file has a flag a line; empty lines and lines from `#` or `//` on are ignored, as absl does.
    A path in a file is relative to that file (or, failing that, to the working folder). A flag
    that comes later wins.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file includes itself.
    """
    return _expand(argv, None, ())


def _expand(lines, folder, within):
    result, lines = [], iter(lines)
    for line in lines:
        if line in ("--flagfile", "-flagfile"):
            line = f"--flagfile={next(lines, '')}"
        if not line.startswith(("--flagfile=", "-flagfile=")):
            result.append(line)
            continue
        path = os.path.expanduser(line.partition("=")[2].strip())
        beside = os.path.join(folder, path) if folder is not None else path
        path = beside if os.path.exists(beside) else path
        if not os.path.isfile(path):
            where = f" (named in {within[-1]})" if within else ""
            raise FileNotFoundError(f"There is no flag file {path}{where}. Received: {line}")
        if os.path.realpath(path) in map(os.path.realpath, within):
            raise ValueError(
                f"A flag file includes itself. Received: {' -> '.join([*within, path])}"
            )
        result += _expand(_flags(path), os.path.dirname(path), (*within, path))
    return result


def _flags(path):
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith(("#", "//"))]


def parse(argv):
    """absl's parsing after `expand`; for `app.run(..., flags_parser=parse)`."""
    try:
        return app.parse_flags_with_usage(expand(argv))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


def given():
    """`{name: value}` of the parsed flags that were given, of those that are settings."""
    known = [n for n in flags.FLAGS if n in (*names(), *NOT_SETTINGS)]
    return {name: flags.FLAGS[name].value for name in known if flags.FLAGS[name].present}


def main(argv):
    """Runs what the flags say; returns the exit code."""
    if len(argv) > 1:
        print(f"error: everything is a flag. Received: {' '.join(argv[1:])}", file=sys.stderr)
        return 2
    return runner.main(given(), " ".join(map(shlex.quote, sys.argv)))
