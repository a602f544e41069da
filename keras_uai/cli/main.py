"""Runs a command by its name: `keras-uai evaluate --model=...`, `tools/evaluate --model=...`."""

import importlib
import sys

from absl import app
from absl import flags as absl_flags

from keras_uai.cli import flags

#: `{command: first line of its help}`.
COMMANDS = {
    "train": "Trains and scores a model.",
    "evaluate": "Scores a trained model and baselines on images it has not seen.",
    "inpaint": "Fills damaged image files, several times each.",
    "export": "Writes a SavedModel for TensorFlow Serving.",
    "presets": "Lists the presets.",
    "make_preset": "Makes a preset of a finished run.",
    "figures": "Draws samples in the layout of the paper's figures 4 and 5.",
    "gallery": "Draws samples of several presets.",
    "reference_statistics": "Makes the reference statistics of Fréchet distances.",
}


def main(name=None, argv=None):
    """Runs a command and ends the process with its exit code.

    Args:
        name: string, a key of `COMMANDS`, or the name of a module with `define` and `run`. Default:
            the first argument of the command line.
        argv: list of strings, the program's name first. Default: that of the process.
    """
    argv = list(sys.argv if argv is None else argv)
    if name is None:
        if len(argv) < 2 or argv[1] not in COMMANDS:
            lines = [f"  {command:22s}{line}" for command, line in COMMANDS.items()]
            lines = ["Usage: keras-uai COMMAND [--help] [FLAGS]", "", *lines]
            print("\n".join(lines), file=sys.stdout if argv[1:] == ["--help"] else sys.stderr)
            sys.exit(0 if argv[1:] == ["--help"] else 2)
        name = argv.pop(1)
    command = importlib.import_module(name if "." in name else f"keras_uai.cli.{name}")
    command.define()
    sys.modules["__main__"].__doc__ = command.__doc__  # shown by --help
    for module, found in absl_flags.FLAGS.flags_by_module_dict().items():
        if module.startswith(("keras_uai.", "experiments.")):
            for flag in found:
                absl_flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    after = [] if getattr(command, "POSITIONAL", False) else None
    if getattr(command, "PASSES_ON", False):
        at = argv.index("--") if "--" in argv else len(argv)
        argv, after = argv[:at], argv[at + 1 :]
    app.run(flags.guarded(command.run, after), argv=argv, flags_parser=flags.parse)


if __name__ == "__main__":
    main()
