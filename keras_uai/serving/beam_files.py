"""Images and results on any file system that Beam knows; on this machine's, as without Beam."""

import dataclasses
import os
import re
import uuid

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from keras_uai.datasets import imagefile
from keras_uai.serving import results

LAST = "mean.png"  # the file that is written last: where it is, an image's results are complete
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")


def is_remote(path):
    """Whether a path is on another file system than this machine's."""
    return _SCHEME.match(os.fspath(path)) is not None


def join(folder, *parts):
    """A path in a folder."""
    return FileSystems.join(folder, *parts) if is_remote(folder) else os.path.join(folder, *parts)


def matching(pattern):
    """The image files that a pattern means, or a folder or file of another file system.

    Args:
        pattern: such as `photos/**.png` (`*` within a folder, `**` across folders) or `gs://bucket/photos/`.

    Returns:
        `(root, names, wanted)`: the part of the pattern before its first wildcard up to a `/`; sorted paths, relative
        to it and with `/`, of all image files below; and a set of those of them that the pattern means (masks, too,
        which are not told from images here). None for what is on this machine and has no wildcard.

    Raises:
        ValueError: the file system cannot be read, or Beam knows none for it.
    """
    pattern = os.fspath(pattern)
    wild = re.search(r"[*?\[]", pattern)
    if not (wild or is_remote(pattern)) or os.path.lexists(pattern):
        return None
    if not wild and not _is_image(pattern):
        pattern = f"{pattern.rstrip('/')}/**"
        wild = re.search(r"\*", pattern)
    root = pattern[: pattern.rfind("/", 0, wild.start() if wild else None) + 1]
    try:
        wanted, everything = FileSystems.match([pattern, f"{root}**"])
    except (BeamIOError, ValueError) as error:
        raise ValueError(f"These files cannot be listed: {error}. Received: {pattern}") from error
    wanted, names = (
        {one.path.removeprefix(root) for one in found.metadata_list if _is_image(one.path)}
        for found in (wanted, everything)
    )
    hidden = {name for name in names if name.startswith(".") or "/." in name}
    return root, sorted(names - hidden), wanted


def load(item, limits):
    """`item.load(limits)`, wherever its files are."""
    if is_remote(item.path):
        mask = item.mask and _read(item.mask, limits)
        item = dataclasses.replace(item, path=_read(item.path, limits), mask=mask)
    return item.load(limits)


def exists(out, name):
    """Whether an image's results are there."""
    if is_remote(out):
        return FileSystems.exists(join(_folder(out, name), LAST))
    return os.path.lexists(results.folder(out, name))


def write(out, name, encoded, overwrite):
    """`results.write`; on other file systems, which know no folder that appears whole, `LAST` is written last."""
    if not is_remote(out):
        results.write(out, name, encoded, overwrite)
        return
    folder, files = _folder(out, name), results.files(encoded)
    delete(join(folder, LAST))
    (old,) = FileSystems.match([join(folder, "*")])
    if old.metadata_list:
        FileSystems.delete([one.path for one in old.metadata_list])
    for file in [*(file for file in files if file != LAST), LAST]:
        create(join(folder, file), files[file])


def create(path, data):
    """Writes a file that appears whole."""
    if not is_remote(path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    partial = f"{path}.{uuid.uuid4().hex}.partial"
    with _open(FileSystems.create, partial) as file:
        file.write(data)
    FileSystems.rename([partial], [path])


def delete(path):
    """Deletes a file where there is one."""
    if FileSystems.exists(path):
        FileSystems.delete([path])


def _is_image(path):
    return path.lower().endswith(imagefile.EXTENSIONS)


def _folder(out, name):
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"Results are written below {out}. Received: the name {name!r}")
    return join(out, *name.split("/"))


def _read(path, limits):
    """At most a byte more than is allowed, which whoever looks at it will refuse."""
    try:
        with _open(FileSystems.open, path) as file:
            return file.read(limits.max_bytes + 1)
    except BeamIOError as error:
        raise ValueError(f"This file cannot be read: {error}.") from error


def _open(function, path):
    """As it is: Beam would look at the extension to decide on compression."""
    return function(path, "application/octet-stream", CompressionTypes.UNCOMPRESSED)
