"""Self-attention over the positions of a feature map (Zhang et al., ICML 2019: SAGAN)."""

import keras
from keras import ops

from keras_uai.layers.spectral_normalization import advance_layers, conv2d


@keras.saving.register_keras_serializable("keras_uai")
class SelfAttention(keras.layers.Layer):
    """Self-attention `x + gamma * attention(x)`, with a learned `gamma` that starts at 0.

    A fresh layer is the identity. Queries and keys have C // 8 channels and values C // 2, as in
    SAGAN. The softmax is computed in float32. Memory grows with the square of H * W.

    Args:
        spectral_normalization: boolean, whether the four 1x1 convolutions are spectrally
            normalized. Defaults to `True`.

    Call arguments:
        x: `(N, H, W, C)`.
    """

    def __init__(self, spectral_normalization=True, **kwargs):
        super().__init__(**kwargs)
        self.spectral_normalization = bool(spectral_normalization)

    def build(self, input_shape):
        channels = input_shape[-1]
        narrow = max(1, channels // 8)
        half = max(1, channels // 2)

        def conv(filters, name, input_channels):
            layer = conv2d(
                filters,
                1,
                self.spectral_normalization,
                use_bias=False,
                dtype=self.dtype_policy,
                name=name,
            )
            layer.build((*input_shape[:-1], input_channels))
            return layer

        self.query = conv(narrow, "query", channels)
        self.key = conv(narrow, "key", channels)
        self.value = conv(half, "value", channels)
        self.out = conv(channels, "out", half)
        self.gamma = self.add_weight(shape=(), initializer="zeros", name="gamma")

    def call(self, x):
        query = _positions(self.query(x))
        key = _positions(self.key(x))
        value = _positions(self.value(x))
        logits = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
        attention = ops.softmax(ops.cast(logits, "float32"), axis=-1)
        mixed = ops.matmul(ops.cast(attention, value.dtype), value)
        _, height, width, _ = ops.shape(x)
        mixed = ops.reshape(mixed, (-1, height, width, value.shape[-1]))
        return x + self.gamma * self.out(mixed)

    def advance_power_iteration(self):
        """Advances the power iteration of every spectrally normalized convolution."""
        advance_layers([self.query, self.key, self.value, self.out])

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "spectral_normalization": self.spectral_normalization}


def _positions(x):
    """`(N, H, W, C)` to `(N, H * W, C)`."""
    _, height, width, _ = ops.shape(x)
    return ops.reshape(x, (-1, height * width, x.shape[-1]))
