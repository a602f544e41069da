"""Decoded images on disk: a folder made whole, and trusted for exactly these images only."""

import contextlib
import json
import logging
import os
import shutil
import tempfile

import numpy as np

from keras_uai.datasets.sources import digest

_LOG = logging.getLogger("keras_uai")


def folder_of(source, root):
    """The folder under `root` for the images of a source, prepared as they are."""
    root = os.path.abspath(os.path.expanduser(os.fspath(root)))
    return os.path.join(root, f"images-{digest(source.identity())}")


def default_root():
    """The folder `keras_uai` in Keras's own: that of the variable KERAS_HOME, or `~/.keras`."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    return os.path.join(home, "keras_uai")


def make(source, folder):
    """Makes the cache folder of a source, anew where it is not of exactly these images.

    The folder appears whole, by one rename; `status.npy` is replaced after the images it speaks of
    are on disk. So an interrupted run leaves either nothing or a cache that goes on where it was.

    Files: `images.npy`, `observed.npy` (packed bits, where the source has masks), `status.npy` and
    `about.json`, the fingerprint of the source.
    """
    fingerprint = source.fingerprint()
    if os.path.isdir(folder):
        differing = difference(folder, fingerprint)
        if not differing:
            return
        _LOG.warning(
            "the cache %s does not fit the images any more (%s): it is made anew", folder, differing
        )
        shutil.rmtree(folder)
    root = os.path.dirname(folder)
    os.makedirs(root, exist_ok=True)
    shapes = {"images": (source.size, *source.shape)}
    if source.has_masks:
        shapes["observed"] = (source.size, -(-(source.shape[0] ** 2) // 8))
    needed = sum(int(np.prod(shape)) for shape in shapes.values())
    free = shutil.disk_usage(root).free
    if needed > free:
        raise ValueError(
            f"The disk is too small for the cache of decoded images. Received: {source.name}, "
            f"{needed / 1e9:.1f} GB needed in {root}, {free / 1e9:.1f} GB free. Use "
            "cache=<a folder on a larger disk>, or a smaller image_size."
        )
    temporary = tempfile.mkdtemp(prefix=".new-", dir=root)
    try:
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


def difference(folder, fingerprint):
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


def save_status(folder, status):
    """Replaces `status.npy`, with what another process may have decoded meanwhile.

    Returns:
        The status of both.
    """
    path = os.path.join(folder, "status.npy")
    with contextlib.suppress(OSError):
        status = np.maximum(status, np.load(path))
    handle, temporary = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, status)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return status


def free_memory():
    """Bytes of memory that can be taken without swapping, as far as the system tells."""
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


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
