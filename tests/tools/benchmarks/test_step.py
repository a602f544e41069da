"""PyTorch's networks equal Keras's in weights and outputs; the roofline counts convolutions."""

import importlib.util
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_uai
from benchmarks import roofline, step, step_cases, timing
from tests.testing import tiny_uai

#: (side, width): numbers of weights of G, D and E.
WEIGHTS = {
    (16, 8): (154835, 19729, 28144),
    (32, 8): (439957, 77634, 94128),
    (64, 16): (5303397, 1228642, 1292896),
}

torch_only = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed (extra `benchmark`)"
)


def options(**changes):
    return {
        "image_size": 16,
        "width": 8,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "repeats": 1,
        "jit": False,
        "torch": False,
        "torch_compile": False,
        "roofline": True,
        "sweep": [],
    } | changes


def networks(side, width):
    kinds = keras_uai.networks
    return [
        cls((side, side, 3), width=width)
        for cls in (kinds.Generator, kinds.Discriminator, kinds.Encoder)
    ]


@pytest.mark.parametrize(("size", "expected"), WEIGHTS.items())
def test_weights_of_keras_networks(size, expected):
    found = [
        sum(v.value.shape.num_elements() for v in n.trainable_variables) for n in networks(*size)
    ]
    assert tuple(found) == expected


@torch_only
@pytest.mark.parametrize(("size", "expected"), WEIGHTS.items())
def test_weights_of_pytorch_networks(size, expected):
    from benchmarks import torch_networks as kinds
    from benchmarks import torch_weights

    (side, width), found = size, []
    for cls in (kinds.Generator, kinds.Discriminator, kinds.Encoder):
        found.append(torch_weights.count(cls((side, side, 3), width=width)))
    assert tuple(found) == expected


@torch_only
def test_pytorch_networks_are_the_same_or_refused():
    """With attention at 32 pixels; other networks and other weights are refused."""
    import torch

    from benchmarks.torch_step import TorchUAI

    model = step_cases.make_model(options(image_size=32))
    step_cases.perturb(model)
    y, mask = step_cases.make_batch(model, 2)
    peer = TorchUAI((32, 32, 3), step_cases.DROPPED, 8)
    assert step_cases.compare(model, peer, y, mask) < 1e-5
    losses = peer.step(*(torch.from_numpy(v).permute(0, 3, 1, 2) for v in (y, mask)))
    assert np.isfinite(losses).all()
    with pytest.raises(ValueError, match=r"must have the .* weights"):
        step_cases.compare(model, TorchUAI((32, 32, 3), step_cases.DROPPED, 4), y, mask)
    peer.encoder.forward = lambda y: (torch.zeros(len(y), 128),) * 2
    with pytest.raises(ValueError, match="must differ by at most"):
        step_cases.compare(model, peer, y, mask)


def test_the_benchmark(monkeypatch):
    """Uses the smallest model, which compiles fast."""

    def tiny(options, jit=False):
        model = tiny_uai()
        model.compile(jit_compile=jit)
        return model

    monkeypatch.setattr(step_cases, "make_model", tiny)
    result = step.run(options())
    assert json.loads(json.dumps(result)) == result
    row = result["rows"][step.OURS]
    assert row["images_per_s"] == pytest.approx(4 / row["median"])
    assert row["ours_to_this"] == row["processor_ours_to_this"] == 1
    assert row["processor_s"] > 0
    assert result["roofline"]["fraction"] > 0
    assert sum(result["profile"].values()) == pytest.approx(1)
    assert result["profile"]["convolutions, backward"] > 0
    text = step.table(result)
    assert "16 x 16, width 8, batch 4 in 1 parts" in text
    assert "backward, kernel" in text
    assert "cores" in timing.describe_machine(result)


def test_unknown_sweeps():
    with pytest.raises(ValueError, match=r"image_size, width, .*Received: depth"):
        step.run(options(sweep=["width", "depth"]))


def test_the_roofline_counts_executed_convolutions():
    """Two convolutions and their gradients; the gradient that nothing needs does not count."""
    kernels = [tf.Variable(tf.ones((3, 3, *shape))) for shape in ((2, 4), (4, 5))]

    @tf.function
    def step(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            h = tf.nn.conv2d(x, kernels[0], 1, "SAME")
            loss = tf.reduce_sum(tf.square(tf.nn.conv2d(h, kernels[1], 1, "SAME")))
        tape.gradient(loss, x)  # not returned
        return tape.gradient(loss, kernels)

    concrete = step.get_concrete_function(tf.TensorSpec((6, 8, 8, 2)))
    found = roofline.convolutions(concrete)
    image, wide = (6, 8, 8, 2), (6, 8, 8, 4)
    same = (1, 1, 1, 1), "SAME"
    assert found == {
        ("Conv2D", image, (3, 3, 2, 4), *same): 1,
        ("Conv2D", wide, (3, 3, 4, 5), *same): 1,
        ("Conv2DBackpropInput", wide, (3, 3, 4, 5), *same): 1,
        ("Conv2DBackpropFilter", image, (3, 3, 2, 4), *same): 1,
        ("Conv2DBackpropFilter", wide, (3, 3, 4, 5), *same): 1,
    }
    bound = roofline.roofline(concrete, repeats=1)
    wanted = 2 * 6 * 64 * 9 * (2 * 2 * 4 + 3 * 4 * 5) / 1e9
    assert bound["gflop"] == pytest.approx(wanted)
    assert bound["attainable_s"] == pytest.approx(sum(r["seconds"] for r in bound["rows"]))
    assert [row["seconds"] for row in bound["rows"]] == sorted(
        (row["seconds"] for row in bound["rows"]), reverse=True
    )


def test_a_model_is_the_papers():
    model = step_cases.make_model(options(gradient_accumulation_steps=2))
    assert isinstance(model, keras_uai.models.UAI)
    assert model.loss_weights == keras_uai.models.UAI.default_loss_weights
    assert (model.gradient_accumulation_steps, model.optimizer.beta_1) == (2, 0.0)
    assert keras.backend.backend() == "tensorflow"
