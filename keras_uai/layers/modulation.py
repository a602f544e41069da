"""Normalization, its modulation by the style, and noise: how z reaches every decoder level."""

import keras
from keras import ops

from keras_uai.layers.batch_normalization import BatchNormalization

_KINDS = ("shift", "scale_shift")


def make_normalization(kind, channels, name, affine=True, dtype=None):
    """Creates a normalization layer.

    Args:
        kind: `"batch"` (the paper's), `"group"` (groups of about 16 channels; images do not mix),
            or `None` (the identity).
        channels: integer, number of channels of the input.
        name: string, name of the layer.
        affine: boolean, whether the layer has a scale and an offset of its own. Defaults to
            `True`.
        dtype: dtype policy. `None`, the default, is the global one.

    Returns:
        A Keras layer.

    Example:

    >>> keras_uai.layers.make_normalization("group", 48, "norm").groups
    3
    """
    if kind == "batch":
        return BatchNormalization(affine=affine, name=name, dtype=dtype)
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
        f'`normalization` must be "batch", "group" or None. Received: normalization={kind!r}'
    )


@keras.saving.register_keras_serializable("keras_uai")
class Modulation(keras.layers.Layer):
    """Modulation of each channel by the style: `x * (1 + gamma(style)) + beta(style)`.

    `gamma` and `beta` are affine functions of the style. This is the second half of conditional
    normalization, by which SAGAN conditions on a class.

    Args:
        kind: `"scale_shift"`, or `"shift"` for `x + beta(style)`. Defaults to `"scale_shift"`. A
            shift starts near 0. Scales multiply over the blocks, so that a few samples differ
            strongly while most do not; a loss that calibrates the spread suffers from it.

    Call arguments:
        x: `(N, H, W, C)`.
        style: `(N, D)`.
    """

    def __init__(self, kind="scale_shift", **kwargs):
        super().__init__(**kwargs)
        if kind not in _KINDS:
            raise ValueError(f"`kind` must be one of {_KINDS}. Received: kind={kind!r}")
        self.kind = kind

    def build(self, x_shape, style_shape):
        channels = x_shape[-1]
        units = 2 * channels
        initializer = "glorot_uniform"
        if self.kind == "shift":
            units = channels
            initializer = keras.initializers.VarianceScaling(0.01)
        self.affine = keras.layers.Dense(
            units, kernel_initializer=initializer, dtype=self.dtype_policy, name="affine"
        )
        self.affine.build(style_shape)

    def call(self, x, style):
        affine = self.affine(style)[:, None, None, :]
        if self.kind == "shift":
            return x + affine
        gamma, beta = ops.split(affine, 2, axis=-1)
        return x * (1.0 + gamma) + beta

    def compute_output_shape(self, x_shape, style_shape):
        return x_shape

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


@keras.saving.register_keras_serializable("keras_uai")
class GatedNoise(keras.layers.Layer):
    """Noise whose strength depends on the features: `x + (1 + gate(features)) * project(noise)`.

    `gate` and `project` are 1x1 convolutions. The observation near a pixel thus decides how far
    the noise may move it.

    Call arguments:
        x: `(N, H, W, C)`.
        features: `(N, H, W, F)`.
        noise: `(N, H, W, K)`.
    """

    def build(self, x_shape, features_shape, noise_shape):
        def conv(name, shape, use_bias):
            layer = keras.layers.Conv2D(
                x_shape[-1], 1, use_bias=use_bias, dtype=self.dtype_policy, name=name
            )
            layer.build(shape)
            return layer

        self.gate = conv("gate", features_shape, use_bias=True)
        self.project = conv("project", noise_shape, use_bias=False)

    def call(self, x, features, noise):
        return x + (1.0 + self.gate(features)) * self.project(noise)

    def compute_output_shape(self, x_shape, features_shape, noise_shape):
        return x_shape
