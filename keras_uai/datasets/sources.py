"""Where images come from: a numbered list of images and how each is decoded, free of TensorFlow.

A source knows what determines its pixels (`fingerprint`), so that a cache of them can be trusted
or rejected.
"""

import dataclasses
import hashlib
import json

import numpy as np

from keras_uai import files
from keras_uai.checks import check_integer
from keras_uai.datasets import damage, geometry

_FORMAT = 2  # of the decoded pixels: raised when decoding or resizing changes


def digest(values):
    """Returns a dict of JSON values as 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How an image is cropped and resized; see `keras_uai.datasets.load`.

    Args:
        image_size: `(height, width)`, an integer for squares, or None: images keep their size.
        center_crop: integer, side of the square cut out before resizing, or None.
        channels: integer, or None: as in the images.
        mask_from: see `keras_uai.datasets.load`.
        dtype: string, or None: that of the images.
    """

    image_size: tuple | int | None = None
    center_crop: int | None = None
    channels: int | None = None
    mask_from: str | None = None
    dtype: str | None = None

    def __post_init__(self):
        size = self.image_size
        if size is not None:
            object.__setattr__(self, "image_size", check_size("image_size", size))
        if self.center_crop is not None:
            check_integer("", "center_crop", self.center_crop, 1)

    def apply(self, pixels, observed=None):
        """Crops and resizes an image `(H, W, C)` and its mask, bool `(H, W, M)` or None."""
        window = self.window(*pixels.shape[:2])
        size = self.image_size or window
        pixels = geometry.resize(geometry.center_crop(pixels, *window), *size)
        if observed is None:
            return pixels, None
        observed = geometry.resize_observed(geometry.center_crop(observed, *window), *size)
        return pixels, observed

    def window(self, height, width):
        """Returns height and width of the centred window that is kept of an image."""
        if self.center_crop is not None:
            height = width = self.center_crop
        if self.image_size is None:
            return height, width
        return geometry.largest_window(height, width, self.image_size)


class Source:
    """A numbered list of images.

    Attributes:
        name: string for messages.
        size: number of images listed, readable or not.
        preparation: the `Preparation`, with `channels` and `dtype` settled.
        mask_channels: number of channels of its masks.
        has_masks: bool, whether the images say which of their pixels are missing.
        is_stored: bool, whether decoded images have to be kept (False: they are arrays already).
        enlarged: indices of images that were enlarged to `image_size`.
    """

    name = "images"
    size = 0
    mask_channels = 1
    is_stored = True
    chunk = 32  # images a job of the thread pool decodes
    enlarged = frozenset()

    @property
    def has_masks(self):
        return self.preparation.mask_from is not None

    def typical_size(self):
        """Returns height and width of its images; a typical one where they differ."""
        return self.preparation.image_size

    def identity(self):
        """A dict of JSON values: which images, prepared how. One cache folder on disk for each."""
        return {"source": self.name, **dataclasses.asdict(self.preparation)}

    def fingerprint(self):
        """A dict of JSON values: all that determines the pixels, and must equal a cache's."""
        return {"format": _FORMAT, "size": self.size, **self.identity()}

    def label(self, index):
        """Returns the name of an image for messages."""
        return f"image {index} of {self.name}"

    def jobs(self, indices):
        """Yields `(start, job)` for consecutive chunks of `indices`; runs in one thread."""
        for start in range(0, len(indices), self.chunk):
            yield start, [int(i) for i in indices[start : start + self.chunk]]

    def decode(self, job):
        """Decodes a job; runs in several threads.

        Returns:
            A list of `(pixels, observed)`, or `UnreadableImageError`, of each image. pixels
            `(H, W, channels)` of `dtype`; observed bool `(H, W, mask_channels)`, or None.
        """
        raise TypeError(
            f"{type(self).__name__} decodes nothing. Received: a job of {len(job)} images"
        )


