"""`receptive_radius` against perturbations of everything that lies farther away."""

import numpy as np
import pytest
import tensorflow as tf

from keras_uai.networks import Generator
from tests.testing import array, noise


def tile_output(generator, tile, size, keep):
    """The convolutions' output in one tile; inputs more than `keep` pixels away are others."""
    side = generator.stride

    def mixed(channels, stride=1):
        near = noise(1, size // stride, size // stride, channels, seed=channels + stride)
        far = 50 * noise(*near.shape, seed=99)
        inner = slice((tile - keep) // stride, (tile + side + keep) // stride)
        far[:, inner, inner] = near[:, inner, inner]
        return tf.constant(far)

    features = generator.observer([mixed(3), mixed(1)])
    total = features.pop("mean_residual", 0.0)
    style = tf.constant(noise(1, generator.latent_dim))
    fields = [mixed(generator.noise_channels, s) for s in generator.noise_strides]
    total += generator.decoder([*features.values(), style, *fields])
    return array(total)[:, tile : tile + side, tile : tile + side]


@pytest.mark.parametrize(
    "options",
    [
        {"levels": 1},
        {"levels": 1, "space_to_depth": 4, "predicts_mean": True},
        {"levels": 2, "depth": 2},
        {"levels": 2, "depth": 2, "efficient_resampling": True, "predicts_mean": True},
        {"levels": 3},
        {"levels": 3, "space_to_depth": 2, "efficient_resampling": True},
        {"levels": 4, "predicts_mean": True},
    ],
    ids=str,
)
def test_no_farther_and_hardly_nearer(options):
    """A tile does not change with what lies beyond the radius, but does with what lies within."""
    generator = Generator(
        (None, None, 3),
        latent_dim=4,
        width=8,
        max_width=8,
        normalization=None,
        spectral_normalization=False,
        attention_level=None,
        input_fill="push_pull",
        noise_channels=1,
        **options,
    )
    for v in generator.trainable_variables:  # fresh blocks pass their input on
        v.assign(v + 0.1 * noise(*v.shape, seed=len(v.path)))
    radius, stride = generator.receptive_radius, generator.stride
    assert radius % stride == 0
    tile = radius + 2 * stride
    size = 2 * tile + stride
    whole = tile_output(generator, tile, size, tile)
    np.testing.assert_allclose(tile_output(generator, tile, size, radius), whole, atol=1e-6)
    assert np.abs(tile_output(generator, tile, size, radius - stride) - whole).max() > 0
