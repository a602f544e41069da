"""The estimate against numbers by hand, its limits, and the counts of a model's step."""

import math

import pytest

from benchmarks import models, scaling
from keras_uai import layers
from tests.testing import tiny_uai


def batch_norms(model):
    """Returns the batch normalizations of a generator, those in its residual blocks included."""
    blocks = [layer for part in (model.observer, model.decoder) for layer in part.layers]
    norms = [norm for block in blocks for norm in getattr(block, "norms", [])]
    return [n for n in (*blocks, *norms) if isinstance(n, layers.BatchNormalization)]


def test_all_reduce_by_hand():
    """4 workers send 3/2 of 10 MB at 1 GB/s, in 2 x 6 messages of 100 us."""
    assert scaling.all_reduce_seconds(4, 10e6, 8.0, 100.0) == pytest.approx(15e-3 + 1.2e-3)
    assert scaling.all_reduce_seconds(1, 10e6, 8.0, 100.0) == 0.0
    # 3 calls of batch norm: 15 all-reduces more, of 6 messages each.
    more = scaling.all_reduce_seconds(4, 10e6, 8.0, 100.0, batch_norms=3)
    assert more == pytest.approx(15e-3 + 17 * 6 * 1e-4)


def test_efficiency():
    rows = {row["workers"]: row for row in scaling.estimate(0.1, 10e6, 8.0, 0.0)}
    assert list(rows) == [1, 2, 4, 8, 16]
    assert rows[1]["efficiency"] == rows[1]["efficiency_shared"] == 1.0
    assert rows[2]["efficiency"] == pytest.approx(0.1 / 0.11)
    assert rows[2]["efficiency_shared"] == pytest.approx(0.05 / (0.05 + 0.01))
    falling = [row["efficiency"] for row in rows.values()]
    assert falling == sorted(falling, reverse=True)
    free = scaling.estimate(0.1, 10e6, 1e12, 0.0)
    assert all(row["efficiency"] == pytest.approx(1.0) for row in free)


def test_the_table_separates_measured_from_assumed():
    settings = {"size": (32, 32), "step_images": 8, "gbits": 10.0, "latency_us": 50.0}
    result = {
        "settings": settings,
        "step": {"median": 0.5, "low": 0.4, "high": 0.6},
        "gradient_bytes": 5_000_000,
        "batch_norms": 7,
        "rows": scaling.estimate(0.5, 5_000_000, 10.0, 50.0),
    }
    text = scaling.table(result)
    assert "measured: 500 ms a step (400 to 600) of 8 images of 32 x 32, 16.0 images/s" in text
    assert "5.0 MB of gradients, 7 calls of batch norm" in text
    assert "assumed: 10 Gbit/s and 50 us a message" in text
    assert text.splitlines()[-1].split()[0] == "16"


def test_a_step_is_measured_and_its_gradients_counted(monkeypatch):
    model = tiny_uai(generator={"normalization": "batch"})
    model.compile(loss_weights={"z": 0.0, "y": 0.0}, jit_compile=False)
    monkeypatch.setattr(models, "load", lambda path: model)
    options = {"model": None, "step_images": 2, "gbits": 10.0, "latency_us": 50.0, "repeats": 1}
    result = scaling.run(options)
    # E has no loss and no gradients. G runs once, for the adversarial term.
    trained = [*model.generator.trainable_variables, *model.discriminator.trainable_variables]
    assert result["gradient_bytes"] == 4 * sum(math.prod(w.shape) for w in trained)
    assert result["batch_norms"] == len(batch_norms(model.generator)) > 0
    assert result["rows"][0]["efficiency"] == 1.0
    assert "2 images of 16 x 16" in scaling.table(result)
