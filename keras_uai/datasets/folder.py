"""Image folders: the image files of a folder and of the folders in it."""

import hashlib
import logging
import os

from keras_uai import files
from keras_uai.datasets import damage
from keras_uai.datasets.sources import EncodedSource

_LOG = logging.getLogger("keras_uai")
_UNREAD = (  # images, in formats that are not read
    *(".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd", ".svg", ".exr", ".hdr", ".fits", ".fit"),
    *(
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".raw",
        ".pgm",
        ".ppm",
        ".pnm",
        ".nc",
        ".npy",
        ".npz",
    ),
)


class FolderSource(EncodedSource):
    """The image files of a folder and of the folders in it, sorted by path.

    Args:
        folder: path.
        preparation: a `Preparation`.
        name: string for messages. Default: the path.

    Raises:
        ValueError: no such folder, no images in it, mask files missing or not asked for.
    """

    def __init__(self, folder, preparation, name=None):
        self.folder = os.path.abspath(os.path.expanduser(os.fspath(folder)))
        self.name = name or f"the folder {damage.shown(self.folder)}"
        if not os.path.isdir(self.folder):
            raise ValueError(f"The folder must exist. Received: {self.folder}")
        paths, other = listing(self.folder)
        unread = [path for path in other if path.lower().endswith(_UNREAD)]
        if unread:
            _LOG.warning(
                "%s: %d files of formats that are not read, such as %s",
                *(self.name, len(unread), damage.shown(unread[0])),
            )
        self.paths, masks = damage.split_listing(paths)
        if not self.paths:
            raise ValueError(
                f"The folder must hold images ({', '.join(files.EXTENSIONS)}), also in the folders "
                f"in it. Received: {self.name} with {len(other)} other files"
            )
        self.size = len(self.paths)
        if preparation.mask_from == "sidecar":
            self._match_masks(masks)
        elif masks:
            raise ValueError(
                f"The folder holds {len(masks)} mask files of already damaged images, such as "
                f"{damage.shown(next(iter(masks.values())))}. Received: {self.name}, "
                f'mask_from={preparation.mask_from!r}. Use mask_from="sidecar", or move them '
                "out of the folder"
            )
        self.settle(preparation)

    def _match_masks(self, masks):
        root = self.folder
        if not masks and (found := masks_beside(self.folder)):
            root = os.path.dirname(self.folder)
            masks = found
        without = [path for path in self.paths if damage.stem(path) not in masks]
        if without:
            raise ValueError(
                f"{len(without)} of {self.size} images have no mask file. Received: {self.name}, "
                f'mask_from="sidecar", the first without: {damage.shown(without[0])}. Add '
                "NAME.mask.png or NAME_mask.png beside it, or the same path in a folder `masks` "
                "(white = observed, black = missing)"
            )
        self.masks = [
            os.path.join(root, *masks[damage.stem(path)].split("/")) for path in self.paths
        ]

    def label(self, index):
        return damage.shown(self.file(index))

    def file(self, index):
        return os.path.join(self.folder, *self.paths[index].split("/"))

    def identity(self):
        return {**super().identity(), "source": self.folder}

    def fingerprint(self):
        digest = hashlib.sha256()
        for path in [self.file(i) for i in range(self.size)] + (self.masks or []):
            digest.update(os.fsencode(path))
            try:
                stat = os.stat(path)
                digest.update(f"\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
            except OSError:
                digest.update(b"\0missing\n")
        return {**super().fingerprint(), "files": digest.hexdigest()}


def masks_beside(folder):
    """Finds the mask files in a folder `masks` beside an absolute `folder`.

    Returns:
        dict from `damage.stem` of the image, relative to `folder`, to the mask's path, relative to
        the folder that holds both.
    """
    beside = os.path.join(os.path.dirname(folder), "masks")
    paths = listing(beside)[0] if os.path.isdir(beside) else []
    return damage.split_listing([f"masks/{path}" for path in paths])[1]


def listing(folder):
    """Lists a folder and the folders in it, each once, however links lead to it.

    Returns:
        `(images, others)`: sorted relative paths (with `/`) of the image files and of all others.
        Names that begin with a dot are left out.
    """
    images, others, seen = [], [], set()
    for root, folders, names in os.walk(folder, followlinks=True):
        stat = os.stat(root)
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(root, folder).replace(os.sep, "/")
        for name in names:
            path = name if inside == "." else f"{inside}/{name}"
            if name.lower().endswith(files.EXTENSIONS) and not name.startswith("."):
                images.append(path)
            else:
                others.append(path)
    return sorted(images), sorted(others)
