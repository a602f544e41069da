"""Requirements: those without TensorFlow follow setup.cfg, and the installed Keras is one that was tested."""

import configparser
import importlib.metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.testing import ROOT

#: Packages that only TensorFlow and its companions need. `grpcio` carries messages of TensorFlow Serving,
#: `importlib_resources` is imported by TensorFlow Datasets.
OF_TENSORFLOW = {
    "grpcio",
    "importlib_resources",
    "tensorboard",
    "tensorflow",
    "tensorflow-datasets",
    "tensorflow-gan",
    "tensorflow-probability",
    "tensorflow-serving-api",
    "tf_keras",
}


def requirements(text):
    """`{name: Requirement}` of one requirement a line, without comments."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return {found.name: found for found in map(Requirement, filter(None, lines))}


@pytest.fixture(scope="module")
def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def required(setup):
    return requirements(setup["options"]["install_requires"])


def test_the_environment_without_tensorflow(setup, required):
    extras = setup["options.extras_require"]
    assert set(required) >= OF_TENSORFLOW
    jax = {"jax": requirements(extras["jax"])["jax"]}
    kept = {n: r for n, r in required.items() if n not in OF_TENSORFLOW} | jax
    assert requirements((ROOT / "requirements-jax.txt").read_text()) == kept
    assert requirements(extras["test"])["jax"] == jax["jax"]


def test_the_installed_keras_was_tested(required):
    version, bound = importlib.metadata.version("keras"), required["keras"].specifier
    assert bound.contains(version, prereleases=True), (
        f"Keras {version} is not one that this package was tested with ({bound}). A minor release of Keras may "
        "change `train_step`, `compile` or the saving of optimizers. Run tests/layers and tests/models with it. If "
        "they pass, raise the bound of keras in setup.cfg and requirements-jax.txt. If not, "
        f"`pip install 'keras{bound}'`."
    )


def test_what_is_declared_is_installed(required):
    for name, requirement in required.items():
        version = importlib.metadata.version(name)
        assert requirement.specifier.contains(version, prereleases=True), f"{name} {version}"


def test_the_licences_are_listed(required):
    """`tools/licences` makes the list."""
    listed = (ROOT / "experiments" / "licences.md").read_text(encoding="utf-8")
    assert not [name for name in required if f"| **{canonicalize_name(name)}** |" not in listed]
    assert not [line for line in listed.splitlines() if line.endswith(("|  |", "UNKNOWN |"))]
