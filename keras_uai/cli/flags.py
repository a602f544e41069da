"""Flags that commands share, flag files, help, and errors in one line.

Keras is not imported here, nor by the `define` of a command: that would take seconds.
"""

import contextlib
import logging
import os
import shutil
import sys
import textwrap

import absl.logging
from absl.flags import FLAGS, DEFINE_alias, DEFINE_enum, DEFINE_integer, DEFINE_string, Error

from keras_uai import progress
from keras_uai.renamed import RENAMED_FLAGS

#: Names of the flags that `--help` lists; all where it is empty.
SHOWN = []
#: `keras_uai.datasets.SPLITS`.
SPLITS = ("all", "train", "validation", "supervised_train", "test", "damaged", "unpaired")

#: Errors that a user can correct; the message says how.
USAGE_ERRORS = (ValueError, OSError, ImportError)

MODEL_HELP = (
    "A preset's name or folder, a run's folder (experiments/run.py), or a saved model (*.keras)"
)
SAMPLER_HELP = 'Sampler in place of the model\'s own: "OneStage()" or "TwoStage(4, 1.2)".'


def define_model_flags(required=False, or_else=""):
    """Defines `--model` and its alias `--preset`; `or_else` ends the help text."""
    DEFINE_string("model", None, f"{MODEL_HELP}{or_else}.", required=required)
    DEFINE_alias("preset", "model")


def define_cluster_flags():
    """Defines the flags that choose the workers of a command."""
    DEFINE_string(
        "scheduler",
        None,
        "Address of a Dask scheduler, tcp://host:8786, whose workers do the work. They have this "
        "package, and find files under the same absolute paths.",
    )
    DEFINE_integer("workers", None, "Processes on this machine that do the work.", lower_bound=1)


def define_data_flags(damage=True, images=None):
    """Defines the flags that choose `images` images (default: all), and, if asked, their damage."""
    DEFINE_string("data", None, "drawn_faces, celeb_a, lsun/bedroom, recipe1m, or a folder.")
    DEFINE_string("data_dir", None, "Folder of named data sets.")
    DEFINE_enum("split", "validation", SPLITS, "Part of the images.")
    DEFINE_integer("split_seed", None, "Seed of split and masks. Default: the run's, or 0.")
    DEFINE_integer("images", images, "Largest number, chosen by --split_seed.", lower_bound=1)
    DEFINE_integer("image_size", None, "Resize to this side, aspect kept. Default: the model's.")
    DEFINE_integer("center_crop", None, "Side of the centre crop before resizing. Default: none.")
    DEFINE_integer("channels", None, "1 (grey) or 3 (RGB). Default: the images'.")
    if damage:
        DEFINE_string("measurement", None, 'Damage: "DropPixel(0.9)". Default: the model\'s.')
        DEFINE_string(
            "mask_from", None, "Masks of damaged images: alpha, sidecar, nan, color:R,G,B."
        )
        DEFINE_string("clean_data", None, "Folder of the clean images, under the same names.")


def expand(argv, folder="", within=()):
    """Replaces each `--flagfile=PATH` or `--flagfile PATH` by the flags in the file.

    A file has one flag per line; empty lines and lines from `#` or `//` on are ignored. A path
    inside a file (the last one of `within`, in the `folder`) is relative to that file or, failing
    that, to the working folder. A later flag overrides an earlier one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a file names itself, also by way of others.
    """
    result, flags = [], iter(argv)
    for flag in flags:
        if flag == "--flagfile":
            flag += f"={next(flags, '')}"
        if not flag.startswith("--flagfile="):
            result.append(flag)
            continue
        path = os.path.expanduser(flag.partition("=")[2])
        beside = os.path.normpath(os.path.join(folder, path))
        path = beside if os.path.exists(beside) else path
        if not os.path.isfile(path):
            where = f" (named in {within[-1]})" if within else ""
            raise FileNotFoundError(f"There is no flag file {path}{where}. Received: {flag}")
        if path in within:
            raise ValueError(f"A flag file must not name itself. Received: {flag} in {within[-1]}")
        with open(path, encoding="utf-8", errors="surrogateescape") as file:  # as argv is
            lines = [line.strip() for line in file]
        lines = [line for line in lines if line and not line.startswith(("#", "//"))]
        result += expand(lines, os.path.dirname(path), (*within, path))
    return result


