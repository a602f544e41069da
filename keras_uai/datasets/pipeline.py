"""The elements of a data set as a tf.data.Dataset."""

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
    calls = _Calls(elements)
    signature = elements.signature
    dtypes = [dtype for _, dtype in signature.values()]

    def make(epoch, number):
        arrays = tf.numpy_function(calls.make, [epoch, number], dtypes)
        pairs = zip(signature.items(), arrays, strict=True)
        element = {name: tf.ensure_shape(array, shape) for (name, (shape, _)), array in pairs}
        return element["observation"] if len(element) == 1 else element

    number = tf.TensorSpec((), tf.int64)
    dataset = tf.data.Dataset.from_generator(calls.numbers, output_signature=(number, number))
    cardinality = tf.data.INFINITE_CARDINALITY
    if elements.num_batches is not None:
        cardinality = np.int64(elements.num_batches)
    if not elements.start_batch:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(cardinality))
    dataset = dataset.map(make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset._keras_uai_elements = elements  # see _Calls
    return dataset


class _Calls:
    """What tf.data calls back.

    TensorFlow keeps the functions of `numpy_function` for as long as the process lives. So they
    hold the images weakly, and the data set holds them: when it goes, they go.
    """

    def __init__(self, elements):
        self._elements = weakref.ref(elements)
        self._epoch = elements.start_epoch
        self._start = elements.start_batch

    def numbers(self):
        """Yields epoch and number of each batch of the next epoch."""
        elements = self._elements()
        epoch, number = self._epoch, self._start
        if not elements.repeat:
            self._epoch += 1
            self._start = 0
        while elements.num_batches is None or number < elements.num_batches:
            yield epoch, number
            number += 1

    def make(self, epoch, number):
        return list(self._elements().make(int(epoch), int(number)).values())
