"""Files and folders that appear whole or not at all; JSON and arrays that may be damaged.

Drafts are hidden entries beside their target, named after machine and process. Those of processes
that were killed are removed by the next process that writes into the folder.
"""

import contextlib
import functools
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
import zipfile

import numpy as np


@contextlib.contextmanager
def atomic_path(path):
    """Yields a temporary path beside `path`, with its extension; renames it to `path` at the end.

    After an exception `path` is as it was, and the temporary file is gone. Missing folders above
    `path` are made.
    """
    path = os.path.abspath(os.fspath(path))
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f"{_prefix(folder)}{secrets.token_hex(4)}-{name[-40:]}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync_folder(folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def atomic_write(path, write):
    """Writes a file that appears whole or not at all.

    Args:
        path: of the file.
        write: bytes, a string (written as UTF-8), or a callable that is given the open binary file.

    Example:

    >>> keras_uai.files.atomic_write("scores.npz", lambda file: np.savez(file, scores=[1, 2]))
    """
    with atomic_path(path) as temporary, open(temporary, "xb") as file:
        if callable(write):
            write(file)
        else:
            file.write(write.encode() if isinstance(write, str) else write)


def write_json(path, value, **options):
    """Writes `value` as JSON, whole or not at all; `options` are those of `json.dumps`."""
    atomic_write(path, json.dumps(value, **{"indent": 1, **options}) + "\n")


def read_json(path, *names):
    """Returns the dict that a JSON file holds.

    Raises:
        ValueError: the file holds something else, or no entry of one of the `names`.
    """
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
        if not isinstance(value, dict) or not set(names) <= set(value):
            raise ValueError("it is of another program or version")
    except (ValueError, RecursionError) as error:
        wanted = f" with {', '.join(names)}" if names else ""
        raise ValueError(
            f"The file cannot be read: it must hold a JSON object{wanted}. Restore or remove it. "
            f"Received: {path}: {error}"
        ) from error
    return value


def read_arrays(path):
    """Returns the array of a `.npy` file, mapped into memory, or a dict of those of a `.npz` file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind, or larger than the free memory (`.npz`).
    """
    try:
        with open(path, "rb") as file:
            if file.read(2) != b"PK":
                return np.load(path, mmap_mode="r", allow_pickle=False)
            size = sum(part.file_size for part in zipfile.ZipFile(file).infolist())
            if size > (free := free_memory()):
                raise MemoryError(
                    f"{size / 1e9:.1f} GB, with {free / 1e9:.1f} GB of memory free. A .npy file "
                    "is read as needed"
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as found:
                return dict(found)
    except FileNotFoundError:
        raise
    except Exception as error:  # NumPy, zipfile and zlib have many kinds for damaged files
        raise ValueError(
            f"The file must hold arrays of numbers (.npy, .npz). Received: {path}: {error}"
        ) from error


def free_memory():
    """Returns the free bytes of memory; 4 GiB where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return 1024 * int(re.search(r"MemAvailable:\s*(\d+)", file.read())[1])
    except OSError:
        return 4 * 2**30


@contextlib.contextmanager
def atomic_folder(path):
    """Yields a temporary folder beside `path`; renames it to `path` at the end.

    What was at `path` is replaced. After an exception it is as it was, and the temporary folder is
    gone.
    """
    path = os.path.abspath(os.fspath(path))
    above, name = os.path.split(path)
    with tempfile.TemporaryDirectory(
        prefix=f"{_prefix(above)}{name[-40:]}-", dir=above
    ) as temporary:
        new, old = os.path.join(temporary, "new"), os.path.join(temporary, "old")
        os.mkdir(new)
        yield new
        for folder, _, files in os.walk(new):
            for file in files:
                _sync(os.path.join(folder, file))
        try:
            if os.path.lexists(path):
                os.rename(path, old)
            os.rename(new, path)
        finally:
            if os.path.lexists(old) and not os.path.lexists(path):
                os.rename(old, path)
        _sync_folder(above)


def _prefix(folder):
    """Returns how names of this process's drafts in a folder begin; makes and tidies the folder."""
    os.makedirs(folder, exist_ok=True)
    machine = f".{socket.gethostname()[:40]}-"
    _remove_abandoned(folder, machine, os.getpid())
    return f"{machine}{os.getpid()}-"


@functools.lru_cache(maxsize=256)  # once a folder and process
def _remove_abandoned(folder, machine, process):
    """Removes drafts of processes of this machine that are no more."""
    for name in os.listdir(folder):
        found = re.match(rf"{re.escape(machine)}(\d{{1,7}})-", name)
        path = os.path.join(folder, name)
        # `old`: killed while it replaced a folder, whose content is there.
        if not found or _is_running(int(found[1])) or os.path.exists(os.path.join(path, "old")):
            continue
        with contextlib.suppress(OSError):  # gone by now, or another user's
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def _is_running(process):
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    return True


def _sync(path):
    """Brings a file to the disk. Some systems notice only here that it is full."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path):
    """Brings the names in a folder to the disk, on systems that can."""
    with contextlib.suppress(OSError):
        _sync(path)
