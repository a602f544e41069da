"""keras_uai: learns to fill gaps in images, and to sample many fillings, from damaged images only.

Layers, networks, losses, measurements, samplers and models are imported with the package, so that
Keras finds their classes in saved files. The other subpackages (`datasets`, `metrics`, `presets`,
...) are imported when they are first used; in a command (`keras_uai_command`), all of them are.
"""

import importlib
import sys

from keras_uai.version import __version__

if "keras_uai_command" not in sys.modules:  # it reads its flags before Keras is imported
    import keras_uai.backend  # noqa: F401  first: its message says how to run without TensorFlow
    from keras_uai import layers, losses, measurements, models, networks, random, sampling, values

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
    if name == "fill":
        return importlib.import_module("keras_uai.fields").fill
    if name in __all__:
        return importlib.import_module(f"keras_uai.{name}")
    raise AttributeError(f"module 'keras_uai' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
