"""keras_uai: learns to fill gaps in images, and to sample many fillings, from damaged images only.

Layers, networks, losses, measurements, samplers and models are imported with the package. The other
subpackages (`datasets`, `metrics`, `presets`, ...) are imported when they are first used.
"""

import importlib

import keras_uai.backend  # noqa: F401  first: its message says how to run without TensorFlow
from keras_uai import layers, losses, measurements, models, networks, random, sampling, values
from keras_uai.version import __version__

_LAZY = ("callbacks", "datasets", "fields", "files", "metrics", "presets", "serving", "training")

__all__ = [
    "__version__",
    "fill",
    "layers",
    "losses",
    "measurements",
    "models",
    "networks",
    "random",
    "sampling",
    "values",
    *_LAZY,
]


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"keras_uai.{name}")
    if name == "fill":
        return importlib.import_module("keras_uai.fields").fill
    raise AttributeError(f"module 'keras_uai' has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | {"fill", *_LAZY})
