"""Image sources: numbered lists of images with their decoders. Free of TensorFlow."""

import dataclasses
import errno
import hashlib
import json
import logging
import math
import os

import numpy as np
from PIL import Image

from keras_uai import files
from keras_uai.checks import check_integer
from keras_uai.datasets import damage, geometry

_LOG = logging.getLogger("keras_uai")
CONTENTS_OF = 4096  # images, of whose contents a digest is
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EMFILE}
_FORMAT = 3  # of caches on disk: raised when decoding, resizing or the files change


def digest(values):
    """Returns a dict of JSON values as 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Preparation:
    """Cropping, resizing and conversion of images; see `keras_uai.datasets.load`."""

    image_size: tuple | int | None = None
    center_crop: int | None = None
    channels: int | None = None
    mask_from: str | None = None
    dtype: str | None = None

    def __post_init__(self):
        if self.image_size is not None:
            size = check_size("image_size", self.image_size)
            object.__setattr__(self, "image_size", size)
        for name in ("center_crop", "channels"):
            if getattr(self, name) is not None:
                check_integer("", name, getattr(self, name), 1)

    def window(self, height, width):
        """Returns height and width of the centred window that is kept of an image."""
        if self.center_crop is not None:
            height = width = self.center_crop
        if self.image_size is None:
            return height, width
        return geometry.largest_window(height, width, self.image_size)

    def apply(self, image):
        """Crops and resizes an image `(H, W, C)` or a mask, bool `(H, W, M)`."""
        window = self.window(*image.shape[:2])
        image = geometry.center_crop(image, *window)
        return geometry.resize(image, *(self.image_size or window))


class Source:
    """A numbered list of images.

    Attributes:
        name: string for messages.
        place: where the images are, if not `name`; see `identity`.
        size: number of images listed, readable or not.
        preparation: the `Preparation`, with `channels` and `dtype` settled.
        mask_channels: number of channels of its masks.
        has_masks: bool, whether the images say which of their pixels are missing.
        is_stored: bool, whether decoded images have to be kept (False: they are arrays already).
        chunk: number of images that are decoded together.
    """

    name = "images"
    place = None
    size = 0
    mask_channels = 1
    is_stored = True
    chunk = 32

    @property
    def has_masks(self):
        return self.preparation.mask_from is not None

    def pixels_per_image(self):
        """Returns the number of pixels of an image; the mean of some where they differ."""
        return math.prod(self.preparation.image_size)

    def identity(self):
        """A dict of JSON values: which images, prepared how. One cache folder on disk for each."""
        return {"source": self.place or self.name, **dataclasses.asdict(self.preparation)}

    def fingerprint(self):
        """A dict of JSON values: all that determines the pixels, and must equal a cache's."""
        return {"format": _FORMAT, "size": self.size, **self.identity(), **self.state()}

    def state(self):
        """A dict of JSON values that change when the files do."""
        return {}

    def content_digest(self):
        """Returns 16 hexadecimal digits that change with the images, not with place and dates."""
        found = hashlib.sha256(str(self.size).encode())
        for part in self.contents():
            found.update(part)
        return found.hexdigest()[:16]

    def contents(self):
        """Yields bytes that tell the images from others: contents of `CONTENTS_OF` of them."""
        yield self.name.encode()

    def label(self, index):
        """Returns the name of an image for messages."""
        return f"image {index} of {self.name}"

    def read(self, indices):
        """Yields `(index, path or bytes or None)` of ascending `indices`; runs in one thread."""
        return ((int(index), None) for index in indices)

    def decode(self, job):
        """Decodes a list of `(index, file)`; runs in several threads.

        Returns:
            list of `(pixels, observed)`, or an `UnreadableImageError`: pixels `(H, W, channels)` of
            `dtype`; observed bool `(H, W, mask_channels)`, or None.
        """
        raise NotImplementedError


class EncodedSource(Source):
    """A source of encoded images: decodes, finds the damage, crops, resizes."""

    masks = None  # paths of the mask files
    first = None  # label and channels of the image that the others must agree with
    _warned = False

    def decode(self, job):
        found = []
        for index, file in job:
            try:
                found.append(self._prepare(index, file))
            except files.UnreadableImageError as error:
                _check_is_there(error)
                found.append(error)
            except ValueError as error:
                raise ValueError(f"{self.label(index)}: {error}") from error
        return found

    def _prepare(self, index, file):
        want = self.preparation
        mask = None if self.masks is None else self.masks[index]
        pixels, observed = damage.read_damaged(file, want.mask_from, mask)
        height, width, channels = pixels.shape
        if want.center_crop is not None and min(height, width) < want.center_crop:
            raise ValueError(
                f"An image is smaller than the crop. Received: {width} x {height} pixels (width x "
                f"height), center_crop={want.center_crop}. Use a center_crop of at most "
                f"{min(height, width)}, or remove the image"
            )
        if self.first and channels != self.first[1]:
            raise ValueError(
                f"Images have different numbers of channels. Received: {self.first[0]} with "
                f"{self.first[1]} and this one with {channels}. Use channels=3 (gray becomes RGB) "
                "or channels=1 (colour becomes gray)"
            )
        enlarged = want.image_size and want.window(height, width)[0] < want.image_size[0]
        if enlarged and not self._warned:
            self._warned = True
            _LOG.warning(
                "%s: images smaller than image_size=%s are enlarged, such as %s",
                *(self.name, want.image_size, self.label(index)),
            )
        pixels = want.apply(_to_dtype(files.to_channels(pixels, want.channels), want.dtype))
        if observed is None:
            return pixels, None
        observed = want.apply(observed[..., None])
        return np.where(observed, pixels, 0), observed


def _check_is_there(error):
    """Raises the cause of `error` if an image that was listed is gone, or its disk fails."""
    while error := error.__cause__:
        is_gone = isinstance(error, OSError) and error.errno in _GONE
        if is_gone and not os.path.islink(error.filename):
            raise OSError(
                error.errno, f"{error.strerror}. Images must stay where they are", error.filename
            )


def check_size(name, value):
    """Returns `(height, width)` of an integer or a pair, or raises a ValueError."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ValueError(
            f"`{name}` must be an integer or a pair (height, width). Received: {name}={value!r}"
        )
    size = tuple(check_integer("", name, n, 1) for n in pair)
    if math.prod(size) > (most := Image.MAX_IMAGE_PIXELS or math.inf):
        raise ValueError(f"`{name}` must have at most {most:,} pixels. Received: {name}={value!r}")
    return size


def check_channels(value):
    """Returns 1, 3 or None, or raises a ValueError."""
    if value not in (None, 1, 3):
        raise ValueError(
            "`channels` must be 1 (gray), 3 (RGB) or None (as in the files). "
            f"Received: channels={value!r}"
        )
    return value


def _to_dtype(pixels, dtype):
    """Converts 8 bits to 16 and back; other dtypes must agree."""
    if pixels.dtype.name == dtype:
        return pixels
    if {pixels.dtype.name, dtype} == {"uint8", "uint16"}:
        return files.to_uint8(pixels) if dtype == "uint8" else pixels.astype("uint16") * 257
    raise ValueError(
        f"Images must all have integer or all floating point pixels. Received: {pixels.dtype} "
        f"where {dtype} is expected"
    )
