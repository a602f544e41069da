"""Several devices train as one with the same global batch: the same weights, logs, scores and predictions."""

import json
import os
import subprocess
import sys

import pytest

from keras_uai import replicas
from tests.testing import ROOT


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def measured(request):
    """What `devices_program` measured, in a process of its own: devices are made before all else."""
    backend = request.param
    if backend == "jax":
        pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.devices_program"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend},
    )
    assert not done.returncode, done.stderr[-3000:]
    return {"backend": backend, **json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("case", ["splitting", "game"])
def test_two_devices_train_as_one(measured, case):
    """Also with batch norm in micro-batches, and where the batch does not divide among the devices."""
    far = measured[case]
    assert far["begun"] == 0
    assert far["moved"] > 1e-3
    assert far["weights"] < 2e-6
    assert far["logs"] < 1e-5


def test_two_devices_evaluate_and_predict_as_one(measured):
    """On TensorFlow a last batch of one image leaves nothing for the second device."""
    assert measured["game"]["evaluate"] < 1e-5
    assert measured["game"]["predict"] < 1e-5


def test_what_could_not_train_as_one_device_is_refused(measured):
    if measured["backend"] == "tensorflow":
        assert "in the strategy's scope" in measured["refused"]["outside"]
        assert "Received: SGD(clipnorm=1.0) on 2 replicas" in measured["refused"]["clip"]
    else:  # where gradients are those of the whole batch
        assert "refused" not in measured


def test_alone_there_is_one_replica_that_has_the_whole_batch():
    assert replicas.count() == 1
    assert replicas.place(8) == (0, 1.0)
