"""What feeds `Elements` to a model: a `tf.data.Dataset`, or a `keras.utils.PyDataset`."""

import concurrent.futures
import itertools
import math
import os
import weakref

import keras
import numpy as np

_AHEAD = 4  # batches made in advance


def make_dataset(elements):
    """Returns a `tf.data.Dataset` of `Elements`.

    Only numbers of batches travel through tf.data; several batches are made at a time, in order.
    Epochs are counted by the iterators that are used: the first has the order of
    `elements.start_epoch`, the next the next. The cardinality is known, unless the first epoch is
    a part of one (`start_batch`).
    """
    import tensorflow as tf

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
        return _plain({name: tf.ensure_shape(array, shape) for (name, (shape, _)), array in pairs})

    number = tf.TensorSpec((), tf.int64)
    dataset = tf.data.Dataset.from_generator(numbers, output_signature=(number, number))
    cardinality = tf.data.INFINITE_CARDINALITY if num_batches is None else np.int64(num_batches)
    if not elements.start_batch:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(cardinality))
    dataset = dataset.map(make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset._keras_uai_elements = elements
    return dataset


def _plain(element):
    return element["observation"] if len(element) == 1 else element


class Batches(keras.utils.PyDataset):
    """`Elements` as a `keras.utils.PyDataset`; threads make batches ahead of the training step.

    Each time it is iterated, by hand or by `fit`, it yields the batches of the next epoch. By hand
    these are whole batches; over several processes `fit` and `stream` take this process's part of
    each. Keras reorders the batches of an epoch by numbers of its own unless `fit` is told
    `shuffle=False`.
    """

    def __init__(self, elements):
        super().__init__()
        self.elements = elements
        self.epoch = elements.start_epoch
        self._seen = 0  # batches of this epoch that Keras took
        self._last = -1
        self._futures = {}
        workers = max(1, min(_AHEAD, (os.cpu_count() or 1) // 2))
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="keras_uai")

    @property
    def num_batches(self):
        return self.elements.num_batches

    def __len__(self):
        if self.num_batches is None:
            raise TypeError("A repeated data set has no length. Received: repeat=True")
        return self.num_batches

    def __iter__(self, share=(0, 1)):
        epoch, first = self.epoch, 0
        if epoch == self.elements.start_epoch:
            first = self.elements.start_batch
        self.epoch += not self.elements.repeat
        numbers = itertools.count(first) if self.num_batches is None else range(first, len(self))
        for number in numbers:
            yield self._take(epoch, number, share)

    def stream(self):
        """Yields the batches of one epoch after the other; this process's part of each."""
        share = _share_of_process()
        while True:
            yield from self.__iter__(share)

    def __getitem__(self, number):
        """Batch `number` of the epoch that is next; over several processes this one's part."""
        self._seen += 1
        return self._take(self.epoch, number, _share_of_process())

    def on_epoch_end(self):
        # Keras takes one batch before it begins, which must not count as an epoch.
        if self.num_batches is not None and self._seen >= min(2, self.num_batches):
            self.epoch += 1
        self._seen = 0

    def _take(self, epoch, number, share):
        """One batch. Where they are taken in their order, the next ones are made meanwhile."""
        orderly = number in (0, self.elements.start_batch, self._last + 1)
        self._last = number
        last = math.inf if self.num_batches is None else self.num_batches - 1
        wanted = range(number, min(number + _AHEAD * orderly, last) + 1)
        self._futures = {
            n: self._futures.get(n) or self._pool.submit(self.elements.make, *n)
            for n in ((epoch, n, share) for n in wanted)
        }
        return _plain(self._futures.pop((epoch, number, share)).result())


def _share_of_process():
    """Which of how many equal parts of a global batch this process feeds to the accelerators.

    Under `keras.distribution.DataParallel` over several processes each gives its part; all make the
    same orders, so that together they give the batch that one process would.
    """
    distribution = keras.distribution.distribution()
    if distribution is None or keras.backend.backend() != "jax":
        return 0, 1
    import jax

    if jax.process_count() == 1:
        return 0, 1
    if not isinstance(distribution, keras.distribution.DataParallel):
        raise ValueError(
            "Over several processes the distribution must be keras.distribution.DataParallel. "
            f"Received: {type(distribution).__name__}"
        )
    return jax.process_index(), jax.process_count()
