"""Operations that TensorFlow has and `keras.ops` lacks. Numbers are equal up to rounding.

Imported by layers on the TensorFlow backend only.
"""

import tensorflow as tf


def normalize_batch(x, scale, offset, epsilon):
    """Normalizes `x` by its own mean and variance.

    One pass of oneDNN or cuDNN each way, where `keras.ops` write several maps of the size of `x`.

    Args:
        x: float32 `(N, H, W, C)`.
        scale: `(C,)`, or `None` for 1.
        offset: `(C,)`, or `None` for 0.
        epsilon: float, added to the variance.

    Returns:
        `(y, mean, variance)`. No gradient flows through the last two.
    """
    channels = x.shape[-1:]
    scale = tf.ones(channels) if scale is None else tf.convert_to_tensor(scale)
    offset = tf.zeros(channels) if offset is None else tf.convert_to_tensor(offset)
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=offset,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=epsilon,
        is_training=True,
    )
    # The operation returns the variance with Bessel's correction, Keras's layer keeps it without.
    count = tf.cast(tf.size(x) // channels[0], x.dtype)
    variance *= tf.maximum(count - 1.0, 1.0) / count
    return y, tf.stop_gradient(mean), tf.stop_gradient(variance)


def resize(x, size):
    """Resizes `x` bilinearly.

    `keras.ops.image.resize` refuses sizes that are tensors.

    Args:
        x: float32 `(N, H, W, C)`.
        size: height and width, integers or scalar tensors.
    """
    return tf.image.resize(x, size)
