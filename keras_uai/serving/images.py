"""Images and masks as a client is given them, checked before anything is sent."""

import dataclasses
import os

import numpy as np

from keras_uai import checks, files
from keras_uai.datasets import damage
from keras_uai.serving.fitting import Placement


@dataclasses.dataclass
class Prepared:
    """A batch of images, ready to be sent and put together again.

    Args:
        image: `(N, H, W, C)`, as the caller gave it, without alpha.
        seen: boolean `(N, H, W, M)`, True = observed.
        pixels: `image` in the model's channels, 0 where missing.
        y: float32, `pixels` in the units of `serving_default`, in the model's layout.
        mask: float32, `seen` in the model's layout.
        values: `ValueScaling` of integer images of a model of images, else None.
        placement: `Placement` in a fixed layout, or None.
    """

    image: np.ndarray
    seen: np.ndarray
    pixels: np.ndarray
    y: np.ndarray
    mask: np.ndarray
    values: object
    placement: Placement | None

    @property
    def unit(self):
        """The image's units in a unit of `serving_default`."""
        return 1.0 if self.values is None else np.iinfo(self.values.dtype).max / 2.0

    def finish(self, filled):
        """Returns what was filled in, `(N, ..., H, W, C)`, with the image's dtype and values.

        Args:
            filled: integers of the image's dtype, or floats as `serving_default` gives them.
        """
        if filled.dtype.kind == "f":
            if self.placement is not None:
                filled = self.placement.unfit(filled)
            if self.values is not None:
                filled = self.values.decode(filled)
            elif self.image.dtype.kind in "iu":
                filled = np.rint(filled)
        filled = filled.astype(self.image.dtype)
        if filled.shape[-1] != self.image.shape[-1]:
            filled = files.to_channels(filled, self.image.shape[-1])
        axes = (slice(None), *[None] * (filled.ndim - 4))
        return np.where(self.seen[axes], self.image[axes], filled)

    def finish_std(self, std):
        """Returns a standard deviation in units of `serving_default` in the image's."""
        std = std if self.placement is None else self.placement.unfit(std)
        if std.shape[-1] != self.image.shape[-1]:
            std = np.repeat(std.mean(axis=-1, keepdims=True), self.image.shape[-1], axis=-1)
        return np.where(self.seen, 0.0, std * self.unit).astype("float32")


def prepare(image, mask, contract):
    """Checks arrays and converts them to the inputs of a model.

    Args:
        image: array `(N, H, W, C)` or `(H, W, C)`: uint8, uint16, or floats in [-1, 1]; numbers in
            the data's units for models of other values. NaN and the masked values of masked arrays
            are missing. If an integer image has one channel more than gray or RGB and there is no
            mask, it is alpha.
        mask: see `keras_uai.checks.check_mask`; or None.
        contract: the model's `Contract`.

    Returns:
        A `Prepared`.

    Raises:
        ValueError: if shapes or values are wrong, or if an image misses nothing or everything.
    """
    image = np.asanyarray(image)
    image = image[None] if image.ndim == 3 else image
    bounded = contract.values.is_bounded
    integer = image.dtype.kind in "iu" and image.ndim == 4
    channels = contract.image_shape[-1]
    if bounded and integer:
        if mask is None and image.shape[-1] in (2, 4) and image.shape[-1] != channels:
            half = np.iinfo(image.dtype).max // 2
            image, mask = image[..., :-1], image[..., -1:] > half
        elif mask is None and not np.ma.is_masked(image):
            raise ValueError(
                "Integer images without an alpha channel need a mask, 1 = observed. "
                f"Received: an image of {image.shape[-1]} channels, and no mask"
            )
    pixels = image
    convert = bounded and integer and contract.mask_channels == 1
    if convert and {image.shape[-1], channels} == {1, 3}:
        pixels = np.ma.getdata(image)
        pixels = files.to_channels(pixels, channels)
        if np.ma.is_masked(image):
            pixels = np.ma.array(pixels, mask=_any_channel(np.ma.getmaskarray(image), channels))
    y, seen = checks.check_images(
        pixels,
        mask,
        (None, None, channels),
        contract.mask_channels,
        contract.values,
        name="image",
        network_units=bounded,
        tau=contract.tau if bounded else None,
    )
    _check_mask(seen)
    observed = seen > 0.5
    pixels = np.where(observed, np.ma.getdata(pixels), 0).astype(pixels.dtype)
    y = y if bounded else pixels.astype("float32")
    placement = None
    if contract.fixed_size not in (None, y.shape[1:3]):
        placement = Placement(y.shape[1:3], contract.fixed_size)
        y, seen = placement.fit(y, seen)
    values = contract.values.of(image.dtype) if bounded and integer else None
    return Prepared(np.ma.getdata(image), observed, pixels, y, seen, values, placement)


def read(image, mask=None):
    """Reads an encoded image and its mask.

    Args:
        image: bytes or path of an image file.
        mask: the same of a mask image, or an array, or None for the image's alpha channel.

    Returns:
        `(pixels, mask)`: `(H, W, C)`, and boolean `(H, W)`. Transparent pixels are missing.

    Raises:
        ValueError: if a file cannot be read, or sizes differ.
    """
    if isinstance(mask, (str, os.PathLike)):
        return read_damaged(image, "sidecar", mask)
    pixels, seen = read_damaged(image, "alpha")
    if mask is None:
        return pixels, seen
    if is_encoded(mask):
        try:
            mask = files.read_mask(mask, pixels.shape[:2], image)
        except files.UnreadableImageError as error:
            raise ValueError(f"This mask cannot be read: {error}.") from error
    return pixels, seen & (checks.check_mask(mask, (1, *pixels.shape))[0, ..., 0] > 0.5)


def read_damaged(image, mask_from, mask=None):
    """`keras_uai.datasets.damage.read_damaged`, for which an unreadable file is a ValueError."""
    try:
        return damage.read_damaged(image, mask_from, mask)
    except files.UnreadableImageError as error:
        raise ValueError(f"This image cannot be read: {error}.") from error


def is_encoded(image):
    """Whether an argument is a path or the bytes of a file."""
    return isinstance(image, (bytes, bytearray, memoryview, str, os.PathLike))


def _any_channel(missing, channels):
    return np.repeat(missing.any(axis=-1, keepdims=True), channels, axis=-1)


def _check_mask(mask):
    """Raises if an image of `(N, H, W, M)` misses nothing, or everything."""
    flat = mask.reshape(len(mask), -1) > 0.5
    if flat.all(axis=1).any():
        raise ValueError(
            "Nothing is missing in this image: it has no alpha channel and no mask, or they are 1 "
            "(white, opaque) everywhere. "
            f"Received: image {int(flat.all(axis=1).argmax())}"
        )
    if not flat.any(axis=1).all():
        raise ValueError(
            "Nothing of this image is observed: its mask is 0 (black, transparent) everywhere. "
            f"Received: image {int(flat.any(axis=1).argmin())}"
        )
