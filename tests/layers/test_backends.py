"""Every layer on JAX, without TensorFlow installed: TensorFlow's numbers, for odd sizes too."""

import json

import keras
import numpy as np
import pytest

from keras_uai import layers
from tests.testing import array, noise, run_on_jax

#: A name, the class, its arguments, and the shapes of its inputs.
CASES = [
    ("conv", "SpectralConv2D", {"filters": 5, "kernel_size": 3}, [(5, 7, 3)]),
    ("dense", "SpectralDense", {"units": 5}, [(7,)]),
    ("batch_norm", "BatchNormalization", {}, [(5, 7, 3)]),
    ("shuffle", "PixelShuffle", {"factor": 2}, [(5, 7, 12)]),
    ("unshuffle", "PixelUnshuffle", {"factor": 2}, [(6, 10, 3)]),
    ("attention", "SelfAttention", {}, [(5, 7, 8)]),
    ("modulation", "Modulation", {}, [(5, 7, 4), (6,)]),
    ("noise", "GatedNoise", {}, [(5, 7, 4), (5, 7, 3), (5, 7, 2)]),
    ("fill", "PushPull", {}, [(13, 22, 3), (13, 22, 1)]),
    ("fill_channels", "PushPull", {"levels": 3}, [(13, 22, 3), (13, 22, 3)]),
    ("conditioning", "ResidualConditioning", {}, [(13, 22, 3), (13, 22, 1)]),
    ("block", "ResidualBlock", {"filters": 6, "normalization": "group"}, [(5, 7, 4)]),
    ("block_up", "ResidualBlock", {"filters": 4, "resample": "up"}, [(5, 7, 4)]),
    (
        "block_down",
        "ResidualBlock",
        {"filters": 6, "resample": "down", "modulation": "scale_shift"},
        [(6, 10, 4), (5,)],
    ),
]


def outputs():
    """Each layer in a functional model of maps of any size: outputs in training, compiled.

    Weights are drawn by NumPy, so that they are the same on every backend. Power iterations advance
    in one of the models, before its call.
    """
    result = {}
    for name, cls, arguments, shapes in CASES:
        symbols = [keras.Input((None, None, s[-1]) if len(s) == 3 else s) for s in shapes]
        model = keras.Model(symbols, getattr(layers, cls)(**arguments)(*symbols))
        model.set_weights([abs(noise(*w.shape, seed=i)) for i, w in enumerate(model.get_weights())])
        inputs = [noise(2, *s, seed=i) for i, s in enumerate(shapes)]
        if cls in ("PushPull", "ResidualConditioning"):
            inputs[1] = (inputs[1] > 0.5).astype("float32")
        if name == "block":
            layers.advance_power_iterations(model)
        result[name] = array(compiled(model)(inputs)).tolist()
    return result


def compiled(model):
    """A function of the inputs of `model`, in training."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda inputs: model(inputs, training=True), autograph=False)
    import jax

    weights = [
        [v.value for v in vs] for vs in (model.trainable_variables, model.non_trainable_variables)
    ]
    call = jax.jit(lambda inputs: model.stateless_call(*weights, inputs, training=True))
    return lambda inputs: call(inputs)[0]


def test_jax_computes_the_same():
    pytest.importorskip("jax")
    code = (
        "import json; from tests.layers import test_backends as t; print(json.dumps(t.outputs()))"
    )
    on_jax = json.loads(run_on_jax(code).splitlines()[-1])
    for name, expected in outputs().items():
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(on_jax[name], expected, atol=1e-5 * scale, err_msg=name)
