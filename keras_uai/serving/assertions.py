"""Checks inside a served graph. Requests that fail them are invalid arguments.

TensorFlow runs what does not depend on a check at the same time as the check, so callers compute
with the tensors that `after` and `shaped` return.
"""

import tensorflow as tf

from keras_uai.graph_checks import require


def after(checks, *tensors):
    """Returns `tensors`, to be used once `checks` have passed."""
    with tf.control_dependencies(checks):
        return [tf.identity(tensor) for tensor in tensors]


def shaped(tensor, name, shape):
    """Returns the input `name` after a check of its shape, which servers leave to the graph.

    The axes in `shape` are integers, scalar tensors, or None for any length of at least 1.
    """
    # Without a static shape, so that the check stays in the graph.
    tensor = tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))
    static = [None if tf.is_tensor(axis) else axis for axis in shape]
    wanted = tf.stack([-1 if axis is None else axis for axis in shape])
    found = tf.concat([tf.shape(tensor), tf.zeros_like(wanted)], axis=0)[: len(shape)]
    axes = [str(axis or letter) for axis, letter in zip(static, "NHWC", strict=False)]
    check = require(
        tf.equal(tf.size(tf.shape(tensor)), len(shape))
        & tf.reduce_all(tf.equal(found, wanted) | ((wanted < 0) & (found > 0))),
        f"`{name}` must have the shape ({', '.join(axes)}), without an axis of length 0.",
        tf.shape(tensor),
        "where this is right (-1: any length):",
        wanted,
    )
    return tf.ensure_shape(after([check], tensor)[0], static)


def sizes(height, width, limits):
    """Checks the sizes of images, scalars or `(N,)`."""
    height, width = tf.cast(height, "int64"), tf.cast(width, "int64")
    return require(
        tf.reduce_all((height > 0) & (width > 0) & (height * width <= limits.max_pixels)),
        f"An image must have 1 to {limits.max_pixels} pixels: send it in parts, or scaled down.",
        height,
        width,
    )


def counts(num_samples, pixels, limits):
    """Checks the numbers of samples `(N,)` of images of some numbers of pixels `(N,)`."""
    # Every image's samples take the room of the largest number.
    total = tf.reduce_sum(tf.cast(pixels, "int64"))
    total *= tf.cast(tf.reduce_max(num_samples), "int64")
    return [
        require(
            tf.reduce_all((num_samples >= 1) & (num_samples <= limits.max_samples)),
            f"`num_samples` must lie in [1, {limits.max_samples}].",
            num_samples,
        ),
        require(
            total <= limits.max_answer_pixels,
            f"All samples of a request must have at most {limits.max_answer_pixels} pixels: ask "
            "for fewer samples, or send fewer or smaller images at a time.",
            num_samples,
            "samples of images with these pixels:",
            pixels,
        ),
    ]
