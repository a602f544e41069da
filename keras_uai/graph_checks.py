"""The rules of `checks` for masks and values as operations of TensorFlow graphs.

What fails them is an invalid argument (`tf.errors.InvalidArgumentError`).
"""

import tensorflow as tf

from keras_uai import checks


def require(condition, message, *values):
    """Returns an operation that fails with `message` and `values` unless `condition` holds."""
    data = [tf.constant(f"{message} Received:"), *values]
    return tf.raw_ops.Assert(condition=condition, data=data, summarize=8)


def mask_values(mask, observed=(1.0,)):
    """Checks a float mask: 0 where a value is missing, and one of `observed` everywhere else."""
    low, high = tf.reduce_min(mask), tf.reduce_max(mask)
    fits = tf.reduce_all((mask == 0.0) | (mask == high)) & tf.reduce_any(high == (0.0, *observed))
    return require(fits, checks.mask_rule(), low, high)


def observed_values(images, seen, name, bounded):
    """Checks floats where `seen`: finite and, if `bounded`, in [-1, 1]."""
    values = tf.where(seen, images, tf.zeros_like(images))
    largest = tf.reduce_max(tf.abs(values))
    fits = tf.reduce_all(tf.math.is_finite(values))
    if bounded:
        fits &= largest <= checks.LARGEST
    rule = checks.value_rule(name, bounded)
    return require(fits, rule, largest, "as the largest absolute value")
