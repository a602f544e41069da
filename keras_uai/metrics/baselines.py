"""Reconstructions that need no training, from the same observations as a model's.

Each baseline is a function `(y, mask) -> x`:

- `y`: float `(N, H, W, C)` in network units ([-1, 1] for images), of any size; values at missing
  pixels are ignored;
- `mask`: `(N, H, W, 1)`, or `(N, H, W, C)` where channels are missing independently, 1 = observed;
  or None, and missing is where all channels of `y` are 0;
- `x`: float32 `(N, H, W, C)`. Observed values come back bit-equal.

A baseline uses the observed values of one image and nothing else. An image (or a channel with a
mask of its own) without any observed value comes back as 0.
"""

import numpy as np

RADIUS = 3  # pixels: the neighbourhood that `telea` and `navier_stokes` look at


def mean_colour(y, mask=None):
    """Fills in the mean colour of the image's own observed pixels."""
    return _each(y, mask, lambda image, observed: image[observed].mean(axis=0, dtype="float64"))


def nearest(y, mask=None):
    """Fills in the nearest observed pixel (Euclidean distance between pixel centres)."""
    return _each(y, mask, _nearest_image)


def linear_interpolation(y, mask=None):
    """Interpolates linearly on the Delaunay triangles of the observed pixels.

    Missing pixels outside of their convex hull take the nearest observed pixel. So do all missing
    pixels if the observed ones span no triangle (fewer than three, or all on one line).
    """
    return _each(y, mask, _linear_image)


def telea(y, mask=None):
    """Fills in by Telea's fast marching (J. Graphics Tools 9(1), 2004), by OpenCV.

    Images in [-1, 1] are filled in 8 bits, other values in 16 bits over each channel's range.
    """
    return _opencv(y, mask, "INPAINT_TELEA")


def navier_stokes(y, mask=None):
    """Fills in by Navier-Stokes equations (Bertalmio et al., CVPR 2001), by OpenCV; as `telea`."""
    return _opencv(y, mask, "INPAINT_NS")


def biharmonic(y, mask=None):
    """Solves the biharmonic equation on the missing pixels (Damelin and Hoang 2018).

    It is scikit-image's. Time grows with the number of missing pixels: about 0.01 s for 32 x 32
    pixels, 13 s for 500 x 500 of which 90% are missing.
    """
    from skimage import restoration

    def fill(image, observed):
        return restoration.inpaint_biharmonic(image.astype("float64"), ~observed, channel_axis=-1)

    return _each(y, mask, fill)


BASELINES = {
    "mean_colour": mean_colour,
    "nearest": nearest,
    "linear_interpolation": linear_interpolation,
    "telea": telea,
    "navier_stokes": navier_stokes,
    "biharmonic": biharmonic,
}


def get(name):
    """Returns the baseline called `name`, a key of `BASELINES`."""
    if name not in BASELINES:
        raise ValueError(f"A baseline must be one of {', '.join(BASELINES)}. Received: {name!r}")
    return BASELINES[name]


def _each(y, mask, fill):
    """Applies `fill(image (H, W, C), observed (H, W))`, channel by channel if masks differ."""
    y = np.asarray(y, dtype="float32")
    if y.ndim != 4:
        raise ValueError(f"`y` must have shape (N, H, W, C). Received: y of shape {y.shape}")
    observed = (y != 0).any(axis=-1, keepdims=True) if mask is None else np.asarray(mask) > 0.5
    if observed.shape not in ((*y.shape[:3], 1), y.shape):
        raise ValueError(
            f"`mask` must have shape (N, H, W, 1) = {(*y.shape[:3], 1)}, or that of y. "
            f"Received: mask of shape {observed.shape}"
        )
    y = np.where(observed, y, np.float32(0))
    x = np.zeros_like(y)
    channels = observed.shape[-1]
    for i, c in np.ndindex(len(y), channels):
        part = slice(None) if channels == 1 else slice(c, c + 1)
        image, seen = y[i, ..., part], observed[i, ..., c]
        if seen.any() and not seen.all():
            limit = max(1.0, float(np.abs(image).max()))
            x[i, ..., part] = np.clip(fill(image, seen), -limit, limit)
    return np.where(observed, y, x)


def _nearest_image(image, observed):
    from scipy import ndimage

    rows, columns = ndimage.distance_transform_edt(
        ~observed, return_distances=False, return_indices=True
    )
    return image[rows, columns]


def _linear_image(image, observed):
    from scipy import interpolate, ndimage, spatial

    filled = _nearest_image(image, observed)
    # A pixel with eight observed neighbours is in no triangle that covers a missing pixel.
    inner = ndimage.binary_erosion(observed, np.ones((3, 3)), border_value=1)
    points = np.argwhere(observed & ~inner)
    if len(points) < 3 or np.linalg.matrix_rank(points - points[0]) < 2:
        return filled
    missing = np.argwhere(~observed)
    values = image[tuple(points.T)].astype("float64")
    values = interpolate.LinearNDInterpolator(spatial.Delaunay(points), values)(missing)
    inside = np.isfinite(values[:, 0])
    filled[tuple(missing[inside].T)] = values[inside]
    return filled


def _opencv(y, mask, flag):
    import cv2

    def fill(image, observed):
        missing, image = (~observed).astype("uint8"), image.astype("float64")
        is_image, seen = np.abs(image).max() <= 1.0, image[observed]
        low = -1.0 if is_image else seen.min(axis=0)
        step = 1 / 127.5 if is_image else np.maximum(np.ptp(seen, axis=0), 1e-9) / 65535
        levels = np.clip(np.rint((image - low) / step), 0, 255 if is_image else 65535)
        levels = levels.astype("uint8" if is_image else "uint16")
        # OpenCV takes three channels of 8 bits, or one channel; inside, it fills each alone.
        width = 3 if is_image and image.shape[-1] == 3 else 1
        parts = np.split(levels, image.shape[-1] // width, axis=-1)
        method = getattr(cv2, flag)
        filled = [cv2.inpaint(part.copy(), missing, RADIUS, method) for part in parts]
        return np.dstack(filled) * step + low

    return _each(y, mask, fill)
