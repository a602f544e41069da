"""Self-attention over the positions of a feature map (Zhang et al., ICML 2019: SAGAN)."""

import keras
from keras import ops

from keras_uai.layers.spectral_normalization import conv2d


@keras.saving.register_keras_serializable("keras_uai")
class SelfAttention(keras.layers.Layer):
    """`x + gamma * Attention(x)`, `gamma` learned from 0, so that a fresh layer is the identity.

    Queries and keys have C // 8 channels and values C // 2, as in SAGAN; the softmax is computed in
    float32. Input and output `(N, H, W, C)`.

    Args:
        spectral: whether the four 1x1 convolutions are spectrally normalised.
    """

    def __init__(self, spectral=True, **kwargs):
        super().__init__(**kwargs)
        self.spectral = bool(spectral)

    def build(self, input_shape):
        channels = input_shape[-1]
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        shared = {"use_bias": False, "dtype": self.dtype_policy}
        self.query = conv2d(narrow, 1, self.spectral, name="query", **shared)
        self.key = conv2d(narrow, 1, self.spectral, name="key", **shared)
        self.value = conv2d(half, 1, self.spectral, name="value", **shared)
        self.out = conv2d(channels, 1, self.spectral, name="out", **shared)
        for layer in (self.query, self.key, self.value):
            layer.build(input_shape)
        self.out.build((*input_shape[:-1], half))
        self.gamma = self.add_weight(shape=(), initializer="zeros", name="gamma")

    def call(self, x, training=None):
        _, height, width, _ = x.shape
        query, key, value = (_positions(f(x)) for f in (self.query, self.key, self.value))
        if training and keras.backend.backend() == "tensorflow" and value.dtype == "float32":
            from keras_uai.layers import tensorflow_kernels

            mixed = tensorflow_kernels.attend(query, key, value)
        else:
            query, value = (ops.transpose(v, (0, 2, 1)) for v in (query, value))
            logits = ops.cast(ops.matmul(query, key), "float32")
            mixed = ops.matmul(ops.cast(ops.softmax(logits, axis=-1), value.dtype), value)
        mixed = ops.reshape(mixed, (-1, height, width, mixed.shape[-1]))
        return x + self.gamma * self.out(mixed)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "spectral": self.spectral}


def _positions(x):
    """`(N, H, W, C)` to `(N, C, H * W)`."""
    return ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (-1, x.shape[3], x.shape[1] * x.shape[2]))
