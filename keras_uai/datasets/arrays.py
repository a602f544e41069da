"""Arrays as images: one array, a list of arrays of different sizes, `.npy` and `.npz` files."""

import dataclasses
import os

import numpy as np

from keras_uai import files
from keras_uai.checks import is_given, is_observed
from keras_uai.datasets.sources import CONTENTS_OF, Source

EXTENSIONS = (".npy", ".npz")


class ArraySource(Source):
    """Images in arrays; see `keras_uai.datasets.load`. NaN and masked values are missing."""

    name = "the arrays"
    is_stored = False
    has_masks = False

    def __init__(self, images, preparation, mask_channels=None):
        masks = preparation.mask_from
        if isinstance(images, (str, os.PathLike)):
            self.name = os.fspath(images)
            images, own_masks = _read(images)
            masks = own_masks if masks is None else masks
        if isinstance(masks, (str, os.PathLike)):
            masks = _read(masks)[0]
        self.images = _as_list(images, "images")
        self.size = len(self.images)
        self.masks = None if masks is None else _as_list(masks, "masks")
        if self.masks is not None and len(self.masks) == 1:  # one for all
            self.masks = self.masks * self.size
        if self.masks is not None and len(self.masks) != self.size:
            raise ValueError(
                "There must be one mask an image. Received: "
                f"{self.size} images, {len(self.masks)} masks"
            )
        channels = _common_channels(self.images)
        if preparation.channels not in (None, channels):
            raise ValueError(
                f"Arrays keep their channels. Received: channels={preparation.channels}, arrays of "
                f"{channels}"
            )
        dtype = np.result_type(*{image.dtype for image in self.images}).name
        self.preparation = dataclasses.replace(
            preparation, mask_from=None, channels=channels, dtype=dtype
        )
        self.has_masks, apart = self.masks is not None, False
        for seen in map(self._seen, range(self.size)):
            self.has_masks |= not seen.all()
            apart |= bool((seen != seen[..., :1]).any())
        self.mask_channels = mask_channels or (channels if apart else 1)
        if self.mask_channels not in (1, channels):
            raise ValueError(
                f"`mask_channels` must be 1 or the images' {channels}. "
                f"Received: mask_channels={mask_channels}"
            )

    def contents(self):
        for arrays in (self.images, self.masks or []):
            for array in arrays[:: -(-self.size // CONTENTS_OF)]:
                yield f"{array.dtype}{array.shape}".encode()
                yield np.ma.filled(array).tobytes()

    def _seen(self, index):
        """Bool `(H, W, C)`, True = observed."""
        image = self.images[index]
        seen = is_given(image)
        if self.masks is not None:
            mask = is_observed(self.masks[index])
            if mask.shape[:2] != image.shape[:2] or mask.shape[-1] not in (1, image.shape[-1]):
                raise ValueError(
                    "A mask must have its image's height and width, and 1 channel or the image's. "
                    f"Received: shape {mask.shape}, image {index} of shape {image.shape}"
                )
            seen = seen & mask
        return seen

    def decode(self, job):
        return [self._prepare(index) for index, _ in job]

    def _prepare(self, index):
        want = self.preparation
        image = np.ma.getdata(self.images[index]).astype(want.dtype, copy=False)
        seen = self._seen(index)
        if self.mask_channels == 1:
            seen = seen.all(axis=-1, keepdims=True)
        if image.dtype.kind == "f" and (np.isinf(image) & seen).any():
            raise ValueError(
                f"Observed values must be finite. Received: infinite values in {self.label(index)}"
            )
        if not self.has_masks:
            return want.apply(image), None
        if want.center_crop is not None or want.image_size is not None:
            image = np.where(seen, image, image.dtype.type(0))
        return want.apply(image), want.apply(seen)


def _as_list(arrays, name):
    """Returns a list of arrays `(H, W, C)`; masked arrays stay masked."""
    if getattr(arrays, "ndim", None) == 2:
        arrays = [arrays]
    if not isinstance(arrays, (list, tuple)) and getattr(arrays, "ndim", None) not in (3, 4):
        raise ValueError(
            f"`{name}` must be an array (N, H, W, C) or (N, H, W), or a list of arrays (H, W, C) "
            f"or (H, W). Received: {type(arrays).__name__} {getattr(arrays, 'shape', '')}"
        )
    arrays = [np.asanyarray(array) for array in arrays]
    return [array[..., None] if array.ndim == 2 else array for array in arrays]


def _common_channels(images):
    if not images:
        raise ValueError("There must be images. Received: none")
    channels = images[0].shape[-1:]
    for index, image in enumerate(images):
        if image.ndim != 3 or 0 in image.shape or image.shape[-1:] != channels:
            raise ValueError(
                "Images must have shape (H, W, C) or (H, W), with the same C. Received: shape "
                f"{image.shape}, image {index}, where the first has {images[0].shape}"
            )
        if image.dtype.kind not in "iuf":
            raise ValueError(f"Images must hold numbers. Received: {image.dtype}, image {index}")
    return channels[0]


def _read(path):
    """Returns `(images, masks or None)` of a `.npy` or `.npz` file."""
    path = os.path.expanduser(os.fspath(path))
    if not os.path.isfile(path):
        raise ValueError(f"The file must hold arrays. Received: {path}, which is no file")
    arrays = files.read_arrays(path)
    if isinstance(arrays, np.ndarray):
        return arrays, None
    masks = arrays.pop("masks", None)
    if not arrays:
        raise ValueError(f"The file must hold images. Received: {path} with no array but masks")
    images = list(arrays.values())
    return images[0] if len(images) == 1 else images, masks
