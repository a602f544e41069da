"""Normalisation, and its modulation by the latent: how z reaches every scale of the decoder."""

import keras
from keras import ops


def make_normalization(kind, channels, name, affine=True, dtype=None):
    """A normalisation layer.

    Args:
        kind: `"batch"` (the paper), `"group"` (does not mix images: right where they are damaged
            differently), or `None` (identity).
        channels: number of channels, from which the groups follow (16 channels a group).
        name: name of the layer.
        affine: whether it has a scale and an offset of its own.
        dtype: dtype policy of the layer; `None` is the global one.
    """
    if kind == "batch":
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, center=affine, scale=affine, name=name, dtype=dtype
        )
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
    """

    def build(self, x_shape, w_shape):
        self.affine = keras.layers.Dense(2 * x_shape[-1], dtype=self.dtype_policy, name="affine")
        self.affine.build(w_shape)

    def call(self, x, w):
        gamma, beta = ops.split(self.affine(w)[:, None, None, :], 2, axis=-1)
        return x * (1.0 + gamma) + beta

    def compute_output_shape(self, x_shape, w_shape):
        return x_shape
