"""Decoded images as one uint8 array, in memory or memory-mapped on disk: decoding and resizing
happen once.
"""

import collections
import concurrent.futures
import contextlib
import json
import logging
import os
import shutil
import tempfile
import threading
import weakref

import numpy as np

from keras_uai.datasets.imagefile import UnreadableImageError
from keras_uai.datasets.sources import digest

_LOG = logging.getLogger("keras_uai")
_TODO, _READY, _UNREADABLE, _UNOBSERVED = 0, 1, 2, 3
_SHOW_PROGRESS_FROM = 2000  # images
_SAVE_EVERY = 50_000  # images: what an interrupted run has to decode again, at most
_alive = weakref.WeakValueDictionary()
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
        A `Store` with at least the readable ones of these images.
    """
    size, channels = source.preparation.image_size, source.preparation.channels
    if cache is None:
        needed = len(wanted) * (
            size * size * channels + (size * size // 8 if source.has_masks else 0)
        )
        free = _free_memory()
        cache = "memory"
        if needed > free // 2:
            import keras

            cache = os.path.join(keras.config.keras_home(), "keras_uai")
            _LOG.warning(
                "%s: %.1f GB of decoded images, %.1f GB of memory free: they are kept in %s",
                source.name, needed / 1e9, free / 1e9, cache,
            )  # fmt: skip
    if cache == "memory":
        folder = None
        key = ("memory", digest(source.fingerprint()), len(wanted), hash(wanted.tobytes()))
    else:
        root = os.path.abspath(os.path.expanduser(os.fspath(cache)))
        folder = os.path.join(root, f"images-{digest(source.identity())}")
        key = (folder, digest(source.fingerprint()))
    with _lock:
        store = _alive.get(key)
        if store is None:
            store = Store(source, wanted) if folder is None else _open_on_disk(source, folder)
            _alive[key] = store
        store.fill(wanted, strict)
    return store


class Store:
    """uint8 images of some indices of a source.

    Attributes:
        images: uint8 `(rows, S, S, C)`.
        observed: packed bits `(rows, ceil(S * S / 8))` where the source has masks, else None.
        status: uint8 `(rows,)`: to do, ready, unreadable, or without an observed pixel.
    """

    def __init__(self, source, indices, folder=None):
        self.source = source
        self.folder = folder
        self.indices = np.asarray(indices)
        size, channels = source.preparation.image_size, source.preparation.channels
        self.shape = (size, size, channels)
        rows = len(self.indices)
        if folder is None:
            self.images = np.empty((rows, *self.shape), "uint8")
            self.observed = (
                np.empty((rows, -(-size * size // 8)), "uint8") if source.has_masks else None
            )
            self.status = np.zeros((rows,), "uint8")
        else:
            self.images = np.load(os.path.join(folder, "images.npy"), mmap_mode="r+")
            self.observed = None
            if source.has_masks:
                self.observed = np.load(os.path.join(folder, "observed.npy"), mmap_mode="r+")
            self.status = np.load(os.path.join(folder, "status.npy"))

    def rows(self, indices):
        """The rows of `indices`, all of which must be in the store."""
        return np.searchsorted(self.indices, indices)

    def readable(self, indices):
        """Those of `indices` whose image could be used."""
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

    # -- filling ----------------------------------------------------------------------------------

    def fill(self, wanted, strict=False):
        """Decodes what of `wanted` is not decoded yet; tells what could not be used."""
        rows = self.rows(wanted)
        todo = wanted[self.status[rows] == _TODO]
        reasons = {}
        if len(todo):
            self._decode(todo, reasons, strict)
            if self.folder is not None:
                self._save_status()
        self._report(wanted, rows, reasons, strict)

    def _decode(self, todo, reasons, strict):
        from tqdm import tqdm

        workers = min(32, os.cpu_count() or 1)
        with (
            concurrent.futures.ThreadPoolExecutor(workers) as pool,
            tqdm(
                total=len(todo),
                desc=f"Decoding {self.source.name}",
                unit="images",
                delay=1.0,
                disable=len(todo) < _SHOW_PROGRESS_FROM,
                leave=False,
            ) as progress,
        ):
            waiting = collections.deque()
            saved = 0
            try:
                for start, job in self.source.jobs(todo):
                    waiting.append((start, pool.submit(self.source.decode, job)))
                    if len(waiting) >= 4 * workers:
                        progress.update(self._keep(todo, *waiting.popleft(), reasons, strict))
                    if self.folder is not None and start >= saved + _SAVE_EVERY:
                        self._save_status()
                        saved = start
                while waiting:
                    progress.update(self._keep(todo, *waiting.popleft(), reasons, strict))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _keep(self, todo, start, future, reasons, strict):
        found = future.result()
        for offset, item in enumerate(found):
            index = todo[start + offset]
            row = self.rows(index)
            if isinstance(item, UnreadableImageError):
                reasons[int(index)] = str(item)
                if strict:
                    raise ValueError(
                        f"An image cannot be read. Received: {self.source.label(index)}: "
                        f"{item}. Repair or remove it, "
                        "or use strict=False to skip such images."
                    )
                self.status[row] = _UNREADABLE
                continue
            pixels, observed = item
            self.images[row] = pixels
            if observed is not None:
                self.observed[row] = np.packbits(observed)
            self.status[row] = _READY if observed is None or observed.any() else _UNOBSERVED
        return len(found)

    def _report(self, wanted, rows, reasons, strict):
        status = self.status[rows]
        source = self.source
        for code, what in ((_UNREADABLE, "unreadable"), (_UNOBSERVED, "without an observed pixel")):
            bad = wanted[status == code]
            if not len(bad):
                continue
            if strict or len(bad) == len(wanted):
                why = reasons.get(int(bad[0]), "")
                raise ValueError(
                    f"{source.name}: {len(bad)} of {len(wanted)} images are {what}. Received, "
                    f"first: "
                    f"{source.label(bad[0])}{': ' + why if why else ''}. " + _ADVICE[code]
                )
            for index in bad[:10]:
                why = reasons.get(int(index), "")
                _LOG.warning(
                    "skipped, %s: %s%s", what, source.label(index), ": " + why if why else ""
                )
            _LOG.warning(
                "%s: skipped %d of %d images, %s", source.name, len(bad), len(wanted), what
            )

    def _save_status(self):
        if _differing(self.folder, self.source.fingerprint()):
            return  # the files changed meanwhile and another store took the folder over
        self.images.flush()
        if self.observed is not None:
            self.observed.flush()
        path = os.path.join(self.folder, "status.npy")
        with contextlib.suppress(OSError):  # another process may have decoded others meanwhile
            self.status = np.maximum(self.status, np.load(path))
        _write_atomically(path, lambda file: np.save(file, self.status))


_ADVICE = {
    _UNREADABLE: (
        "Repair or remove them, or use strict=False to skip unreadable images where others can be "
        "read."
    ),
    _UNOBSERVED: (
        "A pixel is observed only if all the pixels it was made from are: use a larger image_size "
        "(or the images' own size), or check mask_from."
    ),
}


def _open_on_disk(source, folder):
    """The store of a cache folder, which is made, or made anew where it is not of exactly these
    images.

    The folder appears whole, by one rename; `status.npy` is replaced after the images it speaks
    of are on disk. So an interrupted run leaves either nothing or a cache that goes on where it
    was.
    """
    fingerprint = source.fingerprint()
    if os.path.isdir(folder):
        differing = _differing(folder, fingerprint)
        if not differing:
            return Store(source, np.arange(source.size), folder)
        _LOG.warning(
            "the cache %s does not fit the images any more (%s): it is made anew", folder, differing
        )
        shutil.rmtree(folder)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    size, channels = source.preparation.image_size, source.preparation.channels
    temporary = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(folder))
    try:
        shapes = {"images": (source.size, size, size, channels)}
        if source.has_masks:
            shapes["observed"] = (source.size, -(-size * size // 8))
        for name, shape in shapes.items():
            path = os.path.join(temporary, f"{name}.npy")
            np.lib.format.open_memmap(path, mode="w+", dtype="uint8", shape=shape)
        np.save(os.path.join(temporary, "status.npy"), np.zeros((source.size,), "uint8"))
        with open(os.path.join(temporary, "about.json"), "w", encoding="utf-8") as file:
            json.dump(fingerprint, file, indent=1, sort_keys=True)
        os.chmod(temporary, 0o777 & ~_umask())
        with contextlib.suppress(OSError):  # another process was first
            os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Store(source, np.arange(source.size), folder)


def _differing(folder, fingerprint):
    """What of a cache folder differs from the fingerprint, in words; empty where nothing does."""
    try:
        with open(os.path.join(folder, "about.json"), encoding="utf-8") as file:
            about = json.load(file)
        shape = np.load(os.path.join(folder, "images.npy"), mmap_mode="r").shape
        status = np.load(os.path.join(folder, "status.npy"))
    except (OSError, ValueError, EOFError) as error:
        return str(error)
    names = sorted(set(about) | set(fingerprint))
    differing = [name for name in names if about.get(name) != fingerprint.get(name)]
    if not differing and not shape[0] == len(status) == fingerprint["size"]:
        differing = ["number of images"]
    return ", ".join(differing)


def _write_atomically(path, write):
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _free_memory():
    """Bytes of memory that can be taken without swapping."""
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
