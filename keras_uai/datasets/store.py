"""Decoded images as one uint8 array, in memory or on disk: decoding and resizing happen once."""

import collections
import concurrent.futures
import logging
import os
import threading
import weakref

import numpy as np

from keras_uai.datasets import cache as disk
from keras_uai.datasets.imagefile import UnreadableImageError
from keras_uai.datasets.sources import digest

_LOG = logging.getLogger("keras_uai")
_TODO, _READY, _UNREADABLE, _UNOBSERVED = 0, 1, 2, 3
_SHOW_PROGRESS_FROM = 2000  # images
_NAMED_AT_MOST = 10  # skipped images, in the log
_SAVE_EVERY = 50_000  # images: what an interrupted run has to decode again, at most
_alive = weakref.WeakValueDictionary()  # so that two data sets of the same images share them
_lock = threading.Lock()


def open_store(source, wanted, cache=None, strict=False):
    """The decoded images `wanted` of a source.

    Args:
        source: a `keras_uai.datasets.sources.Source`.
        wanted: int64 indices, ascending.
        cache: "memory", a folder for caches on disk, or None: memory where the images take at
            most half of what is free, else the folder `keras_uai` in Keras's own (`~/.keras`).
        strict: an unreadable image is an error.

    Returns:
        A `Store` with at least the usable ones of these images.
    """
    if cache is None:
        size, _, channels = source.shape
        needed = len(wanted) * size * size * (channels + (1 / 8 if source.has_masks else 0))
        free = disk.free_memory()
        cache = "memory"
        if needed > free // 2:
            cache = disk.default_root()
            _LOG.warning(
                "%s: %.1f GB of decoded images, %.1f GB of memory free: they are kept in %s",
                *(source.name, needed / 1e9, free / 1e9, cache),
            )
    elif not isinstance(cache, (str, os.PathLike)):
        raise ValueError(
            '`cache` must be "memory", a folder, or None (memory where there is enough of it). '
            f"Received: cache={cache!r}"
        )
    folder = None if cache == "memory" else disk.folder_of(source, cache)
    key = (folder, digest(source.fingerprint()))
    if folder is None:
        key = (*key, wanted.tobytes())
    with _lock:
        store = _alive.get(key)
        if store is None:
            if folder is not None:
                disk.make(source, folder)
            store = Store(source, wanted if folder is None else np.arange(source.size), folder)
            _alive[key] = store
        store.fill(wanted, strict)
    return store


