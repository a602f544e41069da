"""Where images come from: a numbered list of images and how each is decoded, free of TensorFlow.

A source knows what determines its pixels (`fingerprint`), so that a cache of them can be trusted
or rejected.
"""

import dataclasses
import hashlib
import json
import os

import numpy as np

from keras_uai.datasets import damage, imagefile

_FORMAT = 1  # of the decoded pixels: raised when decoding or resizing changes


def digest(values):
    """A dict of JSON values as 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How an image becomes a square of `image_size`: see `keras_uai.datasets.load` for the
    arguments.
    """

    image_size: int | None = None
    crop_size: int | None = None
    channels: int | None = None
    mask_from: str | None = None


class Source:
    """A numbered list of images.

    Attributes:
        name: what messages call it.
        size: number of images listed, readable or not.
        preparation: the `Preparation`, with `image_size` and `channels` settled.
    """

    name = "images"
    size = 0
    chunk = 32  # images a job of the thread pool decodes

    @property
    def has_masks(self):
        return self.preparation.mask_from is not None

    def identity(self):
        """A dict of JSON values: which images, prepared how. A cache on disk has a folder for
        each.
        """
        return {"source": self.name, **dataclasses.asdict(self.preparation)}

    def fingerprint(self):
        """A dict of JSON values: everything that determines the pixels. A cache is used only if
        all of it is equal.
        """
        return {"format": _FORMAT, "size": self.size, **self.identity()}

    def label(self, index):
        """What messages call the image of that index."""
        return f"image {index} of {self.name}"

    def jobs(self, indices):
        """Yields `(start, job)` for consecutive chunks of `indices`, in order; runs in one
        thread.
        """
        for start in range(0, len(indices), self.chunk):
            yield start, [int(i) for i in indices[start : start + self.chunk]]

    def decode(self, job):
        """`[(pixels, observed) or UnreadableImageError, ...]` of a job; runs in several threads.

        pixels: uint8 `(image_size, image_size, channels)`; observed: boolean `(image_size,
            image_size)` or None.
        """
        raise TypeError(
            f"{type(self).__name__} decodes nothing. Received: a job of {len(job)} images."
        )


