"""The parts of TF-GAN that today's TensorFlow can load.

TF-GAN is the reference for losses and distances in tests and in tools/benchmark, and the Inception
extractor loads its weights through it. `tensorflow_gan` 2.1 (2021) fails on TensorFlow 2.16 and
later, because it imports `tf.estimator`. Its subpackages need no estimator. They load once their
two parents are registered in `sys.modules` as bare packages.

`tfgan.losses` and `tfgan.eval` load at their first use.

>>> from keras_uai import tfgan
>>> tfgan.available()
True
"""

import contextlib
import importlib
import importlib.util
import sys
import types

SUBPACKAGES = ("eval", "losses")
_PARENTS = ("tensorflow_gan", "tensorflow_gan.python")


def __getattr__(name):
    if name in SUBPACKAGES:
        return _load(name)
    raise AttributeError(f"module 'keras_uai.tfgan' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *SUBPACKAGES})


def available():
    """Returns whether TF-GAN is installed."""
    return importlib.util.find_spec("tensorflow_gan") is not None


def _load(name):
    if not available():
        raise ImportError(
            f"keras_uai.tfgan.{name} needs TF-GAN: pip install tensorflow-gan. "
            "Received: no module tensorflow_gan"
        )
    _register_parents()
    try:
        with _without_setuptools():
            return importlib.import_module(f"tensorflow_gan.python.{name}")
    except ImportError as error:
        raise ImportError(
            f"TF-GAN's `{name}` must be able to import its requirements: pip install tensorflow "
            f"tensorflow-probability tensorflow-hub tf_keras. Received: {error}"
        ) from error


def _register_parents():
    """Registers bare packages in place of the two whose own code does not run."""
    if "tensorflow_gan" in sys.modules:
        return
    root = importlib.util.find_spec("tensorflow_gan").submodule_search_locations[0]
    for name, path in zip(_PARENTS, (root, f"{root}/python"), strict=True):
        package = types.ModuleType(name, "Loaded by keras_uai.tfgan without its own code.")
        package.__path__ = [path]
        package.__spec__ = importlib.util.spec_from_file_location(
            name, f"{path}/__init__.py", submodule_search_locations=[path]
        )
        sys.modules[name] = package
    sys.modules[_PARENTS[0]].python = sys.modules[_PARENTS[1]]


@contextlib.contextmanager
def _without_setuptools():
    """Lends TF-Hub a function of `pkg_resources` during the import.

    `eval` imports TF-Hub, which uses `pkg_resources`. Setuptools dropped it in version 82.
    """
    if "pkg_resources" in sys.modules:
        yield
        return
    from packaging.version import parse

    lent = types.ModuleType("pkg_resources")
    lent.parse_version = parse
    sys.modules["pkg_resources"] = lent
    try:
        yield
    finally:
        del sys.modules["pkg_resources"]
