"""The elements of a data set as a tf.data.Dataset."""

import itertools
import weakref

import numpy as np
import tensorflow as tf


def make_dataset(elements):
    """Returns a tf.data.Dataset of `keras_uai.datasets.elements.Elements`.

    Only numbers of batches travel through tf.data; several batches are made at a time, in order.
    Epochs are counted by the iterators that are used: the first has the order of
    `elements.start_epoch`, the next the next. The cardinality is known, unless the first epoch is
    a part of one (`start_batch`).
    """
    # TensorFlow keeps the functions of `numpy_function` for as long as the process lives. So they
    # hold the images weakly, and the data set holds them: when it goes, they go.
    reference = weakref.ref(elements)
    epoch, first = elements.start_epoch, elements.start_batch
    signature, num_batches = elements.signature, elements.num_batches
    dtypes = [dtype for _, dtype in signature.values()]

    def numbers():
        """Yields epoch and number of each batch of the next epoch."""
        nonlocal epoch, first
        if num_batches is None:
            yield from ((epoch, number) for number in itertools.count(first))
        this, start, epoch, first = epoch, first, epoch + 1, 0
        yield from ((this, number) for number in range(start, num_batches))

    def arrays_of(*numbers):
        return list(reference().make(*map(int, numbers)).values())

    def make(epoch, number):
        arrays = tf.numpy_function(arrays_of, [epoch, number], dtypes)
        pairs = zip(signature.items(), arrays, strict=True)
        element = {name: tf.ensure_shape(array, shape) for (name, (shape, _)), array in pairs}
        return element["observation"] if len(element) == 1 else element

    number = tf.TensorSpec((), tf.int64)
    dataset = tf.data.Dataset.from_generator(numbers, output_signature=(number, number))
    cardinality = tf.data.INFINITE_CARDINALITY if num_batches is None else np.int64(num_batches)
    if not elements.start_batch:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(cardinality))
    dataset = dataset.map(make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset._keras_uai_elements = elements
    return dataset
