"""What a data set holds, apart from the engine that feeds it: order, masks, form of an element."""

import threading

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
    """Which images, in which order, damaged how: all of a data set but the engine that feeds it.

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
        with self._lock:
            if epoch not in self._orders:
                ranks = hashing.bits(self.seed, _STREAM, epoch, self.indices)
                while len(self._orders) > 1:
                    self._orders.pop(min(self._orders))
                self._orders[epoch] = self.indices[np.argsort(ranks, kind="stable")]
            return self._orders[epoch]

    def batch_indices(self, epoch, number):
        """Indices of batch `number` of an epoch (if repeated: of all from it on), int64 `(B,)`."""
        start = number * self.batch_size
        if not self.repeat:
            return self.order(epoch)[start : start + self.batch_size]
        chosen, count = [], len(self.indices)
        while sum(map(len, chosen)) < self.batch_size:
            lap, offset = divmod(start + sum(map(len, chosen)), count)
            need = self.batch_size - sum(map(len, chosen))
            chosen.append(self.order(epoch + lap)[offset : offset + need])
        return np.concatenate(chosen)

    def element(self, y, mask, x, index):
        """An element of these parts: `y` alone, or a dict (see `keras_uai.datasets.load`)."""
        element = {"observation": y}
        if self.explicit_mask:
            element["mask"] = mask
        if self.clean:
            element["clean"] = x
        if self.index:
            element["index"] = index
        return element if len(element) > 1 else y


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
