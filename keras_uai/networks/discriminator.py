"""The discriminator D(y) (section 2.4: similar to SAGAN's)."""

import inspect

import keras
from keras import layers

from keras_uai.layers import SpectralDense
from keras_uai.networks.residual_tower import residual_tower
from keras_uai.networks.sizes import check_image_shape


@keras.saving.register_keras_serializable("keras_uai")
class Discriminator(keras.Model):
    """Scores observations: one logit each, `(N,)` float32, high for observations of the data set.

    Args:
        image_shape: `(height, width, channels)`, or `(None, None, channels)` for any size.
        mask_channels, width, max_width, levels, depth, space_to_depth: As in `Generator`.
        normalization, spectral_normalization, attention_level: As in `Generator`.
        efficient_resampling: As in `Generator`.
        input_fill: `"push_pull"` shows the network a push-pull fill instead of the observation.
            Where few pixels are observed, convolutions then compare neighbours that were far apart.
        mask_input: Whether the mask is an input beside y. (It is recoverable from y as T(y), but
            not by a few convolutions.)

    Call arguments:
        inputs: `[y, mask]`, or `[y]` with `mask_input=False`. `score(y, mask)` serves both.

    Example:

    >>> d = keras_uai.networks.Discriminator((32, 32, 3), width=8, max_width=16)
    >>> print(d.score(np.zeros((2, 32, 32, 3)), np.ones((2, 32, 32, 1))).shape)
    (2,)
    """

    def __init__(
        self,
        image_shape=(None, None, 3),
        mask_channels=1,
        width=64,
        max_width=256,
        levels=None,
        depth=1,
        space_to_depth=1,
        normalization="batch",
        spectral_normalization=True,
        attention_level="auto",
        efficient_resampling=False,
        input_fill=None,
        mask_input=False,
        name="discriminator",
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
            "spectral_normalization": spectral_normalization,
            "attention_level": attention_level,
            "efficient_resampling": efficient_resampling,
            "input_fill": input_fill,
            "mask_input": mask_input,
        }
        inputs, x = residual_tower(**config)
        dense = SpectralDense if spectral_normalization else layers.Dense
        logit = dense(1, dtype="float32", name="head_logit")(x)
        logit = layers.Reshape((), dtype="float32", name="head_squeeze")(logit)
        super().__init__(inputs, logit, name=name)
        for argument, value in config.items():
            setattr(self, argument, value)

    def score(self, y, mask, training=False):
        """Returns the logits `(N,)` of `y`; `mask` is used if the network takes it."""
        return self([y, mask] if self.mask_input else [y], training=training)

    def get_config(self):
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
