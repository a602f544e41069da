"""Arrays as images: one array, a list of arrays of different sizes, `.npy` and `.npz` files."""

import dataclasses
import os

import numpy as np

from keras_uai.checks import is_observed
from keras_uai.datasets.sources import Source

EXTENSIONS = (".npy", ".npz")


class ArraySource(Source):
    """Images in arrays. NaN and the masked values of masked arrays are missing.

    Args:
        images: array `(N, H, W, C)` or `(N, H, W)`, or a list of arrays `(H, W, C)` or `(H, W)`,
            or the path of a `.npy` or `.npz` file that holds them.
        preparation: a `Preparation`; its `mask_from` is None, or masks in the form of `images`
            (1 = observed) or `(N, H, W, 1)`.
        mask_channels: 1, C, or None: C where some image misses channels independently.

    Raises:
        ValueError: shapes, dtypes or masks that do not fit together.
    """

    is_stored = False

    def __init__(self, images, preparation, mask_channels=None):
        masks, self.name = preparation.mask_from, "the array"
        if isinstance(images, (str, os.PathLike)):
            self.name = os.fspath(images)
            images, own_masks = _read(images)
            masks = own_masks if masks is None else masks
        self.images = _as_list(images, "images")
        self.size = len(self.images)
        self.masks = None
        if masks is not None:
            self.masks = _as_list(
                _read(masks)[0] if isinstance(masks, (str, os.PathLike)) else masks, "masks"
            )
            if len(self.masks) != self.size:
                raise ValueError(
                    f"There must be one mask an image. Received: {self.size} images, "
                    f"{len(self.masks)} masks"
                )
        self._check()
        channels = self.images[0].shape[-1]
        if preparation.channels not in (None, channels):
            raise ValueError(
                f"Arrays keep their channels. Received: channels={preparation.channels}, arrays of "
                f"{channels}"
            )
        dtypes = {image.dtype for image in self.images}
        dtype = np.result_type(*dtypes).name
        self.preparation = dataclasses.replace(
            preparation, mask_from=None, channels=channels, dtype=dtype
        )
        self.masks_differ = False
        self._has_masks = masks is not None
        for index in range(self.size):
            seen = self._seen(index, channels)
            if seen is not None and not seen.all():
                self._has_masks = True
                self.masks_differ |= bool((seen != seen[..., :1]).any())
        self.mask_channels = mask_channels or (channels if self.masks_differ else 1)
        if self.mask_channels not in (1, channels):
            raise ValueError(
                f"`mask_channels` must be 1 or the images' {channels}. "
                f"Received: mask_channels={mask_channels}"
            )

    @property
    def has_masks(self):
        return self._has_masks

    def _check(self):
        if not self.size:
            raise ValueError("There must be images. Received: none")
        channels = self.images[0].shape[-1]
        for index, image in enumerate(self.images):
            if image.ndim != 3 or 0 in image.shape or image.shape[-1] != channels:
                raise ValueError(
                    f"Images must have shape (H, W, C) or (H, W), with the same C. Received: shape "
                    f"{image.shape}, image {index} of {self.name}, where the first has C={channels}"
                )
            if image.dtype.kind not in "iuf":
                raise ValueError(
                    f"Images must hold numbers. Received: {image.dtype} in {self.name}"
                )

    def typical_size(self):
        size = np.mean([self.preparation.window(*image.shape[:2]) for image in self.images], axis=0)
        return self.preparation.image_size or tuple(int(n) for n in size)

    def _seen(self, index, channels):
        """Bool `(H, W, C)`, True = observed, or None where all is."""
        image = self.images[index]
        seen = ~np.isnan(np.ma.getdata(image)) if image.dtype.kind == "f" else None
        if np.ma.isMaskedArray(image):
            hidden = np.ma.getmaskarray(image)
            seen = ~hidden if seen is None else seen & ~hidden
        if self.masks is not None:
            mask = is_observed(self.masks[index])
            if mask.shape[:2] != image.shape[:2] or mask.shape[-1] not in (1, channels):
                raise ValueError(
                    f"A mask must have its image's height and width, and 1 or {channels} channels. "
                    f"Received: shape {mask.shape}, image {index} of shape {image.shape}"
                )
            mask = np.broadcast_to(mask, image.shape)
            seen = mask if seen is None else seen & mask
        return seen

    def decode(self, job):
        found, want = [], self.preparation
        for index in job:
            image = np.ma.getdata(self.images[index]).astype(want.dtype, copy=False)
            seen = self._seen(index, want.channels) if self.has_masks else None
            if seen is None and self.has_masks:
                seen = np.ones(image.shape, bool)
            if seen is not None and self.mask_channels == 1:
                seen = seen.all(axis=-1, keepdims=True)
            if (
                image.dtype.kind == "f"
                and np.isinf(image if seen is None else image[_all(seen, image)]).any()
            ):
                raise ValueError(
                    "Observed values must be finite. Received: infinite values in "
                    f"{self.label(index)}"
                )
            if want.center_crop is not None or want.image_size is not None:
                image = image if seen is None else np.where(seen, image, image.dtype.type(0))
            found.append(want.apply(image, seen))
        return found


def _all(seen, image):
    return np.broadcast_to(seen, image.shape)


def _as_list(arrays, name):
    """Returns a list of arrays `(H, W, C)`; masked arrays stay masked."""
    arrays = [arrays] if hasattr(arrays, "ndim") and arrays.ndim == 2 else arrays
    if not isinstance(arrays, (list, tuple)) and not (
        hasattr(arrays, "ndim") and arrays.ndim in (3, 4)
    ):
        raise ValueError(
            f"`{name}` must be an array (N, H, W, C) or (N, H, W), or a list of arrays (H, W, C) "
            f"or (H, W). Received: {type(arrays).__name__} {getattr(arrays, 'shape', '')}"
        )
    arrays = [np.asanyarray(array) for array in arrays]
    return [array[..., None] if array.ndim == 2 else array for array in arrays]


def _read(path):
    """Returns `(images, masks or None)` of a `.npy` or `.npz` file."""
    path = os.path.expanduser(os.fspath(path))
    try:
        if path.lower().endswith(".npy"):
            return np.load(path, mmap_mode="r", allow_pickle=False), None
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise ValueError(f"The file must hold arrays. Received: {path}: {error}") from error
    masks = arrays.pop("masks", arrays.pop("mask", None))
    if not arrays:
        raise ValueError(f"The file must hold images. Received: {path} with no array but masks")
    images = list(arrays.values())
    return images[0] if len(images) == 1 else images, masks
