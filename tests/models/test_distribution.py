"""Several devices train as one with the same global batch: the same weights, logs, scores and predictions."""

import json
import os
import subprocess
import sys

import pytest

from keras_uai import replicas
from tests.testing import ROOT


@pytest.fixture(scope="module")
def mirrored():
    """What `mirrored_program` measured, in a process of its own: logical devices come before all else."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.mirrored_program"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert not done.returncode, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", ["splitting", "game"])
def test_two_devices_train_as_one(mirrored, case):
    """Also with batch norm in micro-batches, and where the batch does not divide among the devices."""
    far = mirrored[case]
    assert far["begun"] == 0
    assert far["moved"] > 1e-3
    assert far["weights"] < 2e-6
    assert far["logs"] < 1e-5


def test_two_devices_evaluate_and_predict_as_one(mirrored):
    """A last batch of one image leaves nothing for the second device."""
    assert mirrored["game"]["evaluate"] < 1e-5
    assert mirrored["game"]["predict"] < 1e-5


def test_what_could_not_train_as_one_device_is_refused(mirrored):
    assert "in the strategy's scope" in mirrored["refused"]["outside"]
    assert "Received: SGD(clipnorm=1.0) on 2 replicas" in mirrored["refused"]["clip"]


def test_alone_there_is_one_replica_that_has_the_whole_batch():
    assert replicas.count() == 1
    assert replicas.place(8) == (0, 1.0)
