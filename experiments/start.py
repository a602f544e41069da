"""Imported first by the programs here: finds the package of this checkout, and imports Keras and its
backend without their start-up messages, which no setting of TensorFlow turns off.
"""

import logging
import os
import pathlib
import sys

ROOT = str(pathlib.Path(__file__).resolve().parent.parent)
sys.path.insert(0, ROOT)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.getLogger("jax").setLevel(logging.WARNING)  # it tells of accelerators that are not there


def _quietly(function):
    """Calls `function` while what C++ writes to the standard error goes nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        return function()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _import_backend():
    import keras_uai  # noqa: F401  and with it Keras and its backend


_quietly(_import_backend)
