"""Image folders: the JPEG, PNG and WebP files of a folder and of the folders in it."""

import hashlib
import os

from keras_uai.datasets import damage, imagefile
from keras_uai.datasets.sources import EncodedSource


class FolderSource(EncodedSource):
    """The JPEG, PNG and WebP files of a folder and the folders in it, sorted by path.

    Args:
        folder: path.
        preparation: a `Preparation`.
        name: what messages call it; the path by default.

    Raises:
        ValueError: no such folder, no images in it, mask files missing or not asked for.
    """

    def __init__(self, folder, preparation, name=None):
        self.folder = os.path.abspath(os.path.expanduser(os.fspath(folder)))
        self.name = name or f"the folder {self.folder}"
        if not os.path.isdir(self.folder):
            raise ValueError(
                f"There is no such folder. Received: {os.fspath(folder)!r} (that is {self.folder})."
            )
        paths, other = listing(self.folder)
        self.paths, sidecars = damage.split_listing(paths)
        if not self.paths:
            raise ValueError(
                f"The folder holds no images ({', '.join(imagefile.EXTENSIONS)}, also in the "
                f"folders in it). Received: {self.folder}, with {other} other files."
            )
        self.size = len(self.paths)
        self.masks = None
        if preparation.mask_from == "sidecar":
            self._match_masks(sidecars)
        elif sidecars:
            raise ValueError(
                f"The folder holds {len(sidecars)} mask files of already damaged images, such as "
                f"{next(iter(sidecars.values()))}. Received: {self.folder}, "
                f'mask_from={preparation.mask_from!r}. Use mask_from="sidecar", or move them '
                "out of the folder."
            )
        self.settle(preparation)

    def _match_masks(self, sidecars):
        root = self.folder
        if not sidecars and (found := masks_beside(self.folder)):
            root, sidecars = os.path.dirname(self.folder), found
        stems = [os.path.splitext(path)[0] for path in self.paths]
        without = [
            path for path, stem in zip(self.paths, stems, strict=True) if stem not in sidecars
        ]
        if without:
            raise ValueError(
                f"{len(without)} of {self.size} images have no mask file. Received: {self.folder}, "
                f'mask_from="sidecar", the first without: {without[0]}. Add NAME.mask.png or '
                "NAME_mask.png beside it, or the same path in a folder `masks` (white = observed, "
                "black = missing)."
            )
        self.masks = [os.path.join(root, *sidecars[stem].split("/")) for stem in stems]

    def label(self, index):
        return os.path.join(self.folder, *self.paths[index].split("/"))

    def file(self, index):
        return self.label(index)

    def mask_file(self, index):
        return self.masks[index]

    def identity(self):
        return {**super().identity(), "source": self.folder}

    def fingerprint(self):
        files = hashlib.sha256()
        for path in [self.label(i) for i in range(self.size)] + (self.masks or []):
            stat = os.stat(path)
            files.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        return {**super().fingerprint(), "files": files.hexdigest()}


def masks_beside(folder):
    """`{path without extension: path}` of the mask files in a folder `masks` beside an absolute `folder`; the former
    relative to `folder`, the latter to what holds both.
    """
    beside = os.path.join(os.path.dirname(folder), "masks")
    paths = listing(beside)[0] if os.path.isdir(beside) else []
    return damage.split_listing([f"masks/{path}" for path in paths])[1]


def listing(folder):
    """Sorted relative paths (with `/`) of the image files below, and the number of other files."""
    paths, other = [], 0
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(root, folder).replace(os.sep, "/")
        for name in files:
            if name.lower().endswith(imagefile.EXTENSIONS) and not name.startswith("."):
                paths.append(name if inside == "." else f"{inside}/{name}")
            else:
                other += 1
    return sorted(paths), other
