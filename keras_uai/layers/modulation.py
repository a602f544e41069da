"""Normalisation, and its modulation by the latent: how z reaches every scale of the decoder."""

import keras
from keras import ops

from keras_uai import replicas
from keras_uai.layers.batch_normalization import BatchNormalization


def make_normalization(kind, channels, name, affine=True, dtype=None):
    """A normalisation layer.

    Args:
        kind: `"batch"` (the paper; on several replicas, statistics are the whole batch's), `"group"` (does not
            mix images: right where they are damaged differently), or `None` (identity).
        channels: number of channels, from which the groups follow (16 channels a group).
        name: name of the layer.
        affine: whether it has a scale and an offset of its own.
        dtype: dtype policy of the layer; `None` is the global one.
    """
    if kind == "batch":
        return BatchNormalization(
            momentum=0.9, epsilon=1e-5, center=affine, scale=affine, name=name, dtype=dtype,
            synchronized=replicas.count() > 1,
        )  # fmt: skip
    if kind == "group":
        groups = max(1, channels // 16)
        while channels % groups:
            groups -= 1
        return keras.layers.GroupNormalization(
            groups, epsilon=1e-5, center=affine, scale=affine, name=name, dtype=dtype
        )
    if kind is None:
        return keras.layers.Identity(name=name, dtype=dtype)
    raise ValueError(
        f'`normalization` is one of "batch", "group", None. Received: normalization={kind!r}'
    )


@keras.saving.register_keras_serializable("keras_uai")
class Modulation(keras.layers.Layer):
    """`x * (1 + gamma(w)) + beta(w)` a channel, with gamma and beta affine in the style `w`.

    Conditional normalisation's second half (SAGAN conditions on the class so). Inputs `x`
    `(N, H, W, C)` and `w` `(N, D)`; output like `x`.

    Args:
        scales: `False` leaves gamma out and starts with a beta near 0. Products of latents have
            heavy tails: where samples are only asked to spread as much as the truth, a few of them
            are then wrong everywhere at once while most do not differ.
    """

    def __init__(self, scales=True, **kwargs):
        super().__init__(**kwargs)
        self.scales = bool(scales)

    def build(self, x_shape, w_shape):
        units, initializer = 2 * x_shape[-1], "glorot_uniform"
        if not self.scales:
            units, initializer = x_shape[-1], keras.initializers.VarianceScaling(0.01)
        self.affine = keras.layers.Dense(
            units, kernel_initializer=initializer, dtype=self.dtype_policy, name="affine"
        )
        self.affine.build(w_shape)

    def call(self, x, w):
        affine = self.affine(w)[:, None, None, :]
        if not self.scales:
            return x + affine
        gamma, beta = ops.split(affine, 2, axis=-1)
        return x * (1.0 + gamma) + beta

    def compute_output_shape(self, x_shape, w_shape):
        return x_shape

    def get_config(self):
        return {**super().get_config(), "scales": self.scales}


@keras.saving.register_keras_serializable("keras_uai")
class GatedNoise(keras.layers.Layer):
    """`x + (1 + gate(features)) * project(noise)`: noise whose strength may depend on the place.

    Both maps are 1x1 convolutions, so that what was observed near a pixel decides how much the
    noise may move it. Inputs `x` and `features` `(N, H, W, C)`, `noise` `(N, H, W, K)`.
    """

    def build(self, x_shape, features_shape, noise_shape):
        def conv(name, shape, **kwargs):
            layer = keras.layers.Conv2D(
                x_shape[-1], 1, dtype=self.dtype_policy, name=name, **kwargs
            )
            layer.build(shape)
            return layer

        self.gate = conv("gate", features_shape)
        self.project = conv("project", noise_shape, use_bias=False)

    def call(self, x, features, noise):
        return x + (1.0 + self.gate(features)) * self.project(noise)

    def compute_output_shape(self, x_shape, features_shape, noise_shape):
        return x_shape
