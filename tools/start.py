"""Starts a command of this checkout, in the checkout's environment where this Python lacks packages."""

import importlib.util
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if not all(map(importlib.util.find_spec, ("absl", "keras"))):
    for folder in (os.environ.get("VENV", ".venv"), ".venv", ".venv-test"):
        python = ROOT / folder / "bin" / "python"
        if python.exists() and python.parent.parent.resolve() != pathlib.Path(sys.prefix).resolve():
            os.execv(str(python), [str(python), *sys.argv])
    print(
        f"error: {sys.executable} has no Keras, and {ROOT} no environment. tools/quickstart makes "
        f"one; or: python3 -m venv {ROOT}/.venv && {ROOT}/.venv/bin/pip install -e {ROOT}",
        file=sys.stderr,
    )
    sys.exit(2)

from keras_uai_command import main  # noqa: E402, F401
