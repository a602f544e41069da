"""Resizing of damaged images inside a served graph: nothing bleeds across the edge of the damage.

As data sets are resized (`keras_uai.datasets.imagefile`): the mean over the area that a pixel
covers where the image shrinks, linear interpolation where it grows. But only what was observed
counts: a value is the mean of the *observed* pixels under it, and it is missing where it sees less
than half a pixel. (Data sets drop a pixel that touches any damage. A trained model has no use for
it; whoever sends one photograph has no other.)
"""

import tensorflow as tf


def matrix(source, target):
    """The weights of `source` pixels in each of `target` pixels along one axis, rows sum to 1."""
    source, target = tf.cast(source, "float32"), tf.cast(target, "float32")
    scale = source / target
    row = tf.range(target)[:, None]
    column = tf.range(source)[None, :]
    start, end = row * scale, (row + 1.0) * scale
    area = tf.maximum(tf.minimum(end, column + 1.0) - tf.maximum(start, column), 0.0) / scale
    center = tf.clip_by_value((row + 0.5) * scale - 0.5, 0.0, source - 1.0)
    linear = tf.maximum(1.0 - tf.abs(center - column), 0.0)
    return tf.where(target <= source, area, linear)


def resample(image, height, width):
    """`image` `(N, h, w, C)` as `(N, height, width, C)`."""
    n, h, w, c = tf.unstack(tf.shape(image))
    rows, columns = matrix(h, height), matrix(w, width)
    image = tf.linalg.matmul(rows, tf.reshape(image, (n, h, w * c)))
    image = tf.linalg.matmul(columns, tf.reshape(image, (n * height, w, c)))
    return tf.reshape(image, (n, height, width, c))


def observe(image, mask, size, tau):
    """A damaged image at the model's size.

    Args:
        image: `(N, h, w, C)`; what lies under the mask is not looked at.
        mask: `(N, h, w, 1)`, 1 = observed.
        size: `(height, width)` of the model.
        tau: value of missing pixels.

    Returns:
        `(y, mask)` of that size; of images that have it already, bit-equal to what was given.
    """
    height, width = size
    kept = tf.where(mask > 0.5, image, tf.zeros_like(image))

    def same():
        return tf.where(mask > 0.5, image, tf.fill(tf.shape(image), tau)), mask

    def other():
        h, w = tf.shape(image)[1], tf.shape(image)[2]
        both = resample(tf.concat([kept, mask], axis=-1), height, width)
        share = both[..., -1:]
        pixels = tf.maximum(h / height, 1.0) * tf.maximum(w / width, 1.0)
        seen = share * tf.cast(pixels, "float32") >= 0.5 - 1e-4
        mean = tf.clip_by_value(both[..., :-1] / tf.maximum(share, 1e-6), -1.0, 1.0)
        return tf.where(seen, mean, tf.fill(tf.shape(mean), tau)), tf.cast(seen, "float32")

    y, seen = tf.cond(_has_size(image, size), same, other)
    return (
        tf.ensure_shape(y, (None, height, width, image.shape[-1])),
        tf.ensure_shape(seen, (None, height, width, 1)),
    )


def answer(samples, height, width):
    """`samples` `(N, K, H, W, C)` as `(N, K, height, width, C)`; the same bits at the same size."""
    shape = tf.shape(samples)
    n, k, c = shape[0], shape[1], samples.shape[-1]

    def other():
        flat = tf.reshape(samples, (n * k, shape[2], shape[3], c))
        return tf.reshape(resample(flat, height, width), (n, k, height, width, c))

    same = tf.equal(height, samples.shape[2]) & tf.equal(width, samples.shape[3])
    return tf.cond(same, lambda: samples, other)


def _has_size(image, size):
    shape = tf.shape(image)
    return tf.equal(shape[1], size[0]) & tf.equal(shape[2], size[1])
