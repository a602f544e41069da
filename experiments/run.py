#!/usr/bin/env python3
"""Trains and scores a model; the flags and their help are in keras_uai/cli/train.py.

experiments/run.py --flagfile=experiments/flagfiles/drawn_faces_drop_pixel_32.flags
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

from start import main

if __name__ == "__main__":
    main("train")
