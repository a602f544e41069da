"""Training on JAX equals training on TensorFlow, and each continues the other's files."""

import json

import keras
import numpy as np
import pytest

from tests.models import backends
from tests.testing import run_on_jax

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Results of TensorFlow, here, and of JAX, in a process without TensorFlow."""
    folder = tmp_path_factory.mktemp("backends")
    data = backends.batches()
    np.savez(
        folder / "batches.npz", **{f"{n}{i}": v for i, b in enumerate(data) for n, v in b.items()}
    )
    here = {"folder": folder, "models": {}}
    for name, make in backends.MODELS.items():
        keras.utils.set_random_seed(1)
        model = here["models"][name] = make()
        model.run_eagerly = True  # a few steps: that takes less time than a graph
        model.save(folder / f"{name}.keras")
        here[name] = backends.losses(model, data[: backends.STEPS])
        model.save(folder / f"{name}-on-tensorflow.keras")
        here[f"{name}, state"] = backends.state(model)
        here[f"{name}, more"] = backends.losses(model, data[backends.STEPS :])
    here["skipping"] = backends.skipping(data, run_eagerly=True)
    run_on_jax(f"from tests.models.backends import on_jax\non_jax({str(folder)!r})")
    return {"tensorflow": here, "jax": json.loads((folder / "jax.json").read_text()), "data": data}


def assert_same_losses(found, expected):
    assert len(found) == len(expected)
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert set(one) == set(other)
        for name, value in other.items():
            np.testing.assert_allclose(one[name], value, **CLOSE, err_msg=f"step {step}, {name}")


def without_std(steps):
    """`std` is of the first images of each part of a batch."""
    return [{n: v for n, v in logs.items() if n != "std"} for logs in steps]


def assert_same_states(found, expected):
    """Compares values exactly; integers of 64 bits have 32 on JAX."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", backends.MODELS)
def test_same_losses_from_the_same_weights(both, name):
    """On JAX UAI accumulates two parts of each batch."""
    found, expected = both["jax"][name], both["tensorflow"][name]
    if name == "UAI":
        found, expected = without_std(found), without_std(expected)
    assert_same_losses(found, expected)


@pytest.mark.parametrize("name", backends.MODELS)
def test_jax_continues_a_file_of_tensorflow(both, name):
    here = both["tensorflow"]
    with np.load(here["folder"] / f"{name}-from-tensorflow.npz") as found:
        assert_same_states([found[n] for n in found.files], here[f"{name}, state"])
    assert_same_losses(
        without_std(both["jax"][f"{name}, more"]), without_std(here[f"{name}, more"])
    )


@pytest.mark.parametrize("name", backends.MODELS)
def test_tensorflow_continues_a_file_of_jax(both, name):
    here, data = both["tensorflow"], both["data"]
    model = here["models"][name]
    model.load_weights(here["folder"] / f"{name}-on-jax.keras")
    with np.load(here["folder"] / f"{name}-on-jax.npz") as saved:
        assert_same_states(backends.state(model), [saved[n] for n in saved.files])
    assert_same_losses(backends.losses(model, data[backends.STEPS :]), here[f"{name}, more"])


def test_the_step_is_traced_once(both):
    """Six calls of `fit`, with weights loaded in between, trace once."""
    traces = both["jax"]["traces"]
    assert traces.pop("UAI") == 2  # once more for the shapes of a part
    assert set(traces.values()) == {1}


def test_scores(both):
    model = both["tensorflow"]["models"]["recommended"]
    model.load_weights(both["tensorflow"]["folder"] / "recommended-on-jax.keras")
    scores = model.evaluate(both["data"][0], verbose=0, return_dict=True)
    assert set(both["jax"]["scores"]) == set(scores) == {"std", "mse", "mse_mean"}
    for name, value in scores.items():
        np.testing.assert_allclose(both["jax"]["scores"][name], value, **CLOSE)


def test_the_rest_of_the_zoo_is_traced(both):
    for name, (logged, names) in both["jax"]["traced"].items():
        assert {"loss", "g_loss", "d_loss"} <= set(logged) <= {"loss", *names}, name


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_batch_that_is_not_finite_is_skipped(both, backend):
    """Nothing but the step counter moves: weights, statistics, average, vectors, optimizers."""
    found = both[backend]["skipping"]
    assert found["logs"].pop("skipped") == 1
    assert set(found["logs"].values()) == {0}
    assert found["changed"] == ["ambientgan/step"]
    assert found["differ"] == []


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(both, policy):
    for logs in both["jax"][policy]["losses"]:
        assert np.isfinite(list(logs.values())).all(), logs


def test_loss_scaling_of_both_losses(both):
    """Two finite steps double a scale; an overflow halves it and skips that loss's update."""
    found = both["jax"]["mixed_float16"]["overflows"]
    assert found["scales"] == {"g": 32.0, "d": 32.0}
    for name, other in (("g", "d"), ("d", "g")):
        assert found[name] == {"moved": [other], "scale": 2.0**119, "finite": True}
