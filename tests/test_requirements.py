"""The environment without TensorFlow has what setup.cfg asks for, and nothing of TensorFlow's."""

import configparser

from tests.testing import ROOT

#: What setup.cfg requires for TensorFlow's sake: `grpcio` for messages whose classes TensorFlow Serving's API brings,
#: `importlib_resources` for TensorFlow Datasets.
OF_TENSORFLOW = {
    "grpcio", "importlib_resources", "tensorboard", "tensorflow", "tensorflow-datasets", "tensorflow-gan",
    "tensorflow-probability", "tensorflow-serving-api", "tf_keras",
}  # fmt: skip


def lines(text):
    """Requirements a line, without comments."""
    found = [line.split("#")[0].strip() for line in text.splitlines()]
    return {line for line in found if line}


def test_the_environment_without_tensorflow():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = lines(setup["options"]["install_requires"])
    extras = setup["options.extras_require"]
    kept = {line for line in required if line.split(">")[0] not in OF_TENSORFLOW}
    assert len(required) - len(kept) == len(OF_TENSORFLOW)
    jax = {line for line in lines(extras["jax"]) if line.startswith("jax")}
    assert lines((ROOT / "requirements-jax.txt").read_text()) == kept | jax
    assert jax <= lines(extras["test"])
