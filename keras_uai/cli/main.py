"""Runs a command by its name: `keras-uai evaluate --model=...`, `tools/evaluate --model=...`."""

import importlib
import pkgutil
import shlex
import sys

from absl import app
from absl.flags import FLAGS

from keras_uai import cli
from keras_uai.cli import flags

#: Names of the commands, which are the other modules of this folder.
COMMANDS = sorted(
    {module.name for module in pkgutil.iter_modules(cli.__path__)} - {"flags", "main"}
)


def main(name=None):
    """Runs a command and ends the process with its exit code.

    Args:
        name: string; one of `COMMANDS`, or the name of a module with `define` and `run`. Default:
            the first argument of the command line.
    """
    argv = list(sys.argv)
    if name is None:
        if len(argv) < 2 or argv[1] not in COMMANDS:
            asked = argv[1:] in (["--help"], ["-h"], ["help"])
            print(_usage(), file=sys.stdout if asked else sys.stderr)
            sys.exit(0 if asked else 2)
        name = argv.pop(1)
    command = _module(name)
    command.define()
    own = shlex.join(flags.program(name))
    sys.modules["__main__"].__doc__ = command.__doc__.replace(f"keras-uai {name}", own)
    for module, found in FLAGS.flags_by_module_dict().items():
        if module.startswith(("keras_uai.", "experiments.")):
            for flag in found:
                FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    flags.SHOWN.extend(getattr(command, "SHOWN", "").split())
    positional = getattr(command, "POSITIONAL", False)
    app.run(flags.guarded(command.run, positional), argv=argv, flags_parser=flags.parse)


def _module(name):
    if "." in name:  # a script of a checkout, which imports the package with its own flags
        flags.load_keras()
    return importlib.import_module(name if "." in name else f"keras_uai.cli.{name}")


def _usage():
    lines = [f"  {name:22s}{_module(name).__doc__.splitlines()[0]}" for name in COMMANDS]
    return "\n".join(["Usage: keras-uai COMMAND [--help] [FLAGS]", "", *lines])


if __name__ == "__main__":
    main()
