"""Batch normalisation whose statistics a pass can leave as they are, in one operation on TensorFlow."""

import contextlib
import threading

import keras
from keras import ops

_thread = threading.local()  # replicas run in threads of their own


@contextlib.contextmanager
def statistics_held():
    """Inside, passes in training normalise by their batch as ever, and moving statistics stay.

    For passes on inputs that no trained network is ever shown: the moving statistics of a network
    that is also trained on something else would be a mixture that fits neither.
    """
    before = getattr(_thread, "held", False)
    _thread.held = True
    try:
        yield
    finally:
        _thread.held = before


@keras.saving.register_keras_serializable("keras_uai")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that heeds `statistics_held`.

    In training on TensorFlow maps `(N, H, W, C)` are normalised by one fused operation; the numbers are those of
    Keras's layer up to rounding.
    """

    @property
    def momentum(self):
        """Of the moving statistics; 1 where they are held."""
        return 1.0 if getattr(_thread, "held", False) else self._momentum

    @momentum.setter
    def momentum(self, value):
        self._momentum = value

    def call(self, inputs, training=None, mask=None):
        fused = keras.backend.backend() == "tensorflow" and len(inputs.shape) == 4
        fused = fused and self.axis in (-1, 3) and not (self.synchronized or self.renorm)
        if not (fused and training and self.trainable and mask is None):
            return super().call(inputs, training=training, mask=mask)
        from keras_uai.layers import tensorflow_kernels

        x = ops.cast(inputs, "float32")
        parts = (ops.cast(v, "float32") if v is not None else None for v in (self.gamma, self.beta))
        x, mean, variance = tensorflow_kernels.normalize_batch(x, *parts, self.epsilon)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept = ops.cast(moving, "float32")
            moving.assign(kept * self.momentum + value * (1.0 - self.momentum))
        return ops.cast(x, self.compute_dtype)