class EncodedSource(Source):
    """A source of encoded images (files, or bytes): decodes, finds the damage, crops, resizes."""

    def settle(self, preparation):
        """Takes channels and dtype from the first readable image, unless they are given."""
        damage.parse(preparation.mask_from)
        check_channels(preparation.channels)
        self.enlarged = set()
        self.first = None
        if preparation.channels is None or preparation.dtype is None:
            self.first, pixels = self._first_readable()
            if preparation.channels is None:
                self.free_channels = pixels.shape[-1]
        self.preparation = dataclasses.replace(
            preparation,
            channels=preparation.channels or pixels.shape[-1],
            dtype=preparation.dtype or pixels.dtype.name,
        )

    masks = None  # paths of the mask files
    free_channels = None  # those of the first image, where the caller left them open

    def file(self, index):
        """Returns the path or the encoded bytes of one image."""
        raise TypeError(f"{type(self).__name__} has no files. Received: index={index}")

    def mask_file(self, index):
        """Returns the path of the mask file of one image, or None."""
        return None if self.masks is None else self.masks[index]

    def typical_size(self):
        if self.preparation.image_size is not None:
            return self.preparation.image_size
        sizes = []
        for index in range(0, self.size, -(-self.size // 16)):
            try:
                width, height, _, orientation = files.read_header(self.file(index))
            except files.UnreadableImageError:
                continue
            turned = (width, height) if orientation > 4 else (height, width)
            sizes.append(self.preparation.window(*turned))
        return tuple(int(n) for n in np.ceil(np.mean(sizes or [(1, 1)], axis=0)))

    def decode(self, job):
        found = []
        for item in job:
            index, file = item if isinstance(item, tuple) else (item, self.file(item))
            try:
                found.append(self._prepare(index, file))
            except files.UnreadableImageError as error:
                found.append(error)
            except ValueError as error:
                raise ValueError(f"{self.label(index)}: {error}") from error
        return found

    def _first_readable(self):
        reason = None
        for index in range(self.size):
            try:
                return index, files.decode_image(self.file(index))[0]
            except files.UnreadableImageError as error:
                reason = reason or f"{self.label(index)}: {error}"
        raise ValueError(
            f"None of the {self.size} images of {self.name} can be read. Received, first: {reason}"
        )

    def _prepare(self, index, file):
        want = self.preparation
        mask = self.mask_file(index)
        if want.mask_from == "sidecar" and mask is None:
            raise ValueError('There are no mask files. Received: mask_from="sidecar"')
        pixels, observed = damage.read_damaged(file, want.mask_from, mask)
        height, width, channels = pixels.shape
        if want.center_crop is not None and min(height, width) < want.center_crop:
            raise ValueError(
                f"An image is smaller than the crop. Received: {width} x {height} pixels (width x "
                f"height), center_crop={want.center_crop}. Use a center_crop of at most "
                f"{min(height, width)}, or remove the image"
            )
        if self.free_channels not in (None, channels):
            raise ValueError(
                f"Images have different numbers of channels. Received: {self.label(self.first)} "
                f"with {self.free_channels} and this one with {channels}. Use channels=3 (gray "
                "becomes RGB) or channels=1 (colour becomes gray)"
            )
        if want.image_size is not None and want.window(height, width)[0] < want.image_size[0]:
            self.enlarged.add(index)
        pixels = _to_dtype(files.to_channels(pixels, want.channels), want.dtype)
        observed = None if observed is None else observed[..., None]
        pixels, observed = want.apply(pixels, observed)
        return pixels if observed is None else np.where(observed, pixels, 0), observed


def chunks_of(records, indices, size):
    """Yields `(start, job)` of records that are read from start to end, those of `indices` only.

    Args:
        records: iterable of functions that return an encoded image, in the order of indices.
        indices: int64, ascending.
        size: number of images a job.
    """
    wanted, start, job = set(indices.tolist()), 0, []
    for index, record in enumerate(records):
        if index in wanted:
            job.append((index, record()))
        if len(job) == size:
            yield start, job
            start, job = start + len(job), []
    if job:
        yield start, job


def check_size(name, value):
    """Returns `(height, width)` of an integer or a pair, or raises a ValueError."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ValueError(
            f"`{name}` must be an integer or a pair (height, width). Received: {name}={value!r}"
        )
    return tuple(check_integer("", name, n, 1) for n in pair)


def check_channels(value):
    """Returns 1, 3 or None, or raises a ValueError."""
    if value not in (None, 1, 3) or isinstance(value, bool):
        raise ValueError(
            "`channels` must be 1 (gray), 3 (RGB) or None (as in the files). "
            f"Received: channels={value!r}"
        )
    return value


def _to_dtype(pixels, dtype):
    """Converts 8 bits to 16 and back; other dtypes must agree."""
    if pixels.dtype.name == dtype:
        return pixels
    if (pixels.dtype.name, dtype) == ("uint16", "uint8"):
        return files.to_uint8(pixels)
    if (pixels.dtype.name, dtype) == ("uint8", "uint16"):
        return pixels.astype("uint16") * np.uint16(257)
    raise ValueError(
        f"Images must all have integer or all floating point pixels. Received: {pixels.dtype} "
        f"where {dtype} is expected"
    )
