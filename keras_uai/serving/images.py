"""Images and masks as a client is given them, checked before anything is sent."""

import dataclasses
import os

import numpy as np
from PIL import Image

from keras_uai import checks, files
from keras_uai.datasets import damage
from keras_uai.serving import discovery


@dataclasses.dataclass
class Prepared:
    """A batch of images, ready to be sent and put together again.

    Args:
        image: `(N, H, W, C)`, as the caller gave it, without alpha.
        seen: boolean `(N, H, W, M)`, True = observed.
        y, mask: float32, the same in the channels, units and layout of the model.
        values: `ValueScaling` of integer images of a model of images, else None.
        box: rows and columns of the image in a fixed layout, two slices; or None.
        deviation: float32 of the shape of `y`, the standard deviation of the observed pixels of the
            image that a pixel of a fixed layout is the mean of; or None.
    """

    image: np.ndarray
    seen: np.ndarray
    y: np.ndarray
    mask: np.ndarray
    values: object
    box: tuple | None
    deviation: np.ndarray | None

    def vanished(self):
        """Missing pixels that are observed in a fixed layout, bool `(N, H, W, M)`.

        The layout has the mean of observed pixels around them there, so no model fills them.
        """
        return ~self.seen & (self._unfit(1.0 - self.mask) <= 0.0)

    def finish(self, filled):
        """Returns floats `(N, ..., H, W, C)` of the model with the image's dtype and values."""
        filled = self._unfit(filled)
        if self.values is not None:
            filled = self.values.decode(filled)
        elif self.image.dtype.kind in "iu":
            filled = np.rint(filled)
        filled = filled.astype(self.image.dtype)
        filled = files.to_channels(filled, self.image.shape[-1])
        axes = (slice(None), *[None] * (filled.ndim - 4))
        return np.where(self.seen[axes], self.image[axes], filled)

    def finish_std(self, std):
        """Returns a standard deviation in the model's units in those of the image.

        Where holes vanish in a fixed layout, it is that of the observed pixels which fill them.
        """
        if self.box is not None:
            std = self._unfit(np.where(self.mask > 0.5, self.deviation, std))
        if self.values is not None:
            std = std * (np.iinfo(self.values.dtype).max / 2.0)
        if std.shape[-1] != self.image.shape[-1]:
            std = np.repeat(std.mean(axis=-1, keepdims=True), self.image.shape[-1], axis=-1)
        return np.where(self.seen, 0.0, std).astype("float32")

    def _unfit(self, images):
        """Images `(..., H, W, C)` of a fixed layout at the image's size."""
        if self.box is None:
            return images
        return _resize(images[..., *self.box, :], self.image.shape[1:3], Image.Resampling.BILINEAR)


def prepare(image, mask, contract):
    """Checks an image, or a batch, and converts it to the inputs of a model, a `Prepared`.

    Args:
        image: path or bytes of an image file; or an array `(N, H, W, C)` or `(H, W, C)`: uint8,
            uint16, or floats in [-1, 1]; numbers in the data's units for models of other values.
            NaN and the masked values of masked arrays are missing. If an integer image has one
            channel more than gray or RGB and there is no mask, it is alpha.
        mask: see `keras_uai.checks.check_mask`; or, of a file, path or bytes of a mask file; or
            None: of a path, the mask file beside it.
        contract: the model's `Contract`.

    Raises:
        ValueError: if shapes or values are wrong, or if an image misses nothing or everything.
    """
    if not is_encoded(image):
        return _prepare(image, mask, contract)
    is_path = isinstance(image, (str, os.PathLike))
    if mask is None and is_path and os.path.isfile(image):
        mask = discovery.find([image])[0].mask
    try:
        return _prepare(*_read(image, mask), contract)
    except ValueError as error:
        named = [damage.shown(v) for v in (image, mask) if isinstance(v, (str, os.PathLike))]
        raise ValueError(f"{' and its mask '.join(named) or 'encoded image'}: {error}") from error


def _read(image, mask):
    """Reads an image file and its mask: `(H, W, C)`, and boolean `(H, W)`."""
    pixels, seen = damage.read_damaged(image, "alpha")
    if is_encoded(mask):
        mask = files.read_mask(mask, pixels.shape[:2], image)
    if mask is not None:
        seen = seen & (checks.check_mask(mask, (1, *pixels.shape))[0, ..., 0] > 0.5)
    return pixels, seen


