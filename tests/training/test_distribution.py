"""Refusals before anything is trained; `test_multi_worker` has real workers."""

import pytest
import tensorflow as tf

from keras_uai.training import distribution

SETTINGS = {"batch_size": 16, "gradient_accumulation_steps": 1, "lambda_marginal": 0.0}


def group(replicas):
    found = distribution.SingleProcess()
    found.replicas = replicas
    return found


@pytest.mark.parametrize(
    ("changed", "replicas", "divides"),
    [
        ({"lambda_marginal": 1.0}, 4, True),
        ({"gradient_accumulation_steps": 4}, 4, True),
        ({"batch_size": 18}, 4, False),
        ({"gradient_accumulation_steps": 3}, 1, False),
        ({"lambda_marginal": 1.0}, 8, False),
        ({"lambda_marginal": 1.0, "gradient_accumulation_steps": 8}, 1, False),
    ],
)
def test_batches_divide_among_devices(changed, replicas, divides):
    settings = {**SETTINGS, **changed}
    if divides:
        group(replicas).check_batch(settings)
        return
    message = f"--batch_size={settings['batch_size']}, {replicas} devices"
    with pytest.raises(ValueError, match=message):
        group(replicas).check_batch(settings)


@pytest.mark.parametrize(
    "config",
    [
        "{}",
        '{"cluster": {"worker": ["host0:1"], "chief": ["host1:1"]}, "task": {"type": "chief"}}',
    ],
)
def test_machines_that_are_not_named(config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=r'TF_CONFIG=.*"host0:2222".* Received: TF_CONFIG='):
        distribution.make("multi_worker")


def test_errors_about_a_lost_worker():
    """Others are not changed, and a process by itself loses nobody."""
    errors = [tf.errors.UnavailableError(None, None, "Connection reset"), ValueError("UNKNOWN: x")]
    for error in errors:
        found = group(2)
        with pytest.raises(type(error)), found.watching():
            raise error
        found.workers = 2
        with pytest.raises(distribution.LostWorkerError, match="Worker 0 of 2"), found.watching():
            raise error
        with pytest.raises(ValueError, match="another"), found.watching():
            raise ValueError("another")
