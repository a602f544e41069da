"""The discriminator D(y) (section 2.4: similar to SAGAN's)."""

import keras
from keras import layers

from keras_uai.layers import (
    PixelUnshuffle,
    PushPull,
    ResidualBlock,
    SelfAttention,
    SpectralDense,
    conv2d,
    make_normalization,
)
from keras_uai.networks.sizes import check_image_shape, levels


@keras.saving.register_keras_serializable("keras_uai")
class Discriminator(keras.Model):
    """`D(y)`: one logit an observation, `(N,)` float32, high for observations of the data set.

    Args:
        image_shape: `(side, side, channels)`.
        width, max_width, depth, stem, normalization, spectral, attention_size, lean: as in `Generator`.
        fill: show the network a push-pull fill of the observation instead of the observation, as in `Generator`: where
            few pixels are observed, convolutions then compare neighbours that were far apart.
        sees_mask: whether the mask is an input beside y (it is recoverable from y as T(y), but not by a convolution
            of few layers).

    Call arguments:
        `[y, mask]`, or `y` with `sees_mask=False`; use `score(y, mask)` for either.
    """

    def __init__(
        self,
        image_shape,
        width=64,
        max_width=256,
        depth=1,
        stem=1,
        normalization="batch",
        spectral=True,
        attention_size=32,
        lean=False,
        fill=False,
        sees_mask=False,
        name="discriminator",
    ):
        # === Graph ===
        inputs, x = observation_stem(image_shape, stem, width, spectral, fill, sees_mask)
        options = {"normalization": normalization, "spectral": spectral, "lean": lean}
        for level, (side, filters) in enumerate(levels(image_shape, stem, width, max_width)):
            for block in range(depth):
                resample = "down" if level and not block else None
                x = ResidualBlock(filters, resample, **options, name=f"block_{side}_{block}")(x)
            if side == attention_size:
                x = SelfAttention(spectral, name=f"attention_{side}")(x)
        x = make_normalization(normalization, x.shape[-1], "head_norm")(x)
        x = layers.GlobalAveragePooling2D(name="head_pool")(layers.ReLU(name="head_relu")(x))
        dense = SpectralDense if spectral else layers.Dense
        logit = dense(1, dtype="float32", name="head_logit")(x)
        super().__init__(
            inputs,
            layers.Reshape((), dtype="float32", name="head_squeeze")(logit),
            name=name,
        )

        # === Config ===
        self.image_shape, self.width, self.max_width, self.depth = (
            tuple(image_shape),
            width,
            max_width,
            depth,
        )
        self.stem, self.normalization, self.spectral = stem, normalization, spectral
        self.attention_size, self.lean = attention_size, lean
        self.fill, self.sees_mask = fill, sees_mask

    def score(self, y, mask, training=False):
        """The logits of `y`; `mask` is used if the network sees it."""
        return self([y, mask] if self.sees_mask else y, training=training)

    def get_config(self):
        names = (
            "image_shape", "width", "max_width", "depth", "stem", "normalization", "spectral", "attention_size",
            "lean", "fill", "sees_mask", "name",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def observation_stem(image_shape, stem, width, spectral, fill, sees_mask):
    """Inputs and first features of a network that reads an observation: `(inputs, x)`."""
    height, _, channels = check_image_shape(image_shape)
    y = keras.Input((height, height, channels), name="observation")
    inputs, x = y, y
    if fill and not sees_mask:
        raise ValueError(
            "`fill` needs to know what is missing: sees_mask=True. "
            f"Received: fill={fill!r}, sees_mask={sees_mask!r}"
        )
    if sees_mask:
        mask = keras.Input((height, height, 1), name="mask")
        x = PushPull(name="fill")(y, mask) if fill else y
        inputs, x = [y, mask], layers.Concatenate(name="input")([x, mask])
    if stem > 1:
        x = PixelUnshuffle(stem, name="unshuffle")(x)
    return inputs, conv2d(width, 3, spectral, name="stem")(x)
