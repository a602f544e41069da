"""Batch normalization with statistics over all replicas, and passes that leave them unchanged."""

import contextlib
import contextvars

import keras
from keras import ops

from keras_uai import distribute

# A context variable, since the replicas of a strategy are traced in threads of their own.
_frozen = contextvars.ContextVar("freeze_batch_statistics", default=False)


@contextlib.contextmanager
def freeze_batch_statistics():
    """Keeps moving statistics unchanged in the training passes inside this context.

    Such passes still normalize by their own batch. Use it for inputs that differ in kind from
    those of inference. Otherwise the moving statistics would be a mixture that fits neither kind.

    Example:

    >>> layer = keras_uai.layers.BatchNormalization()
    >>> with keras_uai.layers.freeze_batch_statistics():
    ...     y = layer(np.ones((2, 4, 4, 3)), training=True)
    >>> print(layer.moving_mean.numpy())
    [0. 0. 0.]
    """
    token = _frozen.set(True)
    try:
        yield
    finally:
        _frozen.reset(token)


@keras.saving.register_keras_serializable("keras_uai")
class BatchNormalization(keras.layers.Layer):
    """Batch normalization of the last axis.

    In training, mean and variance are those of the batch, over all replicas of a `tf.distribute`
    strategy. The numbers equal those of `keras.layers.BatchNormalization` up to rounding. On one
    TensorFlow device maps are normalized by one fused operation. Statistics are float32 under
    every dtype policy. A layer with `trainable=False` uses its moving statistics, as in Keras.

    Args:
        momentum: float, the share of the old value in a moving statistic. Defaults to 0.9.
        epsilon: float, added to the variance. Defaults to 1e-5.
        affine: boolean, whether to learn a scale and an offset for each channel. Defaults to
            `True`.

    Call arguments:
        x: `(N, ..., C)`.
        training: boolean, whether to use the statistics of the batch.
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, affine=True, **kwargs):
        super().__init__(**kwargs)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.affine = bool(affine)

    def build(self, input_shape):
        def add(name, initializer, trainable):
            return self.add_weight(
                shape=(input_shape[-1],),
                initializer=initializer,
                trainable=trainable,
                autocast=False,
                name=name,
            )

        self.gamma = add("gamma", "ones", True) if self.affine else None
        self.beta = add("beta", "zeros", True) if self.affine else None
        self.moving_mean = add("moving_mean", "zeros", False)
        self.moving_variance = add("moving_variance", "ones", False)

    def call(self, x, training=None):
        x = ops.cast(x, "float32")
        if training and self.trainable:
            y, mean, variance = self._normalize_by_batch(x)
            if not _frozen.get():
                self._update(self.moving_mean, mean)
                self._update(self.moving_variance, variance)
        else:
            y = self._normalize(x, self.moving_mean, self.moving_variance)
        return ops.cast(y, self.compute_dtype)

    def _normalize_by_batch(self, x):
        """The normalized `x`, and the batch's mean and variance, both `(C,)`."""
        several = distribute.num_replicas() > 1
        if keras.backend.backend() == "tensorflow" and len(x.shape) == 4 and not several:
            from keras_uai.layers import tensorflow_kernels

            return tensorflow_kernels.normalize_batch(x, self.gamma, self.beta, self.epsilon)
        axes = tuple(range(len(x.shape) - 1))
        mean, variance = ops.moments(x, axes, synchronized=several)
        return self._normalize(x, mean, variance), mean, variance

    def _normalize(self, x, mean, variance):
        return ops.batch_normalization(
            x, mean, variance, -1, self.beta, self.gamma, epsilon=self.epsilon
        )

    def _update(self, moving, value):
        value = ops.stop_gradient(value)
        moving.assign(moving * self.momentum + value * (1.0 - self.momentum))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "affine": self.affine,
        }
