"""What TensorFlow computes in one operation and `keras.ops` in several: the same up to rounding.

Imported by layers on the TensorFlow backend only.
"""

import tensorflow as tf


def normalize_batch(x, scale, offset, epsilon):
    """Batch normalisation of `x` `(N, H, W, C)` by its own statistics.

    One pass of oneDNN or cuDNN there and one back, where `keras.ops` write ten maps of the size of `x`.

    Args:
        x: float32.
        scale, offset: `(C,)`, or None for 1 and 0.
        epsilon: added to the variance.

    Returns:
        `(y, mean, variance)`; no gradient flows through the last two.
    """
    channels = x.shape[-1:]
    scale = tf.ones(channels, x.dtype) if scale is None else tf.convert_to_tensor(scale)
    offset = tf.zeros(channels, x.dtype) if offset is None else tf.convert_to_tensor(offset)
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=offset, mean=tf.zeros([0], x.dtype), variance=tf.zeros([0], x.dtype),
        epsilon=epsilon, is_training=True,
    )  # fmt: skip
    # The operation returns the variance with Bessel's correction; Keras's layers keep it without.
    count = tf.cast(tf.size(x) // channels[0], x.dtype)
    variance *= tf.maximum(count - 1.0, 1.0) / count
    return y, tf.stop_gradient(mean), tf.stop_gradient(variance)


@tf.custom_gradient
def attend(query, key, value):
    """`softmax(query^T key)` applied to `value`: `(N, D, P)`, `(N, D, P)`, `(N, E, P)` to `(N, P, E)`, float32.

    Its gradient makes two maps of P x P where TensorFlow's makes five: the sum that the softmax's gradient takes off
    every row is that of `out * upstream`, and comes off as one more channel of the product.
    """
    attention = tf.nn.softmax(tf.matmul(tf.transpose(query, (0, 2, 1)), key))
    out = tf.matmul(attention, value, transpose_b=True)

    def gradient(upstream):
        rows = tf.reduce_sum(out * upstream, axis=-1, keepdims=True)
        with_rows = (
            tf.concat([upstream, -rows], axis=-1),
            tf.concat([value, tf.ones_like(value[:, :1])], axis=1),
        )
        d_logits = attention * tf.matmul(*with_rows)
        # Few rows times many columns: many rows times few columns take almost twice as long.
        d_query = tf.matmul(key, d_logits, transpose_b=True)
        d_value = tf.matmul(upstream, attention, transpose_a=True)
        return d_query, tf.matmul(query, d_logits), d_value

    return out, gradient