class EncodedSource(Source):
    """A source of encoded images (files, or bytes): decodes, crops, resizes, finds the missing
    pixels.
    """

    def settle(self, preparation):
        """Takes image size and channels from the first readable image where the caller left them
        open.
        """
        self.kind, self.color = damage.parse(preparation.mask_from)
        for name in ("image_size", "crop_size"):
            value = getattr(preparation, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1
            ):
                raise ValueError(
                    f"`{name}` must be a positive integer or None. Received: {name}={value!r}"
                )
        if preparation.channels not in (None, 1, 3):
            raise ValueError(
                f"`channels` must be 1 (gray), 3 (RGB) or None (as in the files). "
                f"Received: channels={preparation.channels!r}"
            )
        self.preparation = preparation
        self.first = None
        size, channels = preparation.image_size, preparation.channels
        if size is None or channels is None:
            pixels = self._first_readable()
            size = size or preparation.crop_size or min(pixels.shape[:2])
            channels = channels or pixels.shape[-1]
        self.preparation = dataclasses.replace(
            preparation, image_size=int(size), channels=int(channels)
        )

    def file(self, index):
        """Path or encoded bytes of one image."""
        raise TypeError(f"{type(self).__name__} has no files. Received: index={index}")

    def mask_file(self, index):
        """Path of the mask file of one image (`mask_from="sidecar"`)."""
        raise ValueError(
            f'{self.name} has no mask files. Received: mask_from="sidecar". Use mask_from=None.'
        )

    def decode(self, job):
        found = []
        for item in job:
            index, file = item if isinstance(item, tuple) else (item, self.file(item))
            try:
                found.append(self._prepare(index, file))
            except imagefile.UnreadableImageError as error:
                found.append(error)
        return found

    def _first_readable(self):
        reason = None
        for index in range(self.size):
            try:
                pixels, _ = imagefile.decode(self.file(index))
                self.first = (index, pixels.shape)
                return pixels
            except imagefile.UnreadableImageError as error:
                reason = reason or f"{self.label(index)}: {error}"
        raise ValueError(
            f"None of the {self.size} images of {self.name} can be read. Received, first: {reason}."
        )

    def _prepare(self, index, file):
        want = self.preparation
        pixels, alpha = imagefile.decode(file)
        observed = self._observed(index, pixels, alpha)
        height, width, channels = pixels.shape
        side = want.crop_size or min(height, width)
        if min(height, width) < side:
            raise ValueError(
                f"An image is smaller than the crop. Received: {self.label(index)} of {width} x "
                f"{height} pixels "
                f"(width x height), crop_size={side}. Use a crop_size of at most "
                f"{min(height, width)}, or remove it."
            )
        if channels != want.channels and self.first is not None and self.first[1][-1] != channels:
            raise ValueError(
                f"Images have different numbers of channels. Received: "
                f"{self.label(self.first[0])} with "
                f"{self.first[1][-1]} and {self.label(index)} with {channels}. Use channels=3 "
                f"(gray becomes RGB) or "
                "channels=1 (colour becomes gray)."
            )
        pixels = imagefile.center_crop(imagefile.to_channels(pixels, want.channels), side)
        pixels = imagefile.resize(pixels, want.image_size)
        if observed is None:
            return pixels, None
        observed = imagefile.resize_observed(imagefile.center_crop(observed, side), want.image_size)
        return np.where(observed[..., None], pixels, np.uint8(0)), observed

    def _observed(self, index, pixels, alpha):
        if self.kind is None:
            if alpha is not None and (alpha < 255).any():
                raise ValueError(
                    f"An image has transparent pixels. Received: {self.label(index)}, "
                    f"mask_from=None. Use "
                    'mask_from="alpha" (transparent = missing), or save it without an alpha '
                    "channel."
                )
            return None
        if self.kind == "alpha":
            return damage.observed_from_alpha(alpha, pixels.shape[:2])
        if self.kind == "color":
            return damage.observed_from_color(pixels, self.color)
        path = self.mask_file(index)
        try:
            observed = damage.observed_from_file(path)
        except imagefile.UnreadableImageError as error:
            raise imagefile.UnreadableImageError(f"its mask {path}: {error}") from error
        if observed.shape != pixels.shape[:2]:
            raise ValueError(
                f"A mask must have the size of its image. Received: {self.label(index)} of "
                f"{pixels.shape[1]} x "
                f"{pixels.shape[0]} pixels, its mask {path} of {observed.shape[1]} x "
                f"{observed.shape[0]}."
            )
        return observed


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
        paths, other = _listing(self.folder)
        self.paths, sidecars = damage.split_listing(paths)
        if not self.paths:
            raise ValueError(
                f"The folder holds no images ({', '.join(imagefile.EXTENSIONS)}, also in the "
                f"folders in it). "
                f"Received: {self.folder}, with {other} other files."
            )
        self.size = len(self.paths)
        self.masks = None
        if preparation.mask_from == "sidecar":
            self._match_masks(sidecars)
        elif sidecars:
            raise ValueError(
                f"The folder holds {len(sidecars)} mask files, such as "
                f"{next(iter(sidecars.values()))}, of already "
                f"damaged images. Received: {self.folder}, mask_from={preparation.mask_from!r}. "
                f"Use "
                'mask_from="sidecar", or move them out of the folder.'
            )
        self.settle(preparation)

    def _match_masks(self, sidecars):
        beside = os.path.join(os.path.dirname(self.folder), "masks")
        root = self.folder
        if not sidecars and os.path.isdir(beside):
            root = os.path.dirname(self.folder)
            sidecars = damage.split_listing([f"masks/{path}" for path in _listing(beside)[0]])[1]
        stems = [os.path.splitext(path)[0] for path in self.paths]
        without = [
            path for path, stem in zip(self.paths, stems, strict=True) if stem not in sidecars
        ]
        if without:
            raise ValueError(
                f"{len(without)} of {self.size} images have no mask file. Received: {self.folder}, "
                f'mask_from="sidecar", the first without: {without[0]}. Add NAME.mask.png or '
                f"NAME_mask.png beside it, "
                "or the same path in a folder `masks` (white = observed, black = missing)."
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


def _listing(folder):
    """Relative paths (with `/`) of the image files in a folder and below, sorted, and the number
    of other files.
    """
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
