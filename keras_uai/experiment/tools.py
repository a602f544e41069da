"""The work behind tools/reproduce_tables and tools/select_weights: their flags, and those after `--`,
as options; errors in one line.
"""

import os
import sys

from absl import app, flags

from keras_uai.experiment import command_line
from keras_uai.metrics.tools import USAGE_ERRORS, options

#: Flags of experiments/run.py that the jobs set themselves. (They also leave out the run's own scores, whatever
#: --eval_images of a flag file says.)
_RESERVED = ("runs", "resume", "dry_run")


def start(work, argv, root):
    """Runs `work(options)` and ends the process with the exit code that it returns.

    Args:
        work: a function of this module.
        argv: the command line; what follows `--` is for experiments/run.py, flag files expanded.
        root: path of the checkout.
    """
    at = argv.index("--") if "--" in argv else len(argv)

    def main(rest):
        try:
            if len(rest) > 1:
                raise ValueError(
                    f"Everything is a flag, or stands after --. Received: {' '.join(rest[1:])}"
                )
            given = options(list(flags.FLAGS))
            # The tables' seeds are those of their cells.
            reserved = (*_RESERVED, "seed") if work is reproduce_tables else _RESERVED
            handed_on = _handed_on(argv[at + 1 :], reserved)
            return work({**given, "flags": handed_on, "root": os.fspath(root)})
        except USAGE_ERRORS as error:
            print(f"error: {error}", file=sys.stderr)
            return 2

    app.run(main, argv=argv[:at])


def _handed_on(flags_of_runs, reserved):
    found = command_line.expand(flags_of_runs)
    for flag in found:
        name = flag.lstrip("-").partition("=")[0]
        if not flag.startswith("--") or name in reserved:
            raise ValueError(
                "After -- stand flags of experiments/run.py, each as --name=value, except "
                f"{', '.join(reserved)}. Received: {flag}"
            )
    return found


def reproduce_tables(given):
    """Trains, scores and writes; see the tool."""
    from keras_uai.experiment.tables import Tables

    size = int(given["size"])
    own = [f"--{n}={given[n]}" for n in ("crop_size", "steps", "minutes") if given[n] is not None]
    tables = Tables({
        **given,
        "size": size,
        "out": given["out"] or os.path.join("runs", f"tables_{size}"),
        "images": given["images"] or (1000 if size == 32 else 5000),
        "flags": [*own, *given["flags"]],
    })  # fmt: skip
    if given["dry_run"]:
        print(tables.plan())
        return 0
    if given["write_only"]:
        print(f"Written: {', '.join(tables.write())}")
        return 0
    return tables.run()


def select_weights(given):
    """Searches; see the tool."""
    from keras_uai.experiment.selection import Selection

    selection = Selection(given)
    if given["dry_run"]:
        print(selection.table())
        return 0
    return selection.run()
