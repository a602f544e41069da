"""Decoded images of any sizes, in memory or on disk: decoding and resizing happen once.

A store on disk is a folder: `records.bin`, to which decoded images and their masks (packed bits)
are appended; `index.npy`, where each begins and its size; `about.json`, the fingerprint of the
source. `index.npy` is replaced after the records it speaks of are on disk, so that an interrupted
run goes on where it was.
"""

import collections
import concurrent.futures
import contextlib
import itertools
import logging
import os
import threading
import weakref

import filelock
import numpy as np

from keras_uai import files, progress
from keras_uai.datasets.masks import unpack
from keras_uai.datasets.sources import digest
from keras_uai.files import free_memory

_LOG = logging.getLogger("keras_uai")
_NAMED_AT_MOST = 10  # skipped images, in the log
_SAVE_EVERY = 50_000  # images: what an interrupted run has to decode again, at most
_alive = weakref.WeakValueDictionary()  # so that two data sets of the same images share them
_lock = threading.Lock()


def open_store(source, wanted, cache=None, strict=False):
    """Returns a `Store` with the decoded images `wanted` (int64 indices, ascending) of a source.

    Without `cache` they are in memory where they take at most half of what is free, else in
    the folder `keras_uai` in Keras's own (`~/.keras`); see `keras_uai.datasets.load`.
    """
    if cache not in (None, "memory") and not isinstance(cache, (str, os.PathLike)):
        raise ValueError(
            '`cache` must be "memory", a folder, or None (memory where there is enough of it). '
            f"Received: cache={cache!r}"
        )
    if not source.is_stored:
        store = Store(source)
        store.fill(wanted, strict)
        return store
    if cache is None:
        a_pixel = source.preparation.channels * np.dtype(source.preparation.dtype).itemsize
        needed, free = len(wanted) * a_pixel * source.pixels_per_image(), free_memory()
        cache = "memory"
        if needed > free // 2:
            home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
            cache = os.path.join(home, "keras_uai")
            _LOG.warning(
                "%s: %.1f GB of decoded images, %.1f GB of memory free: they are kept in %s",
                *(source.name, needed / 1e9, free / 1e9, cache),
            )
    folder = None if cache == "memory" else folder_of(source, cache)
    key = (folder, digest(source.fingerprint()), b"" if folder else wanted.tobytes())
    with _lock:
        store = _alive.get(key)
        if store is None:
            _alive[key] = store = Store(source, folder)
        store.fill(wanted, strict)
    return store


