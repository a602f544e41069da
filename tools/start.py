"""Imports the package of this checkout without the start-up messages of Keras's backend.

No setting disables them; they appear at the first import of `keras_uai`.
"""

import logging
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.getLogger("jax").setLevel(logging.WARNING)  # it reports missing accelerators


def _import_main():
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        from keras_uai.cli.main import main
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
    return main


main = _import_main()
