"""Several devices compute the step of one device with the same global batch."""

import json

import pytest

from keras_uai import distribute
from tests import forks


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def measured(request):
    """Output of `devices_program`; devices must be made before all else, hence a process."""
    backend = request.param
    if backend == "jax":
        pytest.importorskip("jax")
    done = forks.run("tests.models.devices_program", backend=backend)
    assert not done.returncode, done.stderr[-3000:]
    return {"backend": backend, **json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("case", ["splitting", "adversarial"])
def test_two_devices_train_as_one(measured, case):
    """Also with batch norm and accumulation, where the batch does not divide evenly, and where a
    batch is skipped.
    """
    difference = measured[case]
    assert difference["initial"] == 0
    assert difference["moved"] > 1e-3
    assert difference["weights"] < 2e-6
    assert difference["logs"] < 1e-5


def test_two_devices_evaluate_and_predict_as_one(measured):
    """On TensorFlow a last batch of one image leaves nothing for the second device."""
    assert measured["adversarial"]["evaluate"] < 1e-5
    assert measured["adversarial"]["predict"] < 1e-5


def test_models_that_could_not_train_as_one_device_are_refused(measured):
    if measured["backend"] == "tensorflow":
        assert "in the strategy's scope" in measured["refused"]["outside"]
        assert "Received: SGD(clipnorm=1.0) on 2 replicas" in measured["refused"]["clip"]
    else:  # gradients are those of the whole batch
        assert "refused" not in measured


def test_a_single_replica_has_the_whole_batch():
    assert distribute.num_replicas() == 1
    assert distribute.batch_slice(8) == (0, 1.0)