class Store:
    """Decoded images of a source, in memory or in the `folder` of a cache on disk."""

    def __init__(self, source, folder=None):
        self.source = source
        self.folder = folder
        self.dtype = np.dtype(source.preparation.dtype)
        self.channels = source.preparation.channels
        self.mask_channels = source.mask_channels if source.has_masks else None
        self.index = np.zeros((source.size, 3), "int64")  # offset, height, width; or height 0
        self._records = {}
        self._file = self._mapped = None

    def sizes(self, indices):
        """Returns height and width of images, int64 `(N, 2)`."""
        return self.index[indices, 1:]

    def usable(self, indices):
        """Returns those of `indices` whose image could be read and has an observed pixel."""
        return indices[self.index[indices, 1] > 0]

    def image(self, index):
        """Returns the values of one image, `(H, W, C)`; missing values are arbitrary."""
        return self._record(index)[0]

    def mask(self, index, rows=slice(None)):
        """Returns bool `(h, W, M)`, True = observed, of some rows; only where there are masks."""
        shape = (*self.sizes(index), self.mask_channels)
        return unpack(self._record(index)[1], shape, rows)

    def _record(self, index):
        if self.folder is None:
            return self._records[int(index)]
        offset, height, width = self.index[index]
        end = offset + height * width * self.channels * self.dtype.itemsize
        values = self._mapped[offset:end].view(self.dtype).reshape(height, width, -1)
        return values, self._mapped[end : self._ends(self.index[index])]

    def _ends(self, index):
        """Returns the offsets in the file at which the records of an index `(..., 3)` end."""
        offset, height, width = np.moveaxis(index, -1, 0)
        pixels = height * width
        bits = -(-pixels * (self.mask_channels or 0) // 8)
        return offset + pixels * self.channels * self.dtype.itemsize + bits

    def fill(self, wanted, strict=False):
        """Decodes those of `wanted` that are not decoded yet, and reports unusable images."""
        if self.folder is None:
            self._decode(wanted, strict)
            return
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        with filelock.FileLock(f"{self.folder}.lock"):  # of several processes, one decodes
            self._open_folder()
            with open(self._path("records.bin"), "ab") as self._file:
                self._decode(wanted, strict)
        self._mapped = np.memmap(self._path("records.bin"), "uint8", "r")

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _open_folder(self):
        """Reads the index of the folder; makes the folder anew where it holds other images."""
        fingerprint = digest(self.source.fingerprint())
        try:
            index = np.array(files.read_arrays(self._path("index.npy")))
            size = os.path.getsize(self._path("records.bin"))
            about = files.read_json(self._path("about.json"))
            fits = index.shape == self.index.shape and index.dtype == self.index.dtype
            if fits and digest(about) == fingerprint and (self._ends(index) <= size).all():
                self.index = index
                return
        except (OSError, ValueError):
            pass
        if os.path.exists(self.folder):
            _LOG.warning("the cache %s does not fit the images: it is made anew", self.folder)
        self.index = np.zeros_like(self.index)
        with files.atomic_folder(self.folder) as folder:
            np.save(os.path.join(folder, "index.npy"), self.index)
            files.atomic_write(os.path.join(folder, "records.bin"), b"")
            files.write_json(os.path.join(folder, "about.json"), self.source.fingerprint())

    def _decode(self, wanted, strict):
        todo = wanted[self.index[wanted, 1] == 0]
        if not len(todo):
            return
        workers = min(32, os.cpu_count() or 1)
        pool = concurrent.futures.ThreadPoolExecutor(workers)
        reading = iter(self.source.read(todo))
        jobs = iter(lambda: list(itertools.islice(reading, self.source.chunk)), [])
        waiting, reasons, unsaved = collections.deque(), {}, 0
        show = len(todo) >= 2000 and f"Decoding {self.source.name}"
        with contextlib.ExitStack() as stack:
            stack.callback(pool.shutdown, cancel_futures=True)
            shown = stack.enter_context(progress.bar(show, len(todo)))
            while True:
                for job in itertools.islice(jobs, 4 * workers - len(waiting)):
                    waiting.append((job, pool.submit(self.source.decode, job)))
                if not waiting:
                    break
                job, future = waiting.popleft()
                for (index, _), item in zip(job, future.result(), strict=True):
                    self._take(index, item, reasons)
                shown.update(len(job))
                unsaved += len(job)
                if unsaved >= _SAVE_EVERY:
                    self._save()
                    unsaved = 0
                if strict and reasons:
                    break
        self._save()
        self._report(wanted, reasons, strict)

    def _take(self, index, item, reasons):
        """Keeps a decoded image, or the reason why it cannot be used."""
        if isinstance(item, files.UnreadableImageError):
            reasons[index] = str(item)
            return
        values, observed = item
        if observed is not None and not observed.any():
            reasons[index] = (
                "no observed pixel. Check the masks (white, 1 = observed) and mask_from. With "
                "image_size, a pixel is observed only if all the pixels it was made from are"
            )
            return
        packed = b"" if observed is None else np.packbits(observed)
        offset = 0
        if self.folder is None:
            self._records[index] = values, packed
        else:
            offset = self._file.tell()
            self._file.write(np.ascontiguousarray(values).tobytes() + bytes(packed))
        self.index[index] = offset, *values.shape[:2]

    def _save(self):
        """Brings the records to the disk, and then the index."""
        if self.folder is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            files.atomic_write(self._path("index.npy"), lambda opened: np.save(opened, self.index))

    def _report(self, wanted, reasons, strict):
        """Logs skipped images; raises where all are, or with `strict`."""
        if not reasons:
            return
        name = self.source.name
        named = [f"{self.source.label(index)}: {reason}" for index, reason in reasons.items()]
        if strict or len(reasons) == len(wanted):
            raise ValueError(
                f"{len(reasons)} of {len(wanted)} images of {name} cannot be used. Received, "
                f"first: {named[0]}. Repair or remove them, or use strict=False to skip a few"
            )
        for image in named[:_NAMED_AT_MOST]:
            _LOG.warning("skipped, %s", image)
        _LOG.warning("%s: skipped %d of %d images", name, len(reasons), len(wanted))


def folder_of(source, root):
    """Returns the folder under `root` for the images of a source, prepared as they are."""
    root = os.path.abspath(os.path.expanduser(os.fspath(root)))
    return os.path.join(root, f"images-{digest(source.identity())}")