class Store:
    """uint8 images of some indices of a source.

    Attributes:
        indices: int64, ascending: the index of each row.
        images: uint8 `(rows, S, S, C)`.
        observed: packed bits `(rows, ceil(S * S / 8))` where the source has masks, else None.
        status: uint8 `(rows,)`: to do, ready, unreadable, or without an observed pixel.
    """

    def __init__(self, source, indices, folder=None):
        self.source = source
        self.folder = folder
        self.indices = np.asarray(indices)
        self.shape = source.shape
        rows, size = len(self.indices), source.shape[0]
        self.observed = None
        if folder is None:
            self.images = np.empty((rows, *self.shape), "uint8")
            self.status = np.zeros((rows,), "uint8")
            if source.has_masks:
                self.observed = np.empty((rows, -(-size * size // 8)), "uint8")
        else:
            self.images = np.load(os.path.join(folder, "images.npy"), mmap_mode="r+")
            self.status = np.load(os.path.join(folder, "status.npy"))
            if source.has_masks:
                self.observed = np.load(os.path.join(folder, "observed.npy"), mmap_mode="r+")

    def rows(self, indices):
        """The rows of `indices`, all of which must be in the store."""
        return np.searchsorted(self.indices, indices)

    def usable(self, indices):
        """Those of `indices` whose image could be read and shows something."""
        return indices[self.status[self.rows(indices)] == _READY]

    def gather(self, indices):
        """uint8 `(N, S, S, C)`."""
        return np.take(self.images, self.rows(indices), axis=0)

    def gather_masks(self, indices):
        """float32 `(N, S, S, 1)`, 1 = observed; only where the source has masks."""
        size = self.shape[0]
        packed = np.take(self.observed, self.rows(indices), axis=0)
        flat = np.unpackbits(packed, axis=1, count=size * size)
        return flat.reshape(-1, size, size, 1).astype("float32")

    def any_missing(self, indices):
        """Whether any pixel of any of these images is missing; only where the source has masks."""
        whole = np.packbits(np.ones((self.shape[0] ** 2,), bool))
        rows = self.rows(indices)
        chunks = (self.observed[rows[i : i + 4096]] for i in range(0, len(rows), 4096))
        return any((chunk != whole).any() for chunk in chunks)

    # -- filling ----------------------------------------------------------------------------------

    def fill(self, wanted, strict=False):
        """Decodes what of `wanted` is not decoded yet; tells what could not be used."""
        rows = self.rows(wanted)
        todo = wanted[self.status[rows] == _TODO]
        reasons = {}
        if len(todo):
            self._decode(todo, reasons, strict)
            self._save()
        if self.source.enlarged:
            _LOG.warning(
                "%s: images smaller than image_size=%d were enlarged, such as %s",
                *(self.source.name, self.shape[0], self.source.label(min(self.source.enlarged))),
            )
        for code, what in _USELESS.items():
            self._report(wanted, wanted[self.status[rows] == code], what, reasons, strict)

    def _decode(self, todo, reasons, strict):
        from tqdm import tqdm

        workers = min(32, os.cpu_count() or 1)
        progress = tqdm(
            total=len(todo),
            desc=f"Decoding {self.source.name}",
            unit="images",
            delay=1.0,
            mininterval=1.0,
            disable=len(todo) < _SHOW_PROGRESS_FROM,
            leave=False,
        )
        saved = 0
        waiting = collections.deque()
        with progress, concurrent.futures.ThreadPoolExecutor(workers) as pool:
            try:
                for start, job in self.source.jobs(todo):
                    waiting.append((start, pool.submit(self.source.decode, job)))
                    if len(waiting) >= 4 * workers:
                        progress.update(self._keep(todo, *waiting.popleft(), reasons, strict))
                    if start >= saved + _SAVE_EVERY:
                        self._save()
                        saved = start
                while waiting:
                    progress.update(self._keep(todo, *waiting.popleft(), reasons, strict))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _keep(self, todo, start, future, reasons, strict):
        found = future.result()
        for index, item in zip(todo[start : start + len(found)], found, strict=True):
            row = self.rows(index)
            if isinstance(item, UnreadableImageError):
                if strict:
                    raise ValueError(
                        f"An image cannot be read. Received: {self.source.label(index)}: {item}. "
                        "Repair or remove it, or use strict=False to skip such images."
                    ) from item
                reasons[int(index)] = f": {item}"
                self.status[row] = _UNREADABLE
                continue
            self.images[row], observed = item
            if observed is not None:
                self.observed[row] = np.packbits(observed)
            self.status[row] = _READY if observed is None or observed.any() else _UNOBSERVED
        return len(found)

    def _report(self, wanted, bad, what, reasons, strict):
        """Names skipped images; an error where all are, or with `strict`."""
        if not len(bad):
            return
        what, advice = what
        name = self.source.name
        named = [f"{self.source.label(i)}{reasons.get(int(i), '')}" for i in bad[:_NAMED_AT_MOST]]
        if strict or len(bad) == len(wanted):
            raise ValueError(
                f"{len(bad)} of {len(wanted)} images of {name} are {what}. Received, first: "
                f"{named[0]}. {advice}"
            )
        for image in named:
            _LOG.warning("skipped, %s: %s", what, image)
        _LOG.warning("%s: skipped %d of %d images: %s", name, len(bad), len(wanted), what)

    def _save(self):
        if self.folder is None:
            return
        if disk.difference(self.folder, self.source.fingerprint()):
            return  # the files changed meanwhile, and a store of the new ones has the folder
        self.images.flush()
        if self.observed is not None:
            self.observed.flush()
        self.status = disk.save_status(self.folder, self.status)


_USELESS = {
    _UNREADABLE: ("unreadable", "Repair or remove them, or use strict=False to skip a few."),
    _UNOBSERVED: (
        "without an observed pixel",
        "A pixel is observed only if all the pixels it was made from are: use a larger image_size "
        "(or the images' own), or check mask_from.",
    ),
}
