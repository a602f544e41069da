"""What a data set holds, apart from the engine that feeds it: order, masks, form of an element."""

import tempfile
import threading

import numpy as np

from keras_uai.datasets import hashing

_STREAM, _UNPAIRED_STREAM = 2, 4  # of the seed's random numbers (splits: 1, 3)


def normalize(images):
    """uint8 to float32 in [-1, 1], `v / 127.5 - 1`."""
    x = images.astype("float32")
    x /= np.float32(127.5)
    x -= np.float32(1.0)
    return x


class Elements:
    """Which images, in which order, damaged how: all of a data set but the engine that feeds it.

    Args:
        store: a `keras_uai.datasets.store.Store`.
        indices: int64, ascending: the images of the split that can be used.
        measurement: a `Measurement`, or None where the store has masks.
        unpaired: int64, ascending: the images that batches hold clean beside the damaged ones, or None.
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
        unpaired=None,
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
        self.unpaired = unpaired
        self.start_epoch = start_epoch
        self.tau = 0.0 if measurement is None else measurement.tau
        # T(y) is exact unless tau is one of the 256 values of a pixel: then the mask goes along.
        self.explicit_mask = measurement is None or bool(
            (np.float32(self.tau) == normalize(np.arange(256))).any()
        )
        count = len(indices)
        if drop_remainder and count < batch_size:
            raise ValueError(
                f"There is no full batch. Received: batch_size={batch_size}, drop_remainder=True, "
                f"{count} images. Use a batch_size of at most {count}, or drop_remainder=False."
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
        return self._shuffled(_STREAM, self.indices, epoch)

    def batch_indices(self, epoch, number):
        """Indices of batch `number` of an epoch (if repeated: of all from it on), int64 `(B,)`."""
        start = number * self.batch_size
        if not self.repeat:
            return self.order(epoch)[start : start + self.batch_size]
        return _laps(self.order, len(self.indices), epoch, start, self.batch_size)

    def unpaired_indices(self, epoch, number, count):
        """Indices of the `count` clean images that go with batch `number` of an epoch, int64.

        They are shuffled even where the damaged images are not, and begin again where there are
        fewer of them than of those.
        """

        def order(epoch):
            return self._shuffled(_UNPAIRED_STREAM, self.unpaired, epoch)

        return _laps(order, len(self.unpaired), epoch, number * self.batch_size, count)

    def _shuffled(self, stream, indices, epoch):
        """A permutation of `indices` by (seed, stream, epoch); the last few are remembered."""
        with self._lock:
            orders = self._orders.setdefault(stream, {})
            if epoch not in orders:
                ranks = hashing.bits(self.seed, stream, epoch, indices)
                while len(orders) > 1:
                    orders.pop(min(orders))
                orders[epoch] = indices[np.argsort(ranks, kind="stable")]
            return orders[epoch]

    def element(self, y, mask, x, index, unpaired=None):
        """An element of these parts: `y` alone, or a dict (see `keras_uai.datasets.load`)."""
        element = {"observation": y}
        if self.explicit_mask:
            element["mask"] = mask
        if self.clean:
            element["clean"] = x
        if self.index:
            element["index"] = index
        if self.unpaired is not None:
            element["unpaired"] = unpaired
        return element if len(element) > 1 else y


def _laps(order, size, epoch, start, count):
    """`count` indices from place `start` on of `order(epoch)`, then `order(epoch + 1)`, ..., each of `size`."""
    chosen, found = [], 0
    while found < count:
        lap, offset = divmod(start + found, size)
        chosen.append(order(epoch + lap)[offset : offset + count - found])
        found += len(chosen[-1])
    return np.concatenate(chosen)


class KnownMasks:
    """The masks of images, remembered as bits once they are drawn: an image is damaged once.

    Drawing costs more than all else that is done to an image (DropPixel sorts its pixels), so from
    the second epoch on a batch is several times as fast.

    Args:
        indices: int64, ascending: the images.
        size: side of an image in pixels.
        folder: where the images are on disk, their masks are too: in a file without a name, which goes when this does.
            None: in memory.
    """

    def __init__(self, indices, size, folder=None):
        self.indices, self.size = indices, size
        shape = len(indices), -(-size * size // 8)
        if folder is None:
            self.packed = np.empty(shape, "uint8")
        else:
            with tempfile.TemporaryFile(dir=folder) as file:
                self.packed = np.memmap(file, "uint8", "w+", shape=shape)
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
