"""The parts of TF-GAN that today's TensorFlow can load: `tfgan.losses` and `tfgan.eval`.

TF-GAN is the reference for losses and distances in tests and in tools/benchmark, and the Inception
extractor loads its weights through it. `tensorflow_gan` 2.1 (2021) fails on TensorFlow 2.16 and
later, because it imports `tf.estimator`. Its subpackages need no estimator. They load once their
two parents are registered in `sys.modules` as bare packages.

>>> from keras_uai import tfgan
>>> tfgan.available()
True
"""

import importlib
import importlib.util
import sys
import types

from packaging.version import parse

SUBPACKAGES = ("eval", "losses")

# TF-Hub takes one function from `pkg_resources`, which Setuptools 82 dropped.
_PKG_RESOURCES = types.ModuleType("pkg_resources")
_PKG_RESOURCES.parse_version = parse


def available():
    """Returns whether TF-GAN is installed."""
    return importlib.util.find_spec("tensorflow_gan") is not None


def __getattr__(name):
    if name not in SUBPACKAGES:
        raise AttributeError(f"module 'keras_uai.tfgan' has no attribute {name!r}")
    if not available():
        raise ImportError(
            f"keras_uai.tfgan.{name} needs TF-GAN: pip install tensorflow-gan. "
            "Received: no module tensorflow_gan"
        )
    if "tensorflow_gan" not in sys.modules:
        (root,) = importlib.util.find_spec("tensorflow_gan").submodule_search_locations
        for package, path in (
            ("tensorflow_gan", root),
            ("tensorflow_gan.python", f"{root}/python"),
        ):
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = [path]
            sys.modules[package].__spec__ = importlib.util.spec_from_file_location(
                package, f"{path}/__init__.py", submodule_search_locations=[path]
            )
    lent = sys.modules.setdefault("pkg_resources", _PKG_RESOURCES) is _PKG_RESOURCES
    try:
        return importlib.import_module(f"tensorflow_gan.python.{name}")
    except ImportError as error:
        raise ImportError(
            f"TF-GAN's `{name}` must be able to import its requirements: pip install tensorflow "
            f"tensorflow-probability tensorflow-hub tf_keras. Received: {error}"
        ) from error
    finally:
        if lent:
            del sys.modules["pkg_resources"]
