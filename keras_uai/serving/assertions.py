"""Checks inside a served graph. Requests that fail them are invalid arguments.

Each function returns operations to wait for. TensorFlow runs what does not depend on a check at
the same time as the check, so callers compute under `tf.control_dependencies`, see `after`.
"""

import tensorflow as tf


def require(condition, message, *values):
    """Returns an operation that fails with `message` and `values` unless `condition` holds."""
    data = [tf.constant(f"{message} Received:"), *values]
    return tf.raw_ops.Assert(condition=condition, data=data, summarize=8)


def forget_shape(tensor):
    """Returns `tensor` without its static shape, so that checks of the shape stay in the graph.

    Servers do not compare the arrays they are fed with a signature's shapes.
    """
    return tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))


def after(operations, *tensors):
    """Returns `tensors`, to be used once `operations` have passed."""
    with tf.control_dependencies(operations):
        return [tf.identity(tensor) for tensor in tensors]


def images(image, mask, contract):
    """Checks the shapes of a batch.

    Args:
        image: `(N, H, W, C)`.
        mask: `(N, H, W, M)`.
        contract: a `Contract`.

    Returns:
        `image` and `mask` with the static shapes of the contract.
    """
    image = forget_shape(image)
    mask = forget_shape(mask)
    height, width, channels = contract.image_shape
    wanted = [-1, height or -1, width or -1, channels]
    sides = ", ".join(("N", str(height or "H"), str(width or "W")))
    rank = require(
        tf.equal(tf.rank(image), 4) & tf.equal(tf.rank(mask), 4),
        f"Images must have the shape ({sides}, {channels}) and masks the shape "
        f"({sides}, {contract.mask_channels}).",
        tf.shape(image),
        tf.shape(mask),
    )
    # Four numbers each, since the next checks run at the same time.
    image_shape, mask_shape = (
        tf.concat([tf.shape(tensor), [0] * 4], axis=0)[:4] for tensor in (image, mask)
    )
    fits = tf.equal(image_shape, wanted) | tf.equal(wanted, -1)
    checks = [
        require(
            tf.reduce_all(fits & (image_shape > 0)),
            f"Images must have the shape ({sides}, {channels}), without an axis of length 0.",
            image_shape,
        ),
        require(
            tf.reduce_all(tf.equal(mask_shape[:3], image_shape[:3]))
            & tf.equal(mask_shape[3], contract.mask_channels),
            f"Masks must have the size of their images and {contract.mask_channels} channels.",
            mask_shape,
            "for images of",
            image_shape,
        ),
        few_pixels(image_shape[1], image_shape[2], contract.limits),
    ]
    image, mask = after([rank, *checks], image, mask)
    static = (None, height, width)
    return (
        tf.ensure_shape(image, (*static, channels)),
        tf.ensure_shape(mask, (*static, contract.mask_channels)),
    )


def few_pixels(height, width, limits):
    """Checks the number of pixels of an image."""
    size = tf.cast(height, "int64") * tf.cast(width, "int64")
    return require(
        (size > 0) & (size <= limits.max_pixels),
        f"An image must have 1 to {limits.max_pixels} pixels: send it in parts, or scaled down.",
        height,
        width,
    )


def rows(tensor, count, name, width=None):
    """Returns `tensor`, checked to have the shape `(count,)`, or `(count, width)`."""
    tensor = forget_shape(tensor)
    shape = [count] if width is None else [count, width]
    text = "(N,)" if width is None else f"(N, {width})"
    right = tf.equal(tf.size(tf.shape(tensor)), len(shape))
    right &= tf.reduce_all(tf.equal(tf.shape(tensor)[: len(shape)], shape[: len(shape)]))
    check = require(
        right,
        f"`{name}` must have one row an image, shape {text}.",
        tf.shape(tensor),
        "for N =",
        count,
    )
    (tensor,) = after([check], tensor)
    return tf.ensure_shape(tensor, (None,) if width is None else (None, width))


def counts(num_samples, pixels, limits):
    """Checks the numbers of samples.

    Args:
        num_samples: int32 `(N,)`.
        pixels: numbers of pixels of the images, a scalar or `(N,)`.
        limits: `Limits`.
    """
    # Every image's samples take the room of the largest number.
    total = tf.reduce_sum(tf.cast(pixels, "int64") + tf.zeros_like(num_samples, "int64"))
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


def observed(image, mask, bounded):
    """Checks float images: masks of 0 and 1, observed values finite and, if `bounded`, in range."""
    seen = tf.where(mask > 0.5, image, tf.zeros_like(image))
    largest = tf.reduce_max(tf.abs(seen))
    checks = [
        require(
            tf.reduce_all(tf.equal(mask, 0.0) | tf.equal(mask, 1.0)),
            "Masks must hold 1 where a value is observed and 0 where it is missing.",
            tf.reduce_min(mask),
            tf.reduce_max(mask),
        ),
        require(
            tf.reduce_all(tf.math.is_finite(seen)),
            "Observed values must be finite. The largest of their absolute values:",
            largest,
        ),
    ]
    if bounded:
        checks.append(
            require(
                ~(largest > 1.0 + 1e-6),
                "Observed values must lie in [-1, 1] (v / 127.5 - 1 for 8-bit v). The largest of "
                "their absolute values:",
                largest,
            )
        )
    return checks


def byte_masks(mask):
    """Checks uint8 masks: each image's hold 0 and 1, or 0 and 255."""
    high = tf.reduce_max(mask, axis=(1, 2, 3), keepdims=True)
    known = tf.equal(mask, 0) | (tf.equal(mask, high) & (tf.equal(high, 1) | tf.equal(high, 255)))
    return [
        require(
            tf.reduce_all(known),
            "Masks must hold 0 where a value is missing, and 1 or 255 where it is observed. "
            "Their largest values:",
            tf.reshape(high, [-1]),
        )
    ]
