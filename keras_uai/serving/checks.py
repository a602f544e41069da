"""Checks inside a served graph: what a client can put right comes back as an invalid argument.

Each returns operations to wait for. What they refuse must not be worked on, so callers compute
under `tf.control_dependencies` of them.
"""

import tensorflow as tf


def require(condition, message, *values):
    """An operation that fails with `message` and the values unless `condition` holds."""
    return tf.raw_ops.Assert(
        condition=condition, data=[tf.constant(message + " Received:"), *values], summarize=8
    )


def forget_shape(tensor):
    """`tensor` without what is known of its shape, so that checks of it are not folded away.

    Servers do not compare what they are fed with the signature's shapes; the graph must.
    """
    return tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))


def after(operations, tensors, shapes):
    """`tensors` once `operations` have passed, with the static `shapes`."""
    with tf.control_dependencies(operations):
        return [tf.ensure_shape(t, shape) for t, shape in zip(tensors, shapes, strict=True)]


def passed(operations, *tensors):
    """`tensors` once `operations` have passed."""
    with tf.control_dependencies(operations):
        return [tf.identity(tensor) for tensor in tensors]


def images(image, mask, channels, limits):
    """`image` `(N, h, w, channels)` and `mask` `(N, h, w, 1)` with these shapes, or an error."""
    image, mask = forget_shape(image), forget_shape(mask)
    image_shape, mask_shape = tf.shape(image), tf.shape(mask)
    rank = require(
        tf.equal(tf.size(image_shape), 4) & tf.equal(tf.size(mask_shape), 4),
        f"`image` must have the shape (N, h, w, {channels}) and `mask` the shape (N, h, w, 1).",
        image_shape,
        mask_shape,
    )
    with tf.control_dependencies([rank]):
        image_shape, mask_shape = tf.identity(image_shape), tf.identity(mask_shape)
        wanted = tf.concat([image_shape[:3], [1]], axis=0)
    checks = [
        require(
            tf.reduce_all(image_shape > 0) & tf.equal(image_shape[-1], channels),
            f"`image` must have the shape (N, h, w, {channels}), and nothing of it may be 0.",
            image_shape,
        ),
        require(
            tf.reduce_all(tf.equal(mask_shape, wanted)),
            "`mask` must have the shape of the images with one channel, (N, h, w, 1).",
            mask_shape,
            "for images of",
            image_shape,
        ),
        few_pixels(image_shape[1], image_shape[2], limits),
    ]
    return after(checks, (image, mask), ((None, None, None, channels), (None, None, None, 1)))


def few_pixels(height, width, limits):
    """Fails for images of too many pixels."""
    size = tf.cast(height, "int64") * tf.cast(width, "int64")
    return require(
        (size > 0) & (size <= limits.max_pixels),
        f"An image may have {limits.max_pixels} pixels at most, and has one at least: send a "
        "smaller one, or parts of it.",
        height,
        width,
    )


def vector(tensor, count, name):
    """`tensor` `(N,)`, or an error."""
    tensor = forget_shape(tensor)
    check = require(
        tf.reduce_all(tf.equal(tf.shape(tensor)[:2], count[None]))
        & tf.equal(tf.size(tf.shape(tensor)), 1),
        f"`{name}` must hold one value an image, shape (N,).",
        tf.shape(tensor),
        "for N =",
        count,
    )
    return after([check], [tensor], [(None,)])[0]


def counts(num_samples, pixels, limits):
    """Operations that fail where `num_samples` `(N,)` is out of range, or too much in all.

    `pixels`: of each image, `(N,)` or a scalar.
    """
    most = tf.reduce_max(num_samples)
    return [
        require(
            tf.reduce_all((num_samples >= 1) & (num_samples <= limits.max_samples)),
            f"`num_samples` must lie in [1, {limits.max_samples}].",
            num_samples,
        ),
        require(
            tf.reduce_sum(tf.cast(pixels, "int64") + tf.zeros_like(num_samples, "int64"))
            * tf.cast(most, "int64")
            <= limits.max_answer_pixels,
            f"The samples of a request may have {limits.max_answer_pixels} pixels at most: ask for "
            "fewer samples, or send fewer or smaller images at a time.",
            num_samples,
            "samples of images with these pixels:",
            pixels,
        ),
    ]


def observed(image, mask):
    """Operations that fail for masks other than 0 and 1, and for observed pixels out of range."""
    largest = tf.reduce_max(tf.abs(tf.where(mask > 0.5, image, tf.zeros_like(image))))
    return [
        require(
            tf.reduce_all(tf.equal(mask, 0.0) | tf.equal(mask, 1.0)),
            "`mask` holds 1 where a pixel is observed and 0 where it is missing.",
            tf.reduce_min(mask),
            tf.reduce_max(mask),
        ),
        require(
            # NaN hides in a maximum, on some devices.
            (largest <= 1.0 + 1e-6) & tf.reduce_all(tf.math.is_finite(image) | (mask < 0.5)),
            "Observed pixels must be finite and lie in [-1, 1] (v / 127.5 - 1 for 8-bit v). "
            "The largest of their absolute values:",
            largest,
        ),
    ]
