"""The elements of a data set as a tf.data.Dataset: shuffled indices first, then whole batches
gathered and damaged.
"""

import numpy as np
import tensorflow as tf

from keras_uai.datasets.batches import KnownMasks


def make_dataset(elements):
    """A tf.data.Dataset of `keras_uai.datasets.batches.Elements`.

    Only indices are shuffled, so every epoch is a permutation of the whole split however large
    the images are. Epochs
    are counted by the iterators made of the data set: the first has the order of
        `elements.start_epoch`, the next the
    next. The cardinality is known.
    """
    store, measurement = elements.store, elements.measurement
    size, _, channels = store.shape
    rows = elements.batch_size if elements.drop_remainder else None
    known = None if measurement is None else KnownMasks(elements.indices, size)
    iterators = iter(range(elements.start_epoch, 2**31))

    def orders():
        epoch = elements.start_epoch if elements.repeat else next(iterators)
        number, last = 0, elements.num_batches
        while last is None or number < last:
            yield elements.batch_indices(epoch, number)
            number += 1

    def draw(chosen):
        mask = measurement.masks(chosen, size, size, elements.seed)
        return tf.numpy_function(known.keep, [chosen, mask], tf.float32)

    def gather(chosen):
        images = tf.numpy_function(store.gather, [chosen], tf.uint8, stateful=False)
        images.set_shape((rows, size, size, channels))
        x = tf.cast(images, tf.float32) / 127.5 - 1.0
        if measurement is None:
            mask = tf.numpy_function(store.gather_masks, [chosen], tf.float32, stateful=False)
        else:
            mask, is_known = tf.numpy_function(known.lookup, [chosen], [tf.float32, tf.bool])
            mask = tf.cond(is_known, lambda: mask, lambda: draw(chosen))
        mask = tf.ensure_shape(mask, (rows, size, size, 1))
        y = tf.where(mask > 0.5, x, tf.constant(elements.tau, tf.float32))
        element = {"observation": y}
        if elements.explicit_mask:
            element["mask"] = mask
        if elements.clean:
            element["clean"] = x
        if elements.index:
            element["index"] = tf.cast(chosen, tf.int32)
        return element if len(element) > 1 else y

    dataset = tf.data.Dataset.from_generator(
        orders, output_signature=tf.TensorSpec((rows,), tf.int64)
    )
    cardinality = elements.num_batches
    dataset = dataset.apply(
        tf.data.experimental.assert_cardinality(
            tf.data.INFINITE_CARDINALITY if cardinality is None else np.int64(cardinality)
        )
    )
    dataset = dataset.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE)
