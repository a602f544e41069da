"""The elements of a data set in NumPy: their order, their masks, and a `keras.utils.PyDataset` of
them.

Free of TensorFlow: this is what `load` returns on the other backends.
`keras_uai.datasets.pipeline` makes the same elements with tf.data.
"""

import concurrent.futures
import threading

import keras
import numpy as np

from keras_uai.datasets import hashing

_STREAM = 2  # of the seed's random numbers (splits: 1)


def normalize(images):
    """uint8 to float32 in [-1, 1], `v / 127.5 - 1`."""
    x = images.astype("float32")
    x /= np.float32(127.5)
    x -= np.float32(1.0)
    return x


class Elements:
    """Which images, in which order, damaged how: everything about a data set but the engine that
    feeds it.

    Args:
        store: a `keras_uai.datasets.store.Store`.
        indices: int64, ascending: the images of the split that can be used.
        measurement: a `Measurement`, or None where the store has masks.
        batch_size, seed, shuffle, repeat, drop_remainder, clean, index, start_epoch: see
            `keras_uai.datasets.load`.
    """

    def __init__(
        self,
        store,
        indices,
        measurement,
        batch_size,
        seed,
        *,
        shuffle,
        repeat=False,
        drop_remainder=None,
        clean=False,
        index=False,
        start_epoch=0,
    ):
        self.store = store
        self.indices = indices
        self.measurement = measurement
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.repeat = repeat
        self.clean = clean
        self.index = index
        self.start_epoch = start_epoch
        self.tau = 0.0 if measurement is None else measurement.tau
        # T(y) is exact unless tau is one of the 256 values a pixel can have: then the mask goes
        # along.
        self.explicit_mask = measurement is None or bool(
            (np.float32(self.tau) == normalize(np.arange(256))).any()
        )
        count = len(indices)
        if drop_remainder and count < batch_size:
            raise ValueError(
                f"There is no full batch. Received: batch_size={batch_size}, "
                f"drop_remainder=True, {count} images. Use "
                f"a batch_size of at most {count}, or drop_remainder=False."
            )
        if drop_remainder is None:
            drop_remainder = bool(shuffle) and count >= batch_size
        self.drop_remainder = drop_remainder or repeat
        self._orders = {}
        self._lock = threading.Lock()

    @property
    def num_batches(self):
        """Batches an epoch; None when repeated without end."""
        if self.repeat:
            return None
        full, rest = divmod(len(self.indices), self.batch_size)
        return full + bool(rest and not self.drop_remainder)

    def order(self, epoch):
        """The indices in the order of an epoch: a permutation of all of them, by (seed, epoch)."""
        if not self.shuffle:
            return self.indices
        with self._lock:
            if epoch not in self._orders:
                ranks = hashing.bits(self.seed, _STREAM, epoch, self.indices)
                while len(self._orders) > 1:
                    self._orders.pop(min(self._orders))
                self._orders[epoch] = self.indices[np.argsort(ranks, kind="stable")]
            return self._orders[epoch]

    def batch_indices(self, epoch, number):
        """The indices of batch `number` of an epoch, int64 `(B,)`; when repeated, of the stream
        from that epoch on.
        """
        start = number * self.batch_size
        if not self.repeat:
            return self.order(epoch)[start : start + self.batch_size]
        chosen, count = [], len(self.indices)
        while sum(map(len, chosen)) < self.batch_size:
            lap, offset = divmod(start + sum(map(len, chosen)), count)
            need = self.batch_size - sum(map(len, chosen))
            chosen.append(self.order(epoch + lap)[offset : offset + need])
        return np.concatenate(chosen)


