"""Flags that commands share, flag files, and errors in one line."""

import os
import sys

from absl import app
from absl.flags import FLAGS as PARSED
from absl.flags import DEFINE_alias, DEFINE_enum, DEFINE_integer, DEFINE_string

from keras_uai.presets.renamed import RENAMED_FLAGS, RENAMED_VALUES

#: Errors that a user can correct; the message says how.
USAGE_ERRORS = (ValueError, OSError, ImportError)

MODEL_HELP = (
    "A preset's name or folder, a run's folder (experiments/run.py), or a saved model (*.keras)"
)
SAMPLER_HELP = 'Sampler in place of the model\'s own: "OneStage()" or "TwoStage(4, 1.2)".'


def define_model_flags(required=False, sampler=False, or_else=""):
    """Defines `--model`, with the alias `--preset`.

    Args:
        required: bool; whether the command needs a model.
        sampler: bool; whether to define `--sampler`, too.
        or_else: string that ends the help text.
    """
    DEFINE_string("model", None, f"{MODEL_HELP}{or_else}.", required=required)
    DEFINE_alias("preset", "model")
    if sampler:
        DEFINE_string("sampler", None, SAMPLER_HELP)


def define_data_flags(damage=True, images=None):
    """Defines the flags that choose images.

    Args:
        damage: bool; whether images are damaged, so that there are flags for it.
        images: integer; the default number of images. Default: all.
    """
    from keras_uai.datasets import SPLITS

    DEFINE_string(
        "data", None, "Images: drawn_faces, celeb_a, lsun/bedroom, recipe1m, or a folder."
    )
    DEFINE_string("data_dir", None, "Folder of named data sets.")
    DEFINE_enum("split", "validation", SPLITS, "Part of the images.")
    DEFINE_integer("split_seed", None, "Seed of split and masks. Default: the run's, or 0.")
    DEFINE_integer(
        "images", images, "Largest number of images, chosen by --split_seed.", lower_bound=1
    )
    DEFINE_integer(
        "image_size", None, "Resize images to this side, aspect kept. Default: the model's."
    )
    DEFINE_integer("center_crop", None, "Side of the centre crop before resizing. Default: none.")
    DEFINE_integer("channels", None, "1 (grey) or 3 (RGB). Default: the images'.")
    if damage:
        DEFINE_string(
            "measurement",
            None,
            'Damage of clean images: "Patch(90, 10)", "DropPixel(0.9)". Default: the model\'s.',
        )
        DEFINE_string("mask_from", None, "Masks of damaged images: alpha, sidecar or color:R,G,B.")
        DEFINE_string(
            "clean_data",
            None,
            "Folder of the clean images behind damaged ones, under the same names, to compare with.",
        )


def options():
    """Returns the values of the command's flags, `{name: value}`."""
    return {name: PARSED[name].value for name in PARSED}


# -- flag files ------------------------------------------------------------------------------------


def expand(argv):
    """Replaces each `--flagfile=PATH` by the flags in the file.

    A file has one flag per line; empty lines and lines from `#` or `//` on are ignored. A path
    inside a file is relative to that file or, failing that, to the working folder. A later flag
    overrides an earlier one.

    Args:
        argv: list of strings.

    Returns:
        List of strings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a file includes itself.
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
        result += _expand(_lines(path), os.path.dirname(path), (*within, path))
    return result


def _lines(path):
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith(("#", "//"))]


def check_renamed(argv):
    """Raises a ValueError where a flag, or its value, is one of version 0.1."""
    for flag in argv:
        if flag == "--":
            return
        name, _, value = flag.lstrip("-").partition("=")
        if not flag.startswith("--"):
            continue
        if (name, value) in RENAMED_VALUES:
            raise ValueError(f"The flag is now {RENAMED_VALUES[name, value]}. Received: {flag}")
        bare = name.removeprefix("no")
        name = name if name in RENAMED_FLAGS else bare
        if name in RENAMED_FLAGS and name not in PARSED:
            new = RENAMED_FLAGS[name]
            now = "There is no such flag any more" if new is None else f"The flag is now --{new}"
            raise ValueError(f"{now}. Received: {flag}")


# -- running ---------------------------------------------------------------------------------------


def parse(argv):
    """absl's parsing after `expand` and `check_renamed`; for `app.run(..., flags_parser=parse)`."""
    try:
        argv = expand(argv)
        check_renamed(argv[1:])
    except USAGE_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    return app.parse_flags_with_usage(argv)


def guarded(run, after=None):
    """Returns the main function of a command, for `absl.app.run`.

    Args:
        run: callable. It is given `options()` and returns the text to print, or the exit code.
        after: list of strings; `run` is also given the arguments that are no flags, followed by
            these. Default: only flags are allowed.

    Returns:
        A function of `argv` that returns the exit code: 2 after an error that a user can correct,
        which is printed in one line.
    """

    def main(argv):
        rest = argv[1:]
        try:
            if after is not None:
                found = run(options(), [*rest, *after])
            elif rest:
                raise ValueError(f"All arguments must be flags. Received: {' '.join(rest)}")
            else:
                found = run(options())
        except USAGE_ERRORS as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        if isinstance(found, int):
            return found
        print(found)
        return 0

    return main
