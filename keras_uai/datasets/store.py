"""Decoded images of any sizes, in memory or on disk: decoding and resizing happen once.

A store on disk is a folder: `records.bin`, to which decoded images and their masks (packed bits)
are appended; `index.npy`, where each begins, its size and whether it can be used; `about.json`, the
fingerprint of the source. `index.npy` is replaced after the records it speaks of are on disk, so
that an interrupted run goes on where it was.
"""

import collections
import concurrent.futures
import logging
import os
import shutil
import threading
import weakref

import filelock
import numpy as np

from keras_uai import files
from keras_uai.datasets.masks import unpack
from keras_uai.datasets.sources import digest

_LOG = logging.getLogger("keras_uai")
_TODO, _READY, _UNREADABLE, _UNOBSERVED = 0, 1, 2, 3
_OFFSET, _HEIGHT, _WIDTH, _STATUS = range(4)  # columns of the index
_SHOW_PROGRESS_FROM = 2000  # images
_NAMED_AT_MOST = 10  # skipped images, in the log
_SAVE_EVERY = 50_000  # images: what an interrupted run has to decode again, at most
_alive = weakref.WeakValueDictionary()  # so that two data sets of the same images share them
_lock = threading.Lock()


def open_store(source, wanted, cache=None, strict=False):
    """Returns a `Store` with at least the usable ones of the decoded images `wanted` of a source.

    Args:
        source: a `keras_uai.datasets.sources.Source`.
        wanted: int64 indices, ascending.
        cache: "memory", a folder for caches on disk, or None: memory where the images take at
            most half of what is free, else the folder `keras_uai` in Keras's own (`~/.keras`).
        strict: an unreadable image is an error.
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
    height, width = source.typical_size()
    itemsize = np.dtype(source.preparation.dtype).itemsize
    a_pixel = source.preparation.channels * itemsize + source.has_masks * source.mask_channels / 8
    needed = height * width * a_pixel
    if cache is None:
        free = free_memory()
        cache = "memory"
        if needed * len(wanted) > free // 2:
            cache = default_root()
            _LOG.warning(
                "%s: %.1f GB of decoded images, %.1f GB of memory free: they are kept in %s",
                *(source.name, needed * len(wanted) / 1e9, free / 1e9, cache),
            )
    folder = None if cache == "memory" else folder_of(source, cache)
    key = (folder, digest(source.fingerprint()), b"" if folder else wanted.tobytes())
    with _lock:
        store = _alive.get(key)
        if store is None:
            _alive[key] = store = Store(source, folder, needed)
        store.fill(wanted, strict)
    return store


class Store:
    """Decoded images of a source.

    Args:
        source: a `keras_uai.datasets.sources.Source`.
        folder: of the cache on disk. None: in memory.
        bytes_per_image: about how many an image takes, for a message about a full disk.
    """

    def __init__(self, source, folder=None, bytes_per_image=0):
        self.source = source
        self.folder = folder
        self.bytes_per_image = bytes_per_image
        self.dtype = np.dtype(source.preparation.dtype)
        self.channels = source.preparation.channels
        self.mask_channels = source.mask_channels if source.has_masks else None
        self.index = np.zeros((source.size, 4), "int64")
        self._records = {}
        self._mapped = None

    def sizes(self, indices):
        """Returns height and width of images, int64 `(N, 2)`."""
        return self.index[indices, _HEIGHT : _WIDTH + 1]

    def usable(self, indices):
        """Returns those of `indices` whose image could be read and shows something."""
        return indices[self.index[indices, _STATUS] == _READY]

    def image(self, index):
        """Returns the values of one image, `(H, W, C)`; what is missing may be anything."""
        return self._record(index)[0]

    def mask(self, index, rows=slice(None)):
        """Returns bool `(h, W, M)`, True = observed, of some rows; only where there are masks."""
        _, height, width, _ = self.index[index]
        return unpack(self._record(index)[1], (height, width, self.mask_channels), rows)

    def any_missing(self, indices):
        """Returns whether any value of these images is missing; only where there are masks."""
        return any(not self.mask(index).all() for index in indices)

    def _record(self, index):
        if self.folder is None:
            return self._records[int(index)]
        offset, height, width, _ = self.index[index]
        shape = (height, width, self.channels)
        size = int(np.prod(shape)) * self.dtype.itemsize
        values = self._mapped[offset : offset + size].view(self.dtype).reshape(shape)
        if self.mask_channels is None:
            return values, None
        bits = -(-height * width * self.mask_channels // 8)
        return values, self._mapped[offset + size : offset + size + bits]

    # -- filling ----------------------------------------------------------------------------------

    def fill(self, wanted, strict=False):
        """Decodes those of `wanted` that are not decoded yet, and reports unusable images."""
        if self.folder is None:
            reasons = self._decode(wanted, strict, self._keep_in_memory, lambda: None)
        else:
            reasons = self._fill_on_disk(wanted, strict)
        if self.source.enlarged:
            _LOG.warning(
                "%s: images smaller than image_size=%s were enlarged, such as %s",
                *(self.source.name, self.source.preparation.image_size),
                self.source.label(min(self.source.enlarged)),
            )
        for code, what in _USELESS.items():
            self._report(wanted, code, what, reasons, strict)

    def _keep_in_memory(self, index, values, observed):
        packed = None if observed is None else np.packbits(observed)
        self._records[index] = values, packed

    def _fill_on_disk(self, wanted, strict):
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        with filelock.FileLock(f"{self.folder}.lock"):  # of several processes, one decodes
            self._open_folder(len(wanted))
            path = os.path.join(self.folder, "records.bin")
            with open(path, "ab") as file:

                def keep(index, values, observed):
                    self.index[index, _OFFSET] = file.tell()
                    file.write(np.ascontiguousarray(values).tobytes())
                    if observed is not None:
                        file.write(np.packbits(observed).tobytes())

                def save():
                    file.flush()
                    os.fsync(file.fileno())
                    if not self._difference():  # else the files changed meanwhile
                        files.atomic_write(
                            os.path.join(self.folder, "index.npy"),
                            lambda opened: np.save(opened, self.index),
                        )

                reasons = self._decode(wanted, strict, keep, save)
            if os.path.getsize(path):
                self._mapped = np.memmap(path, "uint8", "r")
        return reasons

    def _open_folder(self, count):
        """Reads the index of the folder; makes the folder anew where it holds other images."""
        if os.path.isdir(self.folder):
            differing = self._difference()
            if not differing:
                self.index = np.load(os.path.join(self.folder, "index.npy"))
                return
            _LOG.warning(
                "the cache %s does not fit the images any more (%s): it is made anew",
                *(self.folder, differing),
            )
        root = os.path.dirname(self.folder)
        needed, free = count * self.bytes_per_image, shutil.disk_usage(root).free
        if needed > free:
            raise ValueError(
                "The disk is too small for the cache of decoded images. Received: "
                f"{self.source.name}, {needed / 1e9:.1f} GB needed in {root}, {free / 1e9:.1f} GB "
                "free. Use cache=<a folder on a larger disk>, or a smaller image_size"
            )
        with files.atomic_folder(self.folder) as folder:
            np.save(os.path.join(folder, "index.npy"), self.index)
            files.atomic_write(os.path.join(folder, "records.bin"), b"")
            files.write_json(os.path.join(folder, "about.json"), self.source.fingerprint())

    def _difference(self):
        """What of the folder differs from the source, in words; empty where nothing does."""
        try:
            about = files.read_json(os.path.join(self.folder, "about.json"))
            index = np.load(os.path.join(self.folder, "index.npy"))
            end = os.path.getsize(os.path.join(self.folder, "records.bin"))
        except (OSError, ValueError, EOFError) as error:
            return str(error)
        fingerprint = self.source.fingerprint()
        names = sorted(set(about) | set(fingerprint))
        differing = [name for name in names if about.get(name) != fingerprint.get(name)]
        whole = index.shape == self.index.shape and index[:, _OFFSET].max(initial=0) <= end
        return ", ".join(differing) or ("" if whole else "its files")

    def _decode(self, wanted, strict, keep, save):
        from tqdm import tqdm

        todo = wanted[self.index[wanted, _STATUS] == _TODO]
        reasons = {}
        workers = min(32, os.cpu_count() or 1)
        progress = tqdm(
            total=len(todo),
            desc=f"Decoding {self.source.name}",
            unit="images",
            mininterval=1.0,
            disable=len(todo) < _SHOW_PROGRESS_FROM,
            leave=False,
        )
        waiting, saved = collections.deque(), 0

        def take():
            start, future = waiting.popleft()
            found = future.result()
            for index, item in zip(todo[start : start + len(found)], found, strict=True):
                self._take(int(index), item, keep, reasons, strict)
            progress.update(len(found))

        with progress, concurrent.futures.ThreadPoolExecutor(workers) as pool:
            try:
                for start, job in self.source.jobs(todo):
                    waiting.append((start, pool.submit(self.source.decode, job)))
                    if len(waiting) >= 4 * workers:
                        take()
                    if start >= saved + _SAVE_EVERY:
                        save()
                        saved = start
                while waiting:
                    take()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if len(todo):
            save()
        return reasons

    def _take(self, index, item, keep, reasons, strict):
        if isinstance(item, files.UnreadableImageError):
            if strict:
                raise ValueError(
                    f"An image cannot be read. Received: {self.source.label(index)}: {item}. "
                    "Repair or remove it, or use strict=False to skip such images"
                ) from item
            reasons[index] = f": {item}"
            self.index[index, _STATUS] = _UNREADABLE
            return
        values, observed = item
        keep(index, values, observed)
        self.index[index, _HEIGHT : _WIDTH + 1] = values.shape[:2]
        seen = observed is None or observed.any()
        self.index[index, _STATUS] = _READY if seen else _UNOBSERVED

    def _report(self, wanted, code, what, reasons, strict):
        """Logs skipped images; raises where all are, or with `strict`."""
        bad = wanted[self.index[wanted, _STATUS] == code]
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


_USELESS = {
    _UNREADABLE: ("unreadable", "Repair or remove them, or use strict=False to skip a few."),
    _UNOBSERVED: (
        "without an observed pixel",
        "Check the masks (white, 1 = observed) and mask_from. With image_size, a pixel is observed "
        "only if all the pixels it was made from are.",
    ),
}


def folder_of(source, root):
    """Returns the folder under `root` for the images of a source, prepared as they are."""
    root = os.path.abspath(os.path.expanduser(os.fspath(root)))
    return os.path.join(root, f"images-{digest(source.identity())}")


def default_root():
    """Returns the folder `keras_uai` in Keras's own: KERAS_HOME, or `~/.keras`."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    return os.path.join(home, "keras_uai")


def free_memory():
    """Returns the free bytes of memory, as far as the system tells."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return 4 * 2**30
