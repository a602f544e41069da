"""G, D and E on JAX, without TensorFlow installed: the numbers of TensorFlow."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_uai.networks import Discriminator, Encoder, Generator
from tests.testing import array, noise, run_on_jax

SMALL = {"width": 4, "max_width": 4, "levels": 2, "space_to_depth": 2}


def outputs():
    """Outputs of the networks on images of two sizes, compiled; weights are drawn by NumPy."""
    generator = Generator(
        **SMALL,
        latent_dim=3,
        attention_level=1,
        input_fill="push_pull",
        predicts_mean=True,
        residual_conditioning=True,
        noise_channels=1,
        normalization="group",
    )
    discriminator = Discriminator(**SMALL, input_fill="push_pull", mask_input=True)
    encoder = Encoder(**SMALL, latent_dim=3)
    for network in (generator, discriminator, encoder):
        weights = [0.3 * abs(noise(*w.shape, seed=i)) for i, w in enumerate(network.get_weights())]
        network.set_weights(weights)

    def networks(y, mask, style, fields):
        features = generator.observe(y, mask)
        image = generator.decode(features, style, fields)
        return image, features["mean"], discriminator.score(y, mask), *encoder.encode(y, mask)

    compiled = compile_function(networks)
    result = []
    for height, width in ((12, 20), (8, 4)):
        mask = (noise(2, height, width, 1, seed=1) > 0).astype("float32")
        y = noise(2, height, width, 3) * mask
        fields = {s: noise(2, height // s, width // s, 1, seed=s) for s in generator.noise_strides}
        arguments = keras.tree.map_structure(ops.convert_to_tensor, (y, mask, noise(2, 3), fields))
        result += [array(v).tolist() for v in compiled(*arguments)]
    return result


def compile_function(function):
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, reduce_retracing=True, autograph=False)


def test_jax_computes_the_same():
    pytest.importorskip("jax")
    code = (
        "import json; from tests.networks import test_backends as t; print(json.dumps(t.outputs()))"
    )
    on_jax = json.loads(run_on_jax(code).splitlines()[-1])
    for a, b in zip(on_jax, outputs(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * max(1.0, np.abs(b).max()))
        assert np.ptp(b) > 1e-3
