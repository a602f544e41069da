"""Where images come from: a numbered list of images and how each is decoded, free of TensorFlow.

A source knows what determines its pixels (`fingerprint`), so that a cache of them can be trusted
or rejected.
"""

import dataclasses
import hashlib
import json

import numpy as np

from keras_uai.datasets import damage, imagefile

_FORMAT = 1  # of the decoded pixels: raised when decoding or resizing changes


def digest(values):
    """A dict of JSON values as 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How an image becomes a square of `image_size`; see `keras_uai.datasets.load`."""

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
        enlarged: indices of images that were enlarged to `image_size`.
    """

    name = "images"
    size = 0
    chunk = 32  # images a job of the thread pool decodes
    enlarged = frozenset()

    @property
    def shape(self):
        return (self.preparation.image_size,) * 2 + (self.preparation.channels,)

    @property
    def has_masks(self):
        return self.preparation.mask_from is not None

    def identity(self):
        """A dict of JSON values: which images, prepared how. One cache folder on disk for each."""
        return {"source": self.name, **dataclasses.asdict(self.preparation)}

    def fingerprint(self):
        """A dict of JSON values: all that determines the pixels, and must equal a cache's."""
        return {"format": _FORMAT, "size": self.size, **self.identity()}

    def label(self, index):
        """What messages call the image of that index."""
        return f"image {index} of {self.name}"

    def jobs(self, indices):
        """Yields `(start, job)` for consecutive chunks of `indices`; runs in one thread."""
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
    """A source of encoded images (files, or bytes): decodes, crops, resizes, finds the damage."""

    def settle(self, preparation):
        """Takes size and channels from the first readable image where the caller left them open."""
        self.kind, self.color = damage.parse(preparation.mask_from)
        size = check_size("image_size", preparation.image_size)
        crop = check_size("crop_size", preparation.crop_size)
        channels = check_channels(preparation.channels)
        self.enlarged = set()
        self.first = self.free_size = self.free_channels = None
        if (size is None and crop is None) or channels is None:
            self.first, pixels = self._first_readable()
            if size is None and crop is None:
                self.free_size = size = min(pixels.shape[:2])
            if channels is None:
                self.free_channels = channels = pixels.shape[-1]
        self.preparation = Preparation(size or crop, crop, channels, preparation.mask_from)

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
                return index, imagefile.decode(self.file(index))[0]
            except imagefile.UnreadableImageError as error:
                reason = reason or f"{self.label(index)}: {error}"
        raise ValueError(
            f"None of the {self.size} images of {self.name} can be read. Received, first: {reason}."
        )

    def _prepare(self, index, file):
        want = self.preparation
        pixels, alpha = imagefile.decode(file)
        observed = self._observed(index, pixels, alpha)
        side = self._check(index, pixels)
        if side < want.image_size:
            self.enlarged.add(index)
        pixels = imagefile.center_crop(imagefile.to_channels(pixels, want.channels), side)
        pixels = imagefile.resize(pixels, want.image_size)
        if observed is None:
            return pixels, None
        observed = imagefile.resize_observed(imagefile.center_crop(observed, side), want.image_size)
        return np.where(observed[..., None], pixels, np.uint8(0)), observed

    def _check(self, index, pixels):
        """The side of the square to cut out of an image that fits the others."""
        height, width, channels = pixels.shape
        what = f"{self.label(index)} of {width} x {height} pixels (width x height)"
        least = min(height, width)
        side = self.preparation.crop_size or least
        if least < side:
            raise ValueError(
                f"An image is smaller than the crop. Received: {what}, crop_size={side}. Use a "
                f"crop_size of at most {least}, or remove the image."
            )
        if self.free_size not in (None, least):
            raise ValueError(
                f"Images have different sizes. Received: {what}, but the smaller side of "
                f"{self.label(self.first)} is {self.free_size}. Say which size you want: "
                "image_size=..., and crop_size=... to cut instead of to shrink."
            )
        if self.free_channels not in (None, channels):
            raise ValueError(
                f"Images have different numbers of channels. Received: {self.label(self.first)} "
                f"with {self.free_channels} and {self.label(index)} with {channels}. Use "
                "channels=3 (gray becomes RGB) or channels=1 (colour becomes gray)."
            )
        return side

    def _observed(self, index, pixels, alpha):
        if self.kind is None:
            if alpha is not None and (alpha < 255).any():
                raise ValueError(
                    f"An image has transparent pixels. Received: {self.label(index)}, "
                    'mask_from=None. Use mask_from="alpha" (transparent = missing), or save it '
                    "without an alpha channel."
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
                f"{pixels.shape[1]} x {pixels.shape[0]} pixels, its mask {path} of "
                f"{observed.shape[1]} x {observed.shape[0]}."
            )
        return observed


def check_size(name, value):
    """A size as an int or None, or a ValueError that names it."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer or None. Received: {name}={value!r}")
    return int(value)


def check_channels(value):
    """1, 3 or None, or a ValueError."""
    if value not in (None, 1, 3):
        raise ValueError(
            "`channels` must be 1 (gray), 3 (RGB) or None (as in the files). "
            f"Received: channels={value!r}"
        )
    return value
