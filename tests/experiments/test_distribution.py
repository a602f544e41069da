"""What a group of devices refuses before anything is trained; `test_multi_worker` has real workers."""

import json

import pytest

from keras_uai.experiment import distribution

SETTINGS = {"batch_size": 16, "micro_batches": 1, "lambda_marginal": 0.0}


@pytest.mark.parametrize(
    ("changed", "replicas", "message"),
    [
        ({"batch_size": 18}, 4, "Received: --batch_size=18, 4 devices, --micro_batches=1"),
        ({"micro_batches": 3}, 1, "Received: --batch_size=16, 1 devices, --micro_batches=3"),
        ({"lambda_marginal": 1.0}, 8, "3 images or more .* Received: 2 "),
        ({"lambda_marginal": 1.0, "micro_batches": 8}, 1, "3 images or more .* Received: 2 "),
    ],
)
def test_batches_that_do_not_divide(changed, replicas, message):
    group = distribution.Alone()
    group.replicas = replicas
    with pytest.raises(ValueError, match=message):
        group.check_batch({**SETTINGS, **changed})


def test_batches_that_divide():
    group = distribution.Alone()
    group.replicas = 4
    group.check_batch({**SETTINGS, "lambda_marginal": 1.0})
    group.check_batch({**SETTINGS, "micro_batches": 4})


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        json.dumps(
            {"cluster": {"worker": ["host0", "host1"]}, "task": {"type": "worker", "index": 1}}
        ),
        json.dumps({"cluster": {"worker": ["host0:1"]}, "task": {"type": "worker", "index": 1}}),
        json.dumps({"cluster": {"worker": ["host0:1"]}, "task": {"type": "chief", "index": 0}}),
    ],
    ids=["none", "not JSON", "no port", "no such worker", "no worker"],
)
def test_machines_that_are_not_named(config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=r'TF_CONFIG=.*"host0:2222".* Received: TF_CONFIG='):
        distribution._tf_config()


def test_machines_that_are_named(monkeypatch):
    config = {"cluster": {"worker": ["host0:1", "[::1]:2"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert distribution._tf_config() == (["host0:1", "[::1]:2"], 1)


def test_no_such_kind():
    with pytest.raises(
        ValueError, match=r"none, mirrored, multi_worker\. Received: --distribution=many"
    ):
        distribution.make("many")
