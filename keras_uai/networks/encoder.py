"""The encoder E(y) (section 2.4: a plain residual network with batch norm and two dense layers)."""

import inspect

import keras
from keras import layers

from keras_uai.networks.residual_tower import residual_tower
from keras_uai.networks.sizes import check_image_shape


@keras.saving.register_keras_serializable("keras_uai")
class Encoder(keras.Model):
    """Predicts the Gaussian of the style behind an observation: mean and log-variance.

    E has neither spectral normalization nor attention: it takes no part in the adversarial terms.
    Features are pooled globally before the dense layers, so that E takes images of any size.

    Args:
        image_shape: `(height, width, channels)`, or `(None, None, channels)` for any size.
        latent_dim: Length of the style.
        mask_channels, width, max_width, levels, depth, space_to_depth: As in `Generator`.
        normalization, efficient_resampling: As in `Generator`.
        input_fill, mask_input: As in `Discriminator`.

    Call arguments:
        inputs: `[y, mask]`, or `[y]` with `mask_input=False`. `encode(y, mask)` serves both.

    Example:

    >>> e = keras_uai.networks.Encoder((32, 32, 3), latent_dim=5, width=8, max_width=16)
    >>> mean, log_variance = e.encode(np.zeros((2, 32, 32, 3)), np.ones((2, 32, 32, 1)))
    >>> print(mean.shape, log_variance.shape)
    (2, 5) (2, 5)
    """

    def __init__(
        self,
        image_shape=(None, None, 3),
        mask_channels=1,
        latent_dim=128,
        width=64,
        max_width=256,
        levels=None,
        depth=1,
        space_to_depth=1,
        normalization="batch",
        efficient_resampling=False,
        input_fill=None,
        mask_input=False,
        name="encoder",
    ):
        config = {
            "image_shape": check_image_shape(image_shape),
            "mask_channels": mask_channels,
            "width": width,
            "max_width": max_width,
            "levels": levels,
            "depth": depth,
            "space_to_depth": space_to_depth,
            "normalization": normalization,
            "efficient_resampling": efficient_resampling,
            "input_fill": input_fill,
            "mask_input": mask_input,
        }
        inputs, x = residual_tower(**config, spectral_normalization=False, attention_level=None)
        mean = layers.Dense(latent_dim, dtype="float32", name="mean")(x)
        log_variance = layers.Dense(
            latent_dim, kernel_initializer="zeros", dtype="float32", name="log_variance"
        )(x)
        super().__init__(inputs, [mean, log_variance], name=name)
        self.latent_dim = latent_dim
        for argument, value in config.items():
            setattr(self, argument, value)

    def encode(self, y, mask, training=False):
        """Returns `(mean, log_variance)`, both `(N, latent_dim)` float32."""
        return self([y, mask] if self.mask_input else [y], training=training)

    def get_config(self):
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
