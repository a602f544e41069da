"""The elements of a data set in NumPy, as a `keras.utils.PyDataset`: free of TensorFlow.

This is what `load` returns on the other backends. `keras_uai.datasets.pipeline` makes the same
elements with tf.data.
"""

import collections
import concurrent.futures
import itertools
import math
import os

import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from keras_uai.datasets.elements import KnownMasks, normalize


class Batches(keras.utils.PyDataset, DataAdapter):
    """`Elements` as a `keras.utils.PyDataset`, kept ahead of the training step by a thread.

    Each time it is iterated, by hand or by `fit`, it yields the batches of the next epoch (a look
    at the first batch alone does not count). By hand these are whole; over several processes `fit`
    takes this process's part of each. It is a Keras data adapter too, because `fit` would
    shuffle the batches of a mere `PyDataset` by numbers of its own, and end more epochs than begun.

    Args:
        elements: the `Elements`.
        ahead: number of batches made in advance.
    """

    def __init__(self, elements, ahead=4):
        super().__init__()
        self.elements = elements
        self.epoch = elements.start_epoch
        self.ahead = ahead
        self._draw = None
        if elements.measurement is not None:
            size = elements.store.shape[0]
            self._known = KnownMasks(elements.indices, size, elements.store.folder)
            self._draw = _drawing(
                lambda chosen: elements.measurement.masks(chosen, size, size, elements.seed)
            )

    @property
    def num_batches(self):
        return self.elements.num_batches

    @property
    def batch_size(self):
        return self.elements.batch_size

    def __len__(self):
        if self.num_batches is None:
            raise TypeError("A repeated data set has no length. Received: repeat=True.")
        return self.num_batches

    def __getitem__(self, number):
        """Batch `number` of the epoch that is next; counts nothing."""
        if self.num_batches is not None and not 0 <= number < self.num_batches:
            raise IndexError(f"There are {self.num_batches} batches. Received: number={number}")
        return self.make(self.epoch, number)

    def __iter__(self):
        return self._parts((0, 1))

    def _parts(self, share):
        epoch = self.epoch
        last = math.inf if self.num_batches is None else self.num_batches - 1
        # Keras looks at one batch before it begins, which must not count as an epoch.
        counts_at = None if self.elements.repeat else min(1, last)
        ahead = collections.deque()
        workers = min(self.ahead, max(1, (os.cpu_count() or 1) // 2))
        pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="keras_uai")
        try:
            for number in itertools.count():
                while len(ahead) <= self.ahead and number + len(ahead) <= last:
                    ahead.append(pool.submit(self.make, epoch, number + len(ahead), share))
                if not ahead:
                    return
                element = ahead.popleft().result()
                if number == counts_at:
                    self.epoch = epoch + 1
                yield element
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def make(self, epoch, number, share=(0, 1)):
        """Batch `number` of an epoch; of its rows the part `share[0]` of `share[1]` equal ones."""
        elements = self.elements
        chosen = elements.batch_indices(epoch, number)
        if len(chosen) % share[1]:
            raise ValueError(
                f"A batch must divide among the processes. Received: a batch of {len(chosen)} "
                f"images, {share[1]} processes. Use a batch_size they divide, and "
                "drop_remainder=True."
            )
        others = None
        if elements.unpaired is not None:
            others = elements.unpaired_indices(epoch, number, len(chosen))
            others = normalize(elements.store.gather(np.split(others, share[1])[share[0]]))
        chosen = np.split(chosen, share[1])[share[0]]
        x = normalize(elements.store.gather(chosen))
        mask = self._mask(chosen)
        observed = np.repeat(mask > 0.5, x.shape[-1], axis=-1)  # faster than broadcasting
        y = np.where(observed, x, np.float32(elements.tau))
        return elements.element(y, mask, x, chosen.astype("int32"), others)

    def _mask(self, chosen):
        if self._draw is None:
            return self.elements.store.gather_masks(chosen)
        mask, known = self._known.lookup(chosen)
        return mask if known else self._known.keep(chosen, self._draw(chosen.astype("int32")))

    # -- what Keras calls -------------------------------------------------------------------------

    def get_numpy_iterator(self):
        for element in self._parts(_share_of_process()):
            yield element if isinstance(element, dict) else (element,)

    def get_jax_iterator(self):
        return self.get_numpy_iterator()

    def get_tf_dataset(self):
        from keras_uai.datasets.pipeline import make_dataset

        return make_dataset(self.elements)


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
            "Over several processes only keras.distribution.DataParallel is fed. "
            f"Received: {type(distribution).__name__}"
        )
    return jax.process_index(), jax.process_count()


def _drawing(masks):
    """`masks`, compiled for the host's processor: drawing must not wait for the training step."""
    if keras.backend.backend() != "jax":
        return lambda chosen: keras.ops.convert_to_numpy(masks(chosen))
    import jax

    compiled = jax.jit(masks)
    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # only the accelerator's platform is enabled
        return lambda chosen: np.array(compiled(chosen))

    def draw(chosen):
        with jax.default_device(host):
            return np.array(compiled(chosen))

    return draw
