"""Image folders: the image files of a folder and of the folders in it."""

import contextlib
import dataclasses
import hashlib
import itertools
import logging
import mimetypes
import os

import numpy as np

from keras_uai import files
from keras_uai.datasets import damage
from keras_uai.datasets.sources import CONTENTS_OF, EncodedSource, check_channels

_LOG = logging.getLogger("keras_uai")
_CONTENTS_BYTES = 2**16  # of a file, in a digest


class FolderSource(EncodedSource):
    """The image files of a folder and of the folders in it, sorted by path."""

    def __init__(self, folder, preparation, name=None):
        self.folder = os.path.abspath(os.path.expanduser(os.fspath(folder)))
        self.place = damage.shown(self.folder)
        self.name = name or f"the folder {self.place}"
        damage.parse(preparation.mask_from)
        check_channels(preparation.channels)
        if not os.path.isdir(self.folder):
            raise ValueError(f"The folder must exist. Received: {self.folder}")
        paths, other = listing(self.folder)
        self.paths, masks = damage.split_listing(paths)
        if not self.paths:
            raise ValueError(
                f"The folder must hold images ({', '.join(files.EXTENSIONS)}), also in the folders "
                f"in it. Received: {self.name} with {len(other)} other files"
            )
        unread = [path for path in other if (mimetypes.guess_type(path)[0] or "")[:6] == "image/"]
        if unread:
            _LOG.warning(
                "%s: %d files of formats that are not read, such as %s",
                *(self.name, len(unread), damage.shown(unread[0])),
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
        channels, dtype = preparation.channels, preparation.dtype
        if channels is None or dtype is None:
            label, pixels = self._first_readable()
            if channels is None:
                channels = pixels.shape[-1]
                self.first = label, channels
            dtype = dtype or pixels.dtype.name
        self.preparation = dataclasses.replace(preparation, channels=channels, dtype=dtype)

    def _match_masks(self, masks):
        root = self.folder
        if not masks:
            root, masks = os.path.dirname(self.folder), masks_beside(self.folder)
        without = [path for path in self.paths if damage.stem(path) not in masks]
        if without:
            raise ValueError(
                f"{len(without)} of {self.size} images have no mask file. Received: {self.name}, "
                f'mask_from="sidecar", the first without: {damage.shown(without[0])}. Add '
                "NAME.mask.png or NAME_mask.png beside it, or the same path in a folder `masks` "
                "(white = observed, black = missing)"
            )
        self.masks = [os.path.join(root, masks[damage.stem(path)]) for path in self.paths]

    def _first_readable(self):
        reasons = []
        for index in range(self.size):
            try:
                return self.label(index), files.decode_image(self.file(index))[0]
            except files.UnreadableImageError as error:
                reasons.append(error)
        raise ValueError(
            f"An image of {self.name} must be readable. Received: {self.size} images that are not, "
            f"such as {self.label(0)}: {reasons[0]}"
        )

    def pixels_per_image(self):
        if self.preparation.image_size:
            return super().pixels_per_image()
        counts = []
        for index in range(0, self.size, -(-self.size // 16)):
            with contextlib.suppress(files.UnreadableImageError):
                width, height = files.read_header(self.file(index))[:2]
                counts.append(np.prod(self.preparation.window(height, width)))
        return np.mean(counts or [1])

    def label(self, index):
        return damage.shown(self.file(index))

    def file(self, index):
        """Returns the path of one image."""
        return os.path.join(self.folder, self.paths[index])

    def read(self, indices):
        return ((int(index), self.file(index)) for index in indices)

    def contents(self):
        for paths in ([self.file(index) for index in range(self.size)], self.masks or []):
            for number, path in enumerate(paths):
                yield os.fsencode(os.path.relpath(path, self.folder)) + b"\0"
                with contextlib.suppress(OSError):  # a link may lead nowhere
                    yield f"{os.path.getsize(path)}\n".encode()
                    if number % -(-self.size // CONTENTS_OF) == 0:
                        yield files.read_bytes(path, _CONTENTS_BYTES)

    def state(self):
        digest = hashlib.sha256()
        for path in itertools.chain(map(self.file, range(self.size)), self.masks or ()):
            found = None
            with contextlib.suppress(OSError):  # a link may lead nowhere
                stat = os.stat(path)
                found = stat.st_size, stat.st_mtime_ns
            digest.update(os.fsencode(path) + f"\0{found}\n".encode())
        return {"files": digest.hexdigest()}


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
        Names that begin with a dot are left out of the images.

    Raises:
        OSError: one of the folders cannot be listed.
    """

    def fail(error):
        raise error

    images, others, seen = [], [], set()
    for root, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        if (real := os.path.realpath(root)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(root, folder).replace(os.sep, "/") + "/"
        inside = inside.removeprefix("./")
        for name in names:
            is_image = name.lower().endswith(files.EXTENSIONS) and not name.startswith(".")
            (images if is_image else others).append(inside + name)
    return sorted(images), sorted(others)
