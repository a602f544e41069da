"""The contents of a data set, apart from the engine that feeds it: order, crops, masks, batches."""

import threading

import numpy as np

from keras_uai.datasets import hashing
from keras_uai.datasets.masks import DrawnMasks

# Streams of the seed's random numbers (splits: 1, 3).
_ORDER, _UNPAIRED_ORDER, _CROP, _UNPAIRED_CROP = 2, 4, 5, 6
_ATTEMPTS = 8  # at a crop with an observed pixel


class Elements:
    """Which images, in which order, cropped and damaged how, as NumPy batches.

    Args:
        store: a `keras_uai.datasets.store.Store`.
        indices: int64, ascending: the usable images of the split.
        measurement: a `Measurement`, or None where the store has masks.
        values: a `ValueScaling`.
        never_fill: function of an index that returns bool `(H, W, 1)`, or None.
        unpaired: int64, ascending: the images whose clean crops go with the damaged ones, or None.
        batch_size, crop_size, random_horizontal_flip, shuffle, repeat, drop_remainder, clean,
            index, seed, start_epoch, start_batch: see `keras_uai.datasets.load`.
    """

    def __init__(
        self,
        store,
        indices,
        measurement,
        values,
        *,
        batch_size,
        seed,
        shuffle,
        crop_size=None,
        random_horizontal_flip=False,
        never_fill=None,
        repeat=False,
        drop_remainder=None,
        clean=False,
        index=False,
        unpaired=None,
        start_epoch=0,
        start_batch=0,
    ):
        self.store = store
        self.indices = indices
        self.measurement = measurement
        self.values = values
        self.never_fill = never_fill
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.crop_size = crop_size if shuffle else None
        self.flip = bool(random_horizontal_flip and shuffle)
        self.repeat = repeat
        self.clean = clean
        self.index = index
        self.unpaired = unpaired
        self.start_epoch = start_epoch
        self.start_batch = start_batch
        self.tau = 0.0 if measurement is None else measurement.tau
        self._orders = {}
        self._lock = threading.Lock()
        self.size = self._common_size()
        count = len(indices)
        if drop_remainder and count < batch_size:
            raise ValueError(
                f"There must be a full batch. Received: batch_size={batch_size}, "
                f"drop_remainder=True, {count} images. Use a batch_size of at most {count}, or "
                "drop_remainder=False"
            )
        if drop_remainder is None:
            drop_remainder = bool(shuffle) and count >= batch_size
        self.drop_remainder = drop_remainder or repeat
        self._runs = None if self.size else self._runs_of_one_size()
        if repeat and self._runs is not None:
            raise ValueError(
                "Images must have one size to be repeated. Received: repeat=True, images of "
                "different sizes"
            )
        if self.measurement is None:
            self.mask_channels = store.mask_channels
        else:
            self.mask_channels = measurement.mask_channels
            self.drawn = DrawnMasks(measurement, indices, store.sizes(indices), seed, store.folder)
        self.explicit_mask = self._needs_mask()

    # -- form ------------------------------------------------------------------------------------

    def _common_size(self):
        """Height and width of all elements, or None where they differ from batch to batch."""
        sizes = self.store.sizes(self.indices)
        if self.crop_size is not None:
            small = np.flatnonzero((sizes < self.crop_size).any(axis=1))
            others = sizes[:0] if self.unpaired is None else self.store.sizes(self.unpaired)
            if (self.clean and len(small)) or (others < self.crop_size).any():
                raise ValueError(
                    "Clean images must be at least as large as the crops. Received: crop_size="
                    f"{self.crop_size}, a smallest image of {tuple(sizes.min(axis=0).tolist())}"
                )
            self.padded = bool(len(small))
            return self.crop_size
        self.padded = False
        every = sizes if self.unpaired is None else [*sizes, *self.store.sizes(self.unpaired)]
        differing = np.flatnonzero((np.asarray(every) != every[0]).any(axis=1))
        if not len(differing):
            return tuple(int(n) for n in sizes[0])
        if self.shuffle or self.unpaired is not None:
            both = [*self.indices, *(() if self.unpaired is None else self.unpaired)]
            (h1, w1), (h2, w2) = every[0], every[differing[0]]
            label = self.store.source.label
            raise ValueError(
                "Images must have one size, unless crops of one size are taken of them. Received: "
                f"{label(both[0])} of {w1} x {h1} and {label(both[differing[0]])} of {w2} x {h2} "
                "pixels (width x height). Use crop_size=64 or the like for random crops at native "
                "resolution, or image_size=... to resize"
            )
        return None

    def _runs_of_one_size(self):
        """Batches of consecutive images of one size, as `(first, last + 1)` places."""
        sizes = self.store.sizes(self.indices)
        edges = np.flatnonzero((sizes[1:] != sizes[:-1]).any(axis=1)) + 1
        runs = []
        for first, last in zip([0, *edges], [*edges, len(sizes)], strict=True):
            runs += [
                (i, min(i + self.batch_size, last)) for i in range(first, last, self.batch_size)
            ]
        return runs

    def _needs_mask(self):
        """T(y) is exact unless tau is a value that pixels can have: then the mask goes along."""
        if self.measurement is None or self.padded or self.mask_channels > 1 or self.never_fill:
            return True
        if not self.values.is_bounded:
            return True
        possible = np.arange(np.iinfo(self.store.dtype).max + 1, dtype=self.store.dtype)
        return bool((np.float32(self.tau) == self.values.encode(possible)).any())

    @property
    def signature(self):
        """`{name: (shape, dtype)}` of an element; None in a shape where batches differ."""
        rows = self.batch_size if self.drop_remainder and self._runs is None else None
        size = self.size or (None, None)
        image = ((rows, *size, self.store.channels), "float32")
        found = {"observation": image}
        if self.explicit_mask:
            found["mask"] = ((rows, *size, self.mask_channels), "float32")
        if self.never_fill and not self.shuffle:
            found["never_fill"] = ((rows, *size, 1), "float32")
        if self.clean:
            found["clean"] = image
        if self.unpaired is not None:
            found["unpaired"] = image
        if self.index:
            found["index"] = ((rows,), "int32")
        return found

    # -- order -----------------------------------------------------------------------------------

    @property
    def num_batches(self):
        """Batches an epoch; None when repeated without end."""
        if self.repeat:
            return None
        if self._runs is not None:
            return len(self._runs)
        full, rest = divmod(len(self.indices), self.batch_size)
        return full + bool(rest and not self.drop_remainder)

    def order(self, epoch):
        """Returns the indices in the order of an epoch: a permutation, by (seed, epoch)."""
        if not self.shuffle:
            return self.indices
        return self._shuffled(_ORDER, self.indices, epoch)

    def batch_indices(self, epoch, number):
        """Returns the indices of batch `number` of an epoch, and the epoch of each; int64 `(B,)`.

        If repeated, batches are counted on over the ends of epochs.
        """
        if self._runs is not None:
            chosen = self.indices[slice(*self._runs[number])]
            return chosen, np.full(len(chosen), epoch)
        start = number * self.batch_size
        if self.repeat:
            return _laps(self.order, len(self.indices), epoch, start, self.batch_size)
        chosen = self.order(epoch)[start : start + self.batch_size]
        return chosen, np.full(len(chosen), epoch)

    def unpaired_indices(self, epoch, number, count):
        """Returns `count` clean images that go with batch `number`, and the epoch of each.

        They are shuffled even where the damaged images are not, and begin again where there are
        fewer of them than of those.
        """

        def order(epoch):
            return self._shuffled(_UNPAIRED_ORDER, self.unpaired, epoch)

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

    # -- batches ---------------------------------------------------------------------------------

    def make(self, epoch, number, share=(0, 1)):
        """Returns a batch as a dict of NumPy arrays, in the order of `signature`.

        Args:
            epoch, number: integers.
            share: `(i, n)`: of the batch's rows the part i of n equal ones.
        """
        chosen, epochs = self.batch_indices(epoch, number)
        if len(chosen) % share[1]:
            raise ValueError(
                f"A batch must divide among the processes. Received: a batch of {len(chosen)} "
                f"images, {share[1]} processes. Use a batch_size they divide, and "
                "drop_remainder=True"
            )
        rows = slice(*(len(chosen) * (share[0] + i) // share[1] for i in range(2)))
        x, mask, never = self._crops(chosen[rows], epochs[rows])
        y = np.where(mask, x, np.float32(self.tau))
        found = {"observation": y, "mask": mask.astype("float32"), "clean": x, "never_fill": never}
        if self.index:
            found["index"] = chosen[rows].astype("int32")
        if self.unpaired is not None:
            others = self.unpaired_indices(epoch, number, len(chosen))
            found["unpaired"] = self._unpaired_crops(*(part[rows] for part in others))
        return {name: found[name] for name in self.signature}

    def _crops(self, chosen, epochs):
        """Values in network units `(B, h, w, C)`, mask `(B, h, w, M)` and pixels never filled."""
        size = self.size or self.store.sizes(chosen[:1])[0]
        raw = np.zeros((len(chosen), *size, self.store.channels), self.store.dtype)
        mask = np.zeros((len(chosen), *size, self.mask_channels), bool)
        never = np.zeros((len(chosen), *size, 1), "float32") if self.never_fill else None
        if self.measurement is not None:
            self.drawn.draw(chosen)
        places = self._places(_CROP, chosen, epochs)
        for row, (index, epoch) in enumerate(zip(chosen, epochs, strict=True)):
            window, flip = self._window(index, size, places[row])
            seen = self._seen(index, window)
            for attempt in range(1, _ATTEMPTS if self.crop_size else 0):
                if seen.any():
                    break
                place = self._places(_CROP, chosen[row : row + 1], epoch, attempt)[0]
                window, flip = self._window(index, size, place)
                seen = self._seen(index, window)
            values = self.store.image(index)[window]
            h, w = values.shape[:2]
            raw[row, :h, :w] = values[:, ::flip]
            mask[row, :h, :w] = seen[:, ::flip]
            if self.never_fill:
                never[row, :h, :w] = self.never_fill(index)[window][:, ::flip]
        return self.values.encode(raw), mask, never

    def _places(self, stream, indices, epochs, attempt=0):
        """Three uniform numbers an image, functions of (seed, epoch, index): row, column, flip."""
        if self.crop_size is None and not self.flip:
            return np.zeros((len(indices), 3))
        path = (np.reshape(epochs, (-1, 1)), indices[:, None], attempt, np.arange(3))
        return hashing.uniform(self.seed, stream, *path)

    def _window(self, index, size, place):
        """The slices of a crop of an image, and the step -1 where it is flipped, else 1."""
        window = []
        for length, side, u in zip(self.store.sizes(index), size, place, strict=False):
            first = int(u * (max(0, length - side) + 1))
            window.append(slice(first, first + side))
        return tuple(window), -1 if self.flip and place[2] < 0.5 else 1

    def _seen(self, index, window):
        rows, columns = window
        if self.measurement is None:
            seen = self.store.mask(index, rows)[:, columns]
        else:
            seen = self.drawn.mask(index, rows)[:, columns]
        return seen & ~self.never_fill(index)[window] if self.never_fill else seen

    def _unpaired_crops(self, chosen, epochs):
        size = self.size
        found = np.empty((len(chosen), *size, self.store.channels), self.store.dtype)
        places = self._places(_UNPAIRED_CROP, chosen, epochs)
        for row, index in enumerate(chosen):
            window, flip = self._window(index, size, places[row])
            found[row] = self.store.image(index)[window][:, ::flip]
        return self.values.encode(found)


def _laps(order, size, epoch, start, count):
    """`count` indices from place `start` on of `order(epoch)`, `order(epoch + 1)`, ..., and the
    epoch of each; each order has `size` indices.
    """
    chosen, epochs, found = [], [], 0
    while found < count:
        lap, offset = divmod(start + found, size)
        chosen.append(order(epoch + lap)[offset : offset + count - found])
        epochs.append(np.full(len(chosen[-1]), epoch + lap))
        found += len(chosen[-1])
    return np.concatenate(chosen), np.concatenate(epochs)
