"""TF-GAN, the reference for losses and distances: the parts of it that today's TensorFlow can load.

`tensorflow_gan` 2.1 (2021) stops at its first line on TensorFlow 2.16 and later, because it imports
`tf.estimator`, which is gone. Its subpackages need no estimator: they load once their two parents
stand in `sys.modules` as bare packages that know where the files are. Everything in keras_uai that
wants TF-GAN takes it from here:

>>> from keras_uai import tfgan
>>> tfgan.losses.wargs  # hinge, minimax and least-squares losses on tensors
>>> tfgan.eval.frechet_classifier_distance_from_activations

They load when first asked for. Without TF-GAN that raises an ImportError that says how to get it.
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
    """Whether TF-GAN is installed."""
    return importlib.util.find_spec("tensorflow_gan") is not None


def _load(name):
    if not available():
        raise ImportError(
            f"keras_uai.tfgan.{name} needs TF-GAN, which is not installed: "
            "pip install tensorflow-gan"
        )
    _register_parents()
    try:
        with _without_setuptools():
            return importlib.import_module(f"tensorflow_gan.python.{name}")
    except ImportError as error:
        raise ImportError(
            f"TF-GAN is installed, but its `{name}` does not load ({error}). Install what it "
            "imports: pip install tensorflow tensorflow-probability tensorflow-hub tf_keras"
        ) from error


def _register_parents():
    """Puts bare packages in the place of the two whose own code does not run."""
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
    """TF-Hub, which `eval` imports, wants one function of `pkg_resources`, which setuptools dropped
    in version 82: lends it that function for as long as the import takes.
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
