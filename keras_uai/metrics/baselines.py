"""Reconstructions that need no training: what a user would try first, on the same observations.

Each baseline is a function `(y, mask) -> x`:

- `y`: float `(N, H, W, C)` in [-1, 1]; what it holds at missing pixels does not matter;
- `mask`: `(N, H, W, 1)`, 1 = observed, 0 = missing; or None, and missing is where all channels of
  `y` are 0;
- `x`: float32 `(N, H, W, C)` in [-1, 1]. Observed pixels come back bit-equal.

They use the observed pixels of one image and nothing else. An image of which no pixel was observed
comes back mid-grey (0): there is nothing to interpolate. `as_sampler` dresses one up for
`keras_uai.metrics.evaluate`.
"""

import functools

import numpy as np


def mean_colour(y, mask=None):
    """Fills in the mean colour of the image's own observed pixels."""
    y, observed = _check(y, mask)
    count = np.maximum(observed.sum(axis=(1, 2)), 1)[:, None]  # (N, 1)
    total = (y.astype("float64") * observed[..., None]).sum(axis=(1, 2))  # (N, C)
    fill = (total / count).astype("float32")
    return np.where(observed[..., None], y, fill[:, None, None, :])


def nearest(y, mask=None):
    """Fills in the nearest observed pixel (Euclidean distance between pixel centres)."""
    return _each(y, mask, _nearest_image)


def linear_interpolation(y, mask=None):
    """Interpolates linearly on the Delaunay triangles of the observed pixels.

    Missing pixels outside their convex hull take the nearest observed pixel, and so does every
    pixel where the observed ones span no triangle (fewer than three, or all on one line).
    """
    return _each(y, mask, _linear_image)


def telea(y, mask=None, radius=3):
    """Telea's fast marching (J. Graphics Tools 9(1), 2004), by OpenCV, on the image in 8 bits."""
    cv2 = _opencv()
    return _each(y, mask, functools.partial(_opencv_image, flag=cv2.INPAINT_TELEA, radius=radius))


def navier_stokes(y, mask=None, radius=3):
    """Navier-Stokes inpainting (Bertalmio et al., CVPR 2001), by OpenCV, on the image in 8 bits."""
    cv2 = _opencv()
    return _each(y, mask, functools.partial(_opencv_image, flag=cv2.INPAINT_NS, radius=radius))


def biharmonic(y, mask=None):
    """Solves the biharmonic equation on the missing pixels (Damelin and Hoang 2018), by
    scikit-image.

    Time grows with the number of missing pixels: about 0.01 s for 32 x 32 pixels, 0.03 s for 64 x
        64.
    """
    return _each(y, mask, _biharmonic_image)


BASELINES = {
    "mean_colour": mean_colour,
    "nearest": nearest,
    "linear_interpolation": linear_interpolation,
    "telea": telea,
    "navier_stokes": navier_stokes,
    "biharmonic": biharmonic,
}


def get(name):
    """The baseline called `name`, a key of `BASELINES`; functions pass through."""
    if callable(name):
        return name
    if name not in BASELINES:
        raise ValueError(
            f"A baseline is one of {', '.join(BASELINES)}, or a function (y, mask) -> x. "
            f"Received: {name!r}"
        )
    return BASELINES[name]


def as_sampler(baseline):
    """The baseline as a sampler `(y, mask, num_samples, seed) -> (N, num_samples, H, W, C)`: the
    same image `num_samples` times.
    """
    baseline = get(baseline)

    def sampler(y, mask=None, num_samples=1, seed=0):
        x = baseline(y, mask)
        return np.broadcast_to(x[:, None], (len(x), num_samples, *x.shape[1:]))

    return sampler


def _check(y, mask):
    """`y` as float32, 0 where missing, and the mask as booleans `(N, H, W)`; or a ValueError."""
    y = np.asarray(y, dtype="float32")
    if y.ndim != 4:
        raise ValueError(f"`y` must have shape (N, H, W, C). Received: y of shape {y.shape}")
    if mask is None:
        return y, (y != 0).any(axis=-1)
    mask = np.asarray(mask)
    if mask.shape != (*y.shape[:3], 1):
        raise ValueError(
            f"`mask` must have shape (N, H, W, 1) = {(*y.shape[:3], 1)}. "
            f"Received: mask of shape {mask.shape}"
        )
    observed = mask[..., 0] > 0.5
    return np.where(observed[..., None], y, np.float32(0)), observed


def _each(y, mask, fill):
    """Applies `fill(image, observed) -> image` to images with both observed and missing pixels."""
    y, observed = _check(y, mask)
    x = np.zeros_like(y)
    for i in range(len(y)):
        if observed[i].any() and not observed[i].all():
            x[i] = np.clip(fill(y[i], observed[i]), -1.0, 1.0)
    return np.where(observed[..., None], y, x)


def _nearest_image(image, observed):
    from scipy import ndimage

    rows, columns = ndimage.distance_transform_edt(
        ~observed, return_distances=False, return_indices=True
    )
    return image[rows, columns]


def _linear_image(image, observed):
    from scipy import interpolate, ndimage, spatial

    filled = _nearest_image(image, observed)
    # A pixel with eight observed neighbours is in no triangle that covers a missing pixel: leave it
    # out.
    inner = ndimage.binary_erosion(observed, np.ones((3, 3)), border_value=1)
    points = np.argwhere(observed & ~inner)
    if len(points) < 3 or np.linalg.matrix_rank(points - points[0]) < 2:
        return filled
    missing = np.argwhere(~observed)
    triangles = spatial.Delaunay(points)
    interpolator = interpolate.LinearNDInterpolator(
        triangles, image[tuple(points.T)].astype("float64")
    )
    values = interpolator(missing)
    inside = np.isfinite(values[:, 0])
    filled[tuple(missing[inside].T)] = values[inside]
    return filled


def _opencv():
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            "The baselines `telea` and `navier_stokes` need OpenCV: "
            "pip install opencv-python-headless"
        ) from error
    return cv2


def _opencv_image(image, observed, flag, radius):
    cv2 = _opencv()
    missing = (~observed).astype("uint8")
    eight_bits = np.clip(np.rint((image + 1.0) * 127.5), 0, 255).astype("uint8")
    # OpenCV takes one or three channels; any other number goes one by one, which is what it does
    # inside.
    step = 3 if image.shape[-1] == 3 else 1
    parts = [
        cv2.inpaint(np.ascontiguousarray(eight_bits[..., c : c + step]), missing, radius, flag)
        for c in range(0, image.shape[-1], step)
    ]
    filled = np.concatenate([part.reshape(*observed.shape, step) for part in parts], axis=-1)
    return filled.astype("float32") / 127.5 - 1.0


def _biharmonic_image(image, observed):
    try:
        from skimage import restoration
    except ImportError as error:
        raise ImportError(
            "The baseline `biharmonic` needs scikit-image: pip install scikit-image"
        ) from error
    return restoration.inpaint_biharmonic(image.astype("float64"), ~observed, channel_axis=-1)
