"""Fitting of images to a model of a fixed layout: scaled with their aspect kept, and centred."""

import dataclasses

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Placement:
    """The place of an image in a layout.

    Args:
        size: `(H, W)` of the image.
        layout: `(H, W)` of the layout.

    Example:

    >>> Placement((20, 40), (32, 32)).box
    (8, 0, 24, 32)
    """

    size: tuple
    layout: tuple

    @property
    def scale(self):
        """Pixels of the layout in a pixel of the image, along each axis."""
        return min(inner / outer for inner, outer in zip(self.layout, self.size, strict=True))

    @property
    def box(self):
        """First row, first column, last row and last column (both exclusive) in the layout."""
        sides = [max(1, round(side * self.scale)) for side in self.size]
        first = [(whole - side) // 2 for whole, side in zip(self.layout, sides, strict=True)]
        return (*first, first[0] + sides[0], first[1] + sides[1])

    def fit(self, y, mask):
        """Scales images into the layout; everything around them is unobserved.

        A pixel of the layout is the mean of the observed pixels that it covers. It is observed if
        these add up to half a pixel of the image, or to half of itself if the image is enlarged.

        Args:
            y: float32 `(N, H, W, C)`, 0 where missing.
            mask: float32 `(N, H, W, M)`, 1 = observed.

        Returns:
            `(y, mask)` in the layout's size.
        """
        top, left, bottom, right = self.box
        sides = (bottom - top, right - left)
        weight = _resize(mask, sides, Image.Resampling.BOX)
        total = _resize(y * mask, sides, Image.Resampling.BOX)
        seen = weight >= 0.5 * min(1.0, self.scale**2) - 1e-6
        values = np.where(seen, total / np.maximum(weight, 1e-9), 0.0)
        pads = ((0, 0), (top, self.layout[0] - bottom), (left, self.layout[1] - right), (0, 0))
        return np.pad(values.astype("float32"), pads), np.pad(seen.astype("float32"), pads)

    def unfit(self, images):
        """Returns `(..., H, W, C)` of the layout at the image's size."""
        top, left, bottom, right = self.box
        inner = images[..., top:bottom, left:right, :]
        flat = inner.reshape(-1, *inner.shape[-3:])
        found = _resize(flat, self.size, Image.Resampling.BILINEAR)
        return found.reshape(*images.shape[:-3], *found.shape[1:])


def _resize(images, size, method):
    """Resizes float32 `(N, H, W, C)` to `size` `(H, W)`, channel by channel."""
    count, _, _, channels = images.shape
    found = np.empty((count, *size, channels), "float32")
    for i in range(count):
        for c in range(channels):
            plane = Image.fromarray(np.ascontiguousarray(images[i, ..., c], dtype="float32"))
            found[i, ..., c] = plane.resize(size[::-1], method)
    return found
