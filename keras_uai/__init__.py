"""keras_uai: learn to inpaint, and to sample many plausible reconstructions, from damaged images only.

Layers, networks, losses, measurements and models load with the package; what needs TensorFlow itself or an optional
package (`datasets`, `metrics`, `callbacks`, `serving`) loads when it is first used.
"""

import importlib

import keras_uai.backend  # noqa: F401  before all else, for what it says where there is no TensorFlow
from keras_uai import layers, losses, measurements, models, networks, random
from keras_uai.version import __version__

_LAZY = ("callbacks", "datasets", "metrics", "serving")

__all__ = [
    "__version__",
    "layers",
    "losses",
    "measurements",
    "models",
    "networks",
    "random",
    *_LAZY,
]


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"keras_uai.{name}")
    raise AttributeError(f"module 'keras_uai' has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(_LAZY))