def _prepare(image, mask, contract):
    image = np.asanyarray(image)
    image = image[None] if image.ndim == 3 else image
    channels = contract.image_shape[-1]
    bounded = contract.values.is_bounded
    integer = bounded and image.dtype.kind in "iu" and image.ndim == 4
    if integer and mask is None:
        if image.shape[-1] in (2, 4) and image.shape[-1] != channels:
            image, mask = image[..., :-1], image[..., -1:] > np.iinfo(image.dtype).max // 2
        elif not np.ma.is_masked(image):
            raise ValueError(
                "Integer images without an alpha channel need a mask, 1 = observed. "
                f"Received: an image of {image.shape[-1]} channels, and no mask"
            )
    given = image
    if integer and contract.mask_channels == 1 and {image.shape[-1], channels} == {1, 3}:
        missing = np.ma.getmaskarray(image).any(axis=-1, keepdims=True)
        given = files.to_channels(np.ma.getdata(image), channels)
        given = np.ma.array(given, mask=np.broadcast_to(missing, given.shape))
    y, mask = checks.check_images(
        given,
        mask,
        (None, None, channels),
        contract.mask_channels,
        contract.values,
        name="image",
        network_units=bounded,
        tau=contract.tau if bounded else None,
    )
    seen = mask > 0.5
    _check_mask(seen)
    if not bounded:
        y = np.where(seen, np.ma.getdata(given), 0).astype("float32")
    box = deviation = None
    if contract.fixed_size not in (None, y.shape[1:3]):
        box = _box(y.shape[1:3], contract.fixed_size)
        y, mask, deviation = _fit(y, mask, box, contract.fixed_size)
    values = contract.values.of(image.dtype) if integer else None
    return Prepared(np.ma.getdata(image), seen, y, mask, values, box, deviation)


def is_encoded(image):
    """Whether an argument is a path or the bytes of a file."""
    return isinstance(image, (bytes, bytearray, memoryview, str, os.PathLike))


def _check_mask(seen):
    """Raises if an image of `(N, H, W, M)` misses nothing, or everything."""
    shares = seen.reshape(len(seen), -1).mean(axis=1)
    if (shares == 1.0).any():
        raise ValueError(
            "Nothing is missing in this image: it has no alpha channel and no mask, or they are 1 "
            f"(white, opaque) everywhere. Received: image {shares.argmax()}"
        )
    if (shares == 0.0).any():
        raise ValueError(
            "Nothing of this image is observed: its mask is 0 (black, transparent) everywhere. "
            f"Received: image {shares.argmin()}"
        )


# -- fixed layouts ---------------------------------------------------------------------------------


def _box(size, layout):
    """Rows and columns of an image `(H, W)` in a layout: scaled, its aspect kept, and centred."""
    scale = min(layout[0] / size[0], layout[1] / size[1])
    sides = [max(1, round(side * scale)) for side in size]
    first = [(whole - side) // 2 for whole, side in zip(layout, sides, strict=True)]
    return tuple(slice(at, at + side) for at, side in zip(first, sides, strict=True))


def _fit(y, mask, box, layout):
    """Scales images and masks into a layout; everything around them is unobserved.

    A pixel of the layout is the mean of the observed pixels that it covers. It is observed if these
    add up to half a pixel of the image, or to half of itself if the image is enlarged. Returned
    third is the standard deviation of these pixels.
    """
    sides = [side.stop - side.start for side in box]
    weight = _resize(mask, sides, Image.Resampling.BOX)
    moments = [_resize(y**p * mask, sides, Image.Resampling.BOX) for p in (1, 2)]
    scale = min(1.0, sides[0] * sides[1] / (y.shape[1] * y.shape[2]))
    seen = weight >= 0.5 * scale - 1e-6
    mean, square = (np.where(seen, total / np.maximum(weight, 1e-9), 0.0) for total in moments)
    found = [np.zeros((len(v), *layout, v.shape[-1]), "float32") for v in (y, mask, y)]
    found[0][:, *box] = mean
    found[1][:, *box] = seen
    found[2][:, *box] = np.sqrt(np.maximum(square - mean**2, 0.0))
    return found


def _resize(images, size, method):
    """Resizes `(..., H, W, C)` to `size` `(H, W)` as float32, channel by channel."""
    planes = np.moveaxis(images, -1, -3).astype("float32")
    flat = planes.reshape(-1, *planes.shape[-2:])
    flat = np.stack([Image.fromarray(plane).resize(size[::-1], method) for plane in flat])
    return np.moveaxis(flat.reshape(*planes.shape[:-2], *size), -3, -1)