def parse(argv):
    """absl's parsing after `expand`, for `app.run(..., flags_parser=parse)`.

    Flags of version 0.1 are refused with their new names. All errors are one line, and the exit
    code is 2.
    """
    try:
        argv = expand(argv)
        own = argv[: argv.index("--")] if "--" in argv else argv
        if asked := {"-h", "--help", "--helpfull"} & set(own):
            print(help_text("--helpfull" in asked))
            sys.exit(0)
        for flag in argv:
            text = flag.removeprefix("--")
            name = text.partition("=")[0].removeprefix("no")
            name = text if text in RENAMED_FLAGS else name
            if flag.startswith("--") and name in RENAMED_FLAGS and name not in FLAGS:
                new = RENAMED_FLAGS[name]
                now = f"The flag is now --{new}" if new else "There is no such flag any more"
                raise ValueError(f"{now}. Received: {flag}")
        return FLAGS(argv)
    except (*USAGE_ERRORS, Error) as error:
        print(f"error: {error}".replace("\n", " "), file=sys.stderr)
        sys.exit(2)


def help_text(full=False):
    """Returns the text of `--help`, a line per flag, or of `--helpfull`."""
    text = sys.modules["__main__"].__doc__.strip()
    if full:
        return f"{text}\n{FLAGS.main_module_help()}"
    found = {flag.name: flag for flag in FLAGS.get_key_flags_for_module(sys.argv[0])}
    lines = [
        textwrap.shorten(f"{f'--{name}':22s}", 22, placeholder="").ljust(22)
        + textwrap.shorten(found[name].help, 76, placeholder=" ...")
        for name in SHOWN or found
    ]
    more = f"--helpfull            All {len(found)} flags, with their values and defaults."
    return "\n".join([text, "", *lines, more])


def program(name):
    """Returns the words that start a command the way that this process was started."""
    path = sys.argv[0]
    folder, file = os.path.split(path)
    if os.path.basename(os.path.abspath(folder)) in ("tools", "experiments"):
        script = "experiments/run.py" if name == "train" else f"tools/{name}"
        return [os.path.normpath(os.path.join(folder, "..", script))]
    found = shutil.which("keras-uai")
    own = file.startswith("keras-uai") and not (found and os.path.samefile(found, path))
    return [path if own else "keras-uai", name]


def load_keras():
    """Imports Keras without the start-up messages of its backend, which no setting disables."""
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("jax").setLevel(logging.WARNING)  # it reports missing accelerators
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(open(os.dup(2), "w", encoding="utf-8"))
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.callback(os.dup2, kept.fileno(), 2)
        stack.enter_context(progress.stage("Loading Keras", delay=0.0, file=kept))
        os.dup2(nowhere.fileno(), 2)
        import keras_uai.backend
        import keras_uai.models  # noqa: F401  its classes are then found in saved files


def guarded(run, positional=False):
    """Returns the main function of a command, for `absl.app.run`.

    Args:
        run: callable. It is given the flags, `{name: value}`, and returns the text to print, or the
            exit code. Errors that a user can correct are printed in one line; the code is then 2.
        positional: bool; whether `run` is also given the list of the arguments that are no flags,
            and of all that follow `--`. Default: only flags are allowed.
    """

    def main(argv):
        options = {name: FLAGS[name].value for name in FLAGS}
        try:
            if argv[1:] and not positional:
                raise ValueError(f"All arguments must be flags. Received: {' '.join(argv[1:])}")
            load_keras()
            from keras_uai import checks

            absl.logging.set_verbosity(absl.logging.WARNING)  # TensorFlow reports its savings
            with checks.plain_warnings():
                found = run(options, argv[1:]) if positional else run(options)
        except USAGE_ERRORS as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        if isinstance(found, int):
            return found
        print(found)
        return 0

    return main
