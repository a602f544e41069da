"""The encoder E(y) (section 2.4: a plain residual network with batch norm and two dense layers)."""

import keras
from keras import layers

from keras_uai.layers import ResidualBlock, make_normalization
from keras_uai.networks.discriminator import observation_stem
from keras_uai.networks.sizes import levels


@keras.saving.register_keras_serializable("keras_uai")
class Encoder(keras.Model):
    """`E(y)`: mean and log-variance of the Gaussian of the latent behind an observation, two `(N, latent_dim)`.

    Args:
        image_shape: `(side, side, channels)`.
        latent_dim: length of the (global part of the) latent.
        width, max_width, depth, stem, normalization, lean: as in `Generator`. No spectral
            normalisation: E plays no game.
        fill, sees_mask: as in `Discriminator`.

    Call arguments:
        `[y, mask]`, or `y` with `sees_mask=False`; use `encode(y, mask)` for either.
    """

    def __init__(
        self,
        image_shape,
        latent_dim=128,
        width=64,
        max_width=256,
        depth=1,
        stem=1,
        normalization="batch",
        lean=False,
        fill=False,
        sees_mask=False,
        name="encoder",
    ):
        # === Graph ===
        inputs, x = observation_stem(image_shape, stem, width, False, fill, sees_mask)
        for level, (side, filters) in enumerate(levels(image_shape, stem, width, max_width)):
            for block in range(depth):
                resample = "down" if level and not block else None
                x = ResidualBlock(
                    filters,
                    resample,
                    normalization,
                    False,
                    lean=lean,
                    name=f"block_{side}_{block}",
                )(x)
        x = make_normalization(normalization, x.shape[-1], "head_norm")(x)
        x = layers.Flatten(name="head_flatten")(layers.ReLU(name="head_relu")(x))
        mean = layers.Dense(latent_dim, dtype="float32", name="mean")(x)
        log_variance = layers.Dense(
            latent_dim, kernel_initializer="zeros", dtype="float32", name="log_variance"
        )(x)
        super().__init__(inputs, [mean, log_variance], name=name)

        # === Config ===
        self.image_shape, self.latent_dim, self.width = tuple(image_shape), latent_dim, width
        self.max_width, self.depth, self.stem = max_width, depth, stem
        self.normalization, self.lean = normalization, lean
        self.fill, self.sees_mask = fill, sees_mask

    def encode(self, y, mask, training=False):
        """`(mean, log_variance)` of the latent behind `y`; `mask` is used if the network sees it."""
        return self([y, mask] if self.sees_mask else y, training=training)

    def get_config(self):
        names = (
            "image_shape", "latent_dim", "width", "max_width", "depth", "stem", "normalization", "lean",
            "fill", "sees_mask", "name",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
