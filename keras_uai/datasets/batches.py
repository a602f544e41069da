"""NumPy batches as a `keras.utils.PyDataset`, free of TensorFlow: the engine of other backends."""

import concurrent.futures
import itertools
import math
import os

import keras

_AHEAD = 4  # batches made in advance


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
        if self.num_batches is not None and not 0 <= number < self.num_batches:
            raise IndexError(f"There are {self.num_batches} batches. Received: number={number}")
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
        element = self._futures.pop((epoch, number, share)).result()
        return element["observation"] if len(element) == 1 else element


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
