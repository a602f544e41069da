"""The contents of a data set, apart from the engine that feeds it: order, crops, masks, batches."""

import dataclasses
import functools

import numpy as np

from keras_uai.datasets import hashing
from keras_uai.datasets.masks import DrawnMasks
from keras_uai.datasets.store import Store
from keras_uai.measurements import Measurement
from keras_uai.values import ValueScaling

# Streams of the seed's random numbers (splits: 1, 3).
_ORDER, _UNPAIRED_ORDER, _CROP, _UNPAIRED_CROP = 2, 4, 5, 6
_ATTEMPTS = 8  # at a crop with an observed pixel


@dataclasses.dataclass(eq=False)
class Elements:
    """Which images, in which order, cropped and damaged how, as NumPy batches.

    Args:
        store: a `keras_uai.datasets.store.Store`.
        indices: int64, ascending: the usable images of the split.
        measurement: a `Measurement`, or None where the store has masks.
        values: a `ValueScaling`.
        never_fill: function of an index that returns bool `(H, W, 1)`, or None.
        unpaired: int64, ascending: the images whose clean crops go with the damaged ones, or None.
        others: see `keras_uai.datasets.load`.
    """

    store: Store
    indices: np.ndarray
    measurement: Measurement | None
    values: ValueScaling
    batch_size: int
    seed: int
    shuffle: bool
    crop_size: tuple | None = None
    random_horizontal_flip: bool = False
    never_fill: object = None
    repeat: bool = False
    drop_remainder: bool | None = None
    clean: bool = False
    index: bool = False
    unpaired: np.ndarray | None = None
    start_epoch: int = 0
    start_batch: int = 0

    def __post_init__(self):
        if not self.shuffle:
            self.crop_size, self.random_horizontal_flip = None, False
        self.tau, self.mask_channels = 0.0, self.store.mask_channels
        if self.measurement is not None:
            self.tau, self.mask_channels = self.measurement.tau, self.measurement.mask_channels
            self.drawn = DrawnMasks(self.measurement, self.seed)
        count = len(self.indices)
        if self.drop_remainder and count < self.batch_size:
            raise ValueError(
                f"There must be a full batch. Received: batch_size={self.batch_size}, "
                f"drop_remainder=True, {count} images. Use a batch_size of at most {count}, or "
                "drop_remainder=False"
            )
        if self.drop_remainder is None:
            self.drop_remainder = self.shuffle and count >= self.batch_size
        self.size = self._common_size()
        if self.repeat and not self.size:
            raise ValueError(
                "Images must have one size to be repeated. Received: repeat=True, images of "
                "different sizes"
            )
        self._limits = self._batch_limits()
        self._shuffled = functools.lru_cache(maxsize=4)(self._shuffle)
        self.signature = self._signature()
        #: Batches an epoch; None when repeated without end.
        self.num_batches = None if self.repeat else len(self._limits)

    # -- form ------------------------------------------------------------------------------------

    def _common_size(self):
        """Height and width of all elements, or None where they differ from batch to batch."""
        every = self.indices if self.unpaired is None else [*self.indices, *self.unpaired]
        sizes = self.store.sizes(every)
        if self.crop_size is not None:
            small = (sizes < self.crop_size).any(axis=1)
            if small[0 if self.clean else len(self.indices) :].any():
                raise ValueError(
                    "Clean images must be at least as large as the crops. Received: crop_size="
                    f"{self.crop_size}, a smallest image of {tuple(sizes.min(axis=0).tolist())}"
                )
            return self.crop_size
        other = int((sizes != sizes[0]).any(axis=1).argmax())
        if not other:
            return tuple(sizes[0].tolist())
        if self.shuffle or self.unpaired is not None:
            one, another = (
                f"{self.store.source.label(every[i])} of {sizes[i, 1]} x {sizes[i, 0]}"
                for i in (0, other)
            )
            raise ValueError(
                "Images must have one size, unless crops of one size are taken of them. Received: "
                f"{one} and {another} pixels (width x height). Use crop_size=64 or the like for "
                "random crops at native resolution, or image_size=... to resize"
            )
        return None

    def _batch_limits(self):
        """The batches of an epoch, as `(first, last + 1)` places in its order.

        In parts of several sizes a batch is a run of images of one size.
        """
        count, edges = len(self.indices), []
        if self.size:
            count -= count % self.batch_size if self.drop_remainder else 0
        else:
            sizes = self.store.sizes(self.indices)
            edges = np.flatnonzero((sizes[1:] != sizes[:-1]).any(axis=1)) + 1
        return [
            (i, min(i + self.batch_size, last))
            for first, last in zip([0, *edges], [*edges, count], strict=True)
            for i in range(first, last, self.batch_size)
        ]

    def _needs_mask(self):
        """T(y) is exact unless tau is a value that pixels can have: then the mask goes along."""
        padded = self.crop_size and (self.store.sizes(self.indices) < self.crop_size).any()
        if self.measurement is None or padded or self.mask_channels > 1 or self.never_fill:
            return True
        if not self.values.is_bounded:
            return True
        possible = np.arange(np.iinfo(self.store.dtype).max + 1, dtype=self.store.dtype)
        return bool((np.float32(self.tau) == self.values.encode(possible)).any())

    def _signature(self):
        """`{name: (shape, dtype)}` of an element; None in a shape where batches differ."""
        full = self.repeat or (self.drop_remainder and self.size)
        rows, size = self.batch_size if full else None, self.size or (None, None)
        image = ((rows, *size, self.store.channels), "float32")
        parts = {
            "observation": (True, image),
            "mask": (self._needs_mask(), ((rows, *size, self.mask_channels), "float32")),
            "never_fill": (self.never_fill and not self.shuffle, ((rows, *size, 1), "float32")),
            "clean": (self.clean, image),
            "unpaired": (self.unpaired is not None, image),
            "index": (self.index, ((rows,), "int32")),
        }
        return {name: spec for name, (wanted, spec) in parts.items() if wanted}

    # -- order -----------------------------------------------------------------------------------

    def order(self, epoch):
        """Returns the indices in the order of an epoch: a permutation, by (seed, epoch)."""
        return self._shuffled(_ORDER, epoch) if self.shuffle else self.indices

    def _shuffle(self, stream, epoch):
        indices = self.indices if stream == _ORDER else self.unpaired
        ranks = hashing.bits(self.seed, stream, epoch, indices)
        return indices[np.argsort(ranks, kind="stable")]

    def batch_indices(self, epoch, number):
        """Returns the indices of batch `number` of an epoch, and the epoch of each; int64 `(B,)`.

        If repeated, batches are counted on over the ends of epochs.
        """
        if self.repeat:
            start = number * self.batch_size
            return _laps(self.order, len(self.indices), epoch, start, self.batch_size)
        first, last = self._limits[number]
        return self.order(epoch)[first:last], np.full(last - first, epoch)

    def unpaired_indices(self, epoch, number, count):
        """Returns `count` clean images that go with batch `number`, and the epoch of each.

        They are shuffled even where the damaged images are not, and begin again where there are
        fewer of them than of those.
        """
        order = functools.partial(self._shuffled, _UNPAIRED_ORDER)
        return _laps(order, len(self.unpaired), epoch, number * self.batch_size, count)

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
        x, mask, never = self._crops(_CROP, chosen[rows], epochs[rows])
        y = np.where(mask, x, np.float32(self.tau))
        found = {"observation": y, "mask": mask.astype("float32"), "clean": x, "never_fill": never}
        found["index"] = chosen[rows].astype("int32")
        if self.unpaired is not None:
            others, laps = self.unpaired_indices(epoch, number, len(chosen))
            found["unpaired"] = self._crops(_UNPAIRED_CROP, others[rows], laps[rows])[0]
        return {name: found[name] for name in self.signature}

    def _crops(self, stream, chosen, epochs):
        """Values in network units `(B, h, w, C)`, mask `(B, h, w, M)`, pixels `(B, h, w, 1)` that
        are never filled. The masks of unpaired images are not drawn.
        """
        sizes = self.store.sizes(chosen)
        shape = (len(chosen), *(self.size or sizes[0]))
        raw = np.zeros((*shape, self.store.channels), self.store.dtype)
        mask = np.zeros((*shape, self.mask_channels), bool)
        never = np.zeros((*shape, 1), "float32")
        damaged = stream == _CROP
        if damaged and self.measurement is not None:
            self.drawn.draw(chosen, sizes)
        places = self._places(stream, chosen, epochs)
        for row, index in enumerate(chosen):
            for place in places[row]:  # until one shows an observed pixel
                window, step = self._window(sizes[row], shape[1:], place)
                seen = self._seen(index, sizes[row], window) if damaged else np.ones((1, 1, 1))
                if seen.any():
                    break
            values = self.store.image(index)[window]
            h, w = values.shape[:2]
            raw[row, :h, :w] = values[:, ::step]
            mask[row, :h, :w] = seen[:, ::step]
            if self.never_fill and damaged:
                never[row, :h, :w] = self.never_fill(index)[window][:, ::step]
        return self.values.encode(raw), mask, never

    def _places(self, stream, indices, epochs):
        """Triples of uniform numbers, `(B, attempts, 3)`, by (seed, epoch, index).

        They say where a crop's first row and column are, and whether it is flipped.
        """
        if self.crop_size is None and not self.random_horizontal_flip:
            return np.zeros((len(indices), 1, 3))
        attempts = np.arange(_ATTEMPTS if self.crop_size else 1)[:, None]
        path = (epochs[:, None, None], indices[:, None, None], attempts, np.arange(3))
        return hashing.uniform(self.seed, stream, *path)

    def _window(self, size, crop, place):
        """The slices of a crop of an image, and the step -1 where it is flipped, else 1."""
        firsts = (place[:2] * (np.maximum(0, size - crop) + 1)).astype(int)
        window = tuple(slice(first, first + side) for first, side in zip(firsts, crop, strict=True))
        return window, -1 if self.random_horizontal_flip and place[2] < 0.5 else 1

    def _seen(self, index, size, window):
        rows, columns = window
        if self.measurement is None:
            seen = self.store.mask(index, rows)[:, columns]
        else:
            seen = self.drawn.mask(index, size, rows)[:, columns]
        return seen & ~self.never_fill(index)[window] if self.never_fill else seen


def _laps(order, size, epoch, start, count):
    """`count` indices from place `start` on of `order(epoch)`, `order(epoch + 1)`, ..., and the
    epoch of each; each order has `size` indices.
    """
    laps, places = np.divmod(np.arange(start, start + count), size)
    chosen = [order(epoch + lap)[places[laps == lap]] for lap in np.unique(laps)]
    return np.concatenate(chosen), epoch + laps
