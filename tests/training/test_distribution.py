"""Refusals before anything is trained; `test_multi_worker` has real workers."""

import json

import pytest

from keras_uai.training import distribution

SETTINGS = {"batch_size": 16, "gradient_accumulation_steps": 1, "lambda_marginal": 0.0}


def group(replicas):
    found = distribution.SingleProcess()
    found.replicas = replicas
    return found


@pytest.mark.parametrize(
    ("changed", "replicas", "message"),
    [
        ({"batch_size": 18}, 4, "--batch_size=18, 4 devices, --gradient_accumulation_steps=1"),
        ({"gradient_accumulation_steps": 3}, 1, "1 devices, --gradient_accumulation_steps=3"),
        ({"lambda_marginal": 1.0}, 8, "3 images or more. Received: 2 "),
        ({"lambda_marginal": 1.0, "gradient_accumulation_steps": 8}, 1, "Received: 2 "),
    ],
)
def test_batches_that_do_not_divide(changed, replicas, message):
    with pytest.raises(ValueError, match=message):
        group(replicas).check_batch({**SETTINGS, **changed})


def test_batches_that_divide():
    group(4).check_batch({**SETTINGS, "lambda_marginal": 1.0})
    group(4).check_batch({**SETTINGS, "gradient_accumulation_steps": 4})


def test_several_workers_agree_every_few_steps_only():
    found = group(2)
    assert found.agreement_steps == 1
    found.workers = 2
    assert found.agreement_steps == 20


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        '{"cluster": {"worker": ["host0", "host1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["host0:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["host0:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
    ids=["none", "not JSON", "no port", "no such worker", "no worker"],
)
def test_machines_that_are_not_named(config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=r'TF_CONFIG=.*"host0:2222".* Received: TF_CONFIG='):
        distribution.worker_addresses()


def test_machines_that_are_named(monkeypatch):
    config = {"cluster": {"worker": ["host0:1", "[::1]:2"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert distribution.worker_addresses() == (["host0:1", "[::1]:2"], 1)


def test_no_such_kind():
    message = r"none, mirrored, multi_worker\. Received: --distribution=many"
    with pytest.raises(ValueError, match=message):
        distribution.make("many")