class Batches(keras.utils.PyDataset):
    """`Elements` as a `keras.utils.PyDataset`, kept ahead of the training step by a thread.

    Iterating it yields the batches of one epoch, the next time those of the next; `fit` does the
    same.

    Args:
        elements: the `Elements`.
        ahead: number of batches made in advance.
    """

    def __init__(self, elements, ahead=4):
        super().__init__()
        self.elements = elements
        self.epoch = elements.start_epoch
        self.ahead = ahead
        self._pool = concurrent.futures.ThreadPoolExecutor(
            1, thread_name_prefix="keras_uai_batches"
        )
        self._pending = {}
        self._draw = None
        if elements.measurement is not None:
            size = elements.store.shape[0]
            self._known = KnownMasks(elements.indices, size)
            self._draw = _drawing(
                lambda chosen: elements.measurement.masks(chosen, size, size, elements.seed)
            )

    @property
    def num_batches(self):
        return self.elements.num_batches

    def __len__(self):
        if self.num_batches is None:
            raise TypeError("A repeated data set has no length. Received: repeat=True.")
        return self.num_batches

    def __iter__(self):
        epoch, number = self.epoch, 0
        if not self.elements.repeat:
            self.epoch += 1
        while self.num_batches is None or number < self.num_batches:
            yield self._take(epoch, number)
            number += 1

    def __getitem__(self, number):
        if self.num_batches is not None and not 0 <= number < self.num_batches:
            raise IndexError(f"Batch {number} of {self.num_batches}.")
        return self._take(self.epoch, number)

    def on_epoch_end(self):
        if not self.elements.repeat:
            self.epoch += 1

    def make(self, epoch, number):
        """The element itself: float32 `y`, or a dict (see `keras_uai.datasets.load`)."""
        elements = self.elements
        chosen = elements.batch_indices(epoch, number)
        x = normalize(elements.store.gather(chosen))
        mask = self._mask(chosen)
        observed = np.repeat(mask > 0.5, x.shape[-1], axis=-1)  # faster than broadcasting
        y = np.where(observed, x, np.float32(elements.tau))
        element = {"observation": y}
        if elements.explicit_mask:
            element["mask"] = mask
        if elements.clean:
            element["clean"] = x
        if elements.index:
            element["index"] = chosen.astype("int32")
        return element if len(element) > 1 else y

    def _mask(self, chosen):
        if self._draw is None:
            return self.elements.store.gather_masks(chosen)
        mask, known = self._known.lookup(chosen)
        return mask if known else self._known.keep(chosen, np.array(self._draw(chosen)))

    def _take(self, epoch, number):
        """One element, and the next ones ordered."""
        wanted = list(self._following(epoch, number))
        pending = {at: self._pending.get(at) or self._pool.submit(self.make, *at) for at in wanted}
        for at in self._pending.keys() - pending.keys():
            self._pending[at].cancel()
        self._pending = pending
        return self._pending.pop((epoch, number)).result()

    def _following(self, epoch, number):
        for _ in range(self.ahead + 1):
            yield epoch, number
            number += 1
            if self.num_batches is not None and number >= self.num_batches:
                epoch, number = epoch + 1, 0


class KnownMasks:
    """The masks of images, remembered as bits once they are drawn: an image is damaged once.

    Drawing costs more than all else that is done to an image (DropPixel sorts its pixels), so from
    the second epoch on a batch is several times as fast.

    Args:
        indices: int64, ascending: the images.
        size: side of an image in pixels.
    """

    def __init__(self, indices, size):
        self.indices, self.size = indices, size
        self.packed = np.empty((len(indices), -(-size * size // 8)), "uint8")
        self.known = np.zeros((len(indices),), bool)

    def lookup(self, chosen):
        """`(masks, True)`, float32 `(N, S, S, 1)`; or `(none, False)` where one is not known."""
        rows = np.searchsorted(self.indices, chosen)
        known = bool(self.known[rows].all())
        packed = self.packed[rows] if known else self.packed[:0]
        flat = np.unpackbits(packed, axis=1, count=self.size**2)
        return flat.reshape(-1, self.size, self.size, 1).astype("float32"), known

    def keep(self, chosen, masks):
        """Remembers the masks of `chosen`, and returns them."""
        rows = np.searchsorted(self.indices, chosen)
        self.packed[rows] = np.packbits(masks.reshape(len(chosen), -1) > 0.5, axis=1)
        self.known[rows] = True
        return masks


def _drawing(masks):
    """`masks` compiled, for the host's processor: drawing must not wait for the training step."""
    if keras.backend.backend() != "jax":
        return lambda chosen: keras.ops.convert_to_numpy(masks(chosen.astype("int32")))
    import jax

    compiled = jax.jit(masks)
    try:
        host = jax.devices("cpu")[0]
    except RuntimeError:  # only the accelerator's platform is enabled
        return lambda chosen: compiled(chosen.astype("int32"))

    def draw(chosen):
        with jax.default_device(host):
            return compiled(chosen.astype("int32"))

    return draw
