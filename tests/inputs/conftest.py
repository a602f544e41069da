"""One tiny model, as Keras has it, behind a client, and as the signatures of an export."""

import keras
import numpy as np
import pytest

from keras_uai.serving import Client, Limits
from keras_uai.serving.contract import Contract
from tests.testing import tiny_uai


@pytest.fixture(scope="package")
def model():
    """Of images of any size. Its samples differ, and depend on all that it sees."""
    keras.utils.set_random_seed(0)
    found = tiny_uai(
        image_shape=(None, None, 3),
        generator={"input_fill": "push_pull", "predicts_mean": True},
        networks={"levels": 1},
    )
    rng = np.random.default_rng(0)
    for weight in found.generator.weights:
        weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    found.compile("sgd", "sgd", loss_weights={"gan": 0.0, "z": 0.0, "y": 0.0, "splitting": 1.0})
    found.start = found.get_weights()
    return found


@pytest.fixture(scope="package")
def client(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    with Client(path) as client:
        yield client


@pytest.fixture(scope="package")
def served(model):
    """The signatures of an export, which take tensors."""
    from keras_uai.serving import signatures

    module, functions = signatures.build(model, Contract.of(model, Limits()))
    yield functions
    del module
