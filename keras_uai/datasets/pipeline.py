"""The elements of a data set as a tf.data.Dataset: indices are shuffled, then batches gathered."""

import weakref

import numpy as np
import tensorflow as tf

from keras_uai.datasets.elements import KnownMasks


def make_dataset(elements):
    """A tf.data.Dataset of `keras_uai.datasets.elements.Elements`.

    Only indices are shuffled, so every epoch is a permutation of the whole split however large the
    images are. Epochs are counted by the iterators that are used: the first has the order of
    `elements.start_epoch`, the next the next. The cardinality is known.
    """
    measurement, size = elements.measurement, elements.store.shape[0]
    rows = elements.batch_size if elements.drop_remainder else None
    known = (
        KnownMasks(elements.indices, size, elements.store.folder)
        if measurement is not None
        else None
    )
    calls = _Calls(elements, known)

    def draw(chosen):
        mask = measurement.masks(chosen, size, size, elements.seed)
        return tf.numpy_function(calls.keep, [chosen, mask], tf.float32)

    def clean(chosen):
        images = tf.numpy_function(calls.images, [chosen], tf.uint8)
        images = tf.ensure_shape(images, (rows, *elements.store.shape))
        return tf.cast(images, tf.float32) / 127.5 - 1.0

    def gather(chosen, others=None):
        x = clean(chosen)
        if measurement is None:
            mask = tf.numpy_function(calls.masks, [chosen], tf.float32)
        else:
            mask, is_known = tf.numpy_function(calls.lookup, [chosen], [tf.float32, tf.bool])
            mask = tf.cond(is_known, lambda: mask, lambda: draw(chosen))
        mask = tf.ensure_shape(mask, (rows, size, size, 1))
        y = tf.where(mask > 0.5, x, tf.constant(elements.tau, tf.float32))
        unpaired = None if others is None else clean(others)
        return elements.element(y, mask, x, tf.cast(chosen, tf.int32), unpaired)

    of_indices = tf.TensorSpec((rows,), tf.int64)
    dataset = tf.data.Dataset.from_generator(
        calls.orders,
        output_signature=of_indices if elements.unpaired is None else (of_indices, of_indices),
    )
    cardinality = elements.num_batches
    dataset = dataset.apply(
        tf.data.experimental.assert_cardinality(
            tf.data.INFINITE_CARDINALITY if cardinality is None else np.int64(cardinality)
        )
    )
    dataset = dataset.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset._keras_uai_elements = (elements, known)  # see _Calls
    return dataset


class _Calls:
    """What tf.data calls back.

    TensorFlow keeps the functions of `numpy_function` for as long as the process lives. So they
    hold the images weakly, and the data set holds them: when it goes, they go.
    """

    def __init__(self, elements, known):
        self._elements = weakref.ref(elements)
        self._known = known and weakref.ref(known)
        self._epoch = elements.start_epoch

    def orders(self):
        """Yields the indices of the batches of an epoch, int64 `(B,)`; with unpaired images, pairs
        of these and those.
        """
        elements = self._elements()
        epoch, number = self._epoch, 0
        if not elements.repeat:
            self._epoch += 1
        while elements.num_batches is None or number < elements.num_batches:
            chosen = elements.batch_indices(epoch, number)
            if elements.unpaired is None:
                yield chosen
            else:
                yield chosen, elements.unpaired_indices(epoch, number, len(chosen))
            number += 1

    def images(self, chosen):
        return self._elements().store.gather(chosen)

    def masks(self, chosen):
        return self._elements().store.gather_masks(chosen)

    def lookup(self, chosen):
        return self._known().lookup(chosen)

    def keep(self, chosen, masks):
        return self._known().keep(chosen, masks)
