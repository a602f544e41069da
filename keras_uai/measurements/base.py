"""Base class of measurements: the operator F, the recovered mask T(y), and masks drawn by key."""

import math

import keras
from keras import ops

from keras_uai import random, rng_streams
from keras_uai.configurable import Configurable, from_text


class Measurement(Configurable):
    """The operator F of equation 1 and a distribution of masks p_M: how images are damaged.

    `F(x, mask) = x * mask + tau * (1 - mask)`. Subclasses draw masks in `sample(keys, height,
    width)`, a pure function of the keys. One key gives one mask, whatever the batch or backend.

    Masks are float32 `(N, H, W, mask_channels)`, 1 = observed and 0 = missing. Images are float
    `(N, H, W, C)`; `mask_channels` is 1, or C where channels are missing independently.

    Args:
        tau: Float, the value of missing pixels in network units. Defaults to 0.0.

    Example:

    >>> measurement = keras_uai.measurements.DropPixel(0.5)
    >>> mask = measurement.masks([0, 1], 48, 80)
    >>> y = measurement(np.ones((2, 48, 80, 3), "float32"), mask)
    >>> float(np.mean(y))
    0.5
    """

    #: Channels of a mask.
    mask_channels = 1

    def __init__(self, tau=0.0):
        self.tau = float(tau)
        if not math.isfinite(self.tau):
            raise ValueError(f"`tau` must be finite. Received: tau={tau!r}")

    # -- overridden by subclasses ------------------------------------------------------------------

    def check(self, height, width):
        """Raises ValueError if masks of this size cannot be drawn. None is unknown, and passes."""

    def sample(self, keys, height, width):
        """Draws one mask per key, float32 `(N, height, width, mask_channels)`, 1 = observed.

        Args:
            keys: uint32 tensor `(N, 2)`, see `keras_uai.random.key`.
            height, width: Python integers, in pixels.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `sample`.")

    def split(self, mask, keys, fraction):
        """Hides about `fraction` of the observed pixels, in shapes like those of the damage.

        Training scores reconstructions at these pixels. Here each observed pixel is hidden
        independently. `Patch` hides squares and `Empirical` hides holes.

        Args:
            mask: float tensor `(N, H, W, M)`, 1 = observed. H and W are static; a mask may be a
                crop of a whole image's.
            keys: uint32 tensor `(N, 2)`.
            fraction: float, or float tensor `(N,)`, in [0, 1].

        Returns:
            float tensor of the shape of `mask`, nowhere more than `mask`: 1 = still seen.
        """
        shape = (*mask.shape[1:3], self.mask_channels)
        u = random.uniform(random.fold_in(keys, rng_streams.SPLIT_PIXELS), shape)
        return mask * ops.cast(u >= per_image(fraction), mask.dtype)

    # -- shared by all measurements ----------------------------------------------------------------

    def masks(self, indices, height, width, seed=0):
        """Returns the masks of images by their index: every image is damaged once (section 3.1).

        Args:
            indices: integers `(N,)` below 2**32, the images' positions in their data set.
            height, width: Python integers, in pixels.
            seed: Integer; another seed gives every image another mask. Defaults to 0.

        Returns:
            float32 tensor `(N, height, width, mask_channels)`.
        """
        self.check(height, width)
        indices = ops.reshape(ops.convert_to_tensor(indices), (-1,))
        return self.sample(random.key(int(seed), indices), height, width)

    def sample_several(self, keys, height, width):
        """Draws masks `(N, T, height, width, mask_channels)` for keys `(N, T, 2)`."""
        found = self.sample(ops.reshape(keys, (-1, 2)), height, width)
        return ops.reshape(found, (-1, keys.shape[1], *found.shape[1:]))

    def __call__(self, x, mask):
        """Returns `F(x, mask)` of equation 1 for `(N, H, W, C)` and `(N, H, W, 1 or C)`.

        Observed values stay bit-equal. Missing values become `tau`, even where `x` holds NaN.
        """
        return ops.where(ops.cast(mask, x.dtype) > 0.5, x, ops.cast(self.tau, x.dtype))

    def recover(self, y):
        """Returns `T(y)`: 0 where `y` equals `tau`, else 1.

        With one mask channel, a pixel is missing where all channels of `y` equal `tau`. The result
        is exact for images decoded from 8 bits as `v / 127.5 - 1`, which is never 0.

        Args:
            y: float tensor `(N, H, W, C)`.

        Returns:
            tensor `(N, H, W, mask_channels)` of the dtype of `y`.
        """
        observed = ops.not_equal(y, self.tau)
        if self.mask_channels == 1:
            observed = ops.any(observed, axis=-1, keepdims=True)
        return ops.cast(observed, y.dtype)

    def get_config(self):
        return {"tau": self.tau}


def per_image(values):
    """Reshapes a scalar, or one float per image `(N,)`, to broadcast against `(N, H, W, C)`."""
    return ops.reshape(ops.cast(values, "float32"), (-1, 1, 1, 1))


def take_one(masks, index):
    """Returns mask `index` `(N,)` of each image, of several `(N, T, H, W, M)`."""
    return ops.take_along_axis(masks, index[:, None, None, None, None], axis=1)[:, 0]


def get(identifier):
    """Returns a `Measurement` from an instance, its serialized config, or a string.

    Example:

    >>> keras_uai.measurements.get("Patch(90, 10)")
    Patch(n=90, k=10, border=4, tau=0.0)
    """
    from keras_uai import measurements

    found = identifier
    if isinstance(identifier, dict):
        found = keras.saving.deserialize_keras_object(identifier)
    elif isinstance(identifier, str):
        try:
            found = from_text(identifier, measurements.Patch, measurements.DropPixel)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "A measurement must be written as Patch(n, k), Patch(n, k, border=b) or "
                f"DropPixel(p). Received: {identifier!r}. {error}"
            ) from error
    if not isinstance(found, Measurement):
        raise ValueError(
            "A measurement must be a keras_uai.measurements.Measurement, its config, or a string "
            f'such as "Patch(90, 10)". Received: {identifier!r} (of type {type(found).__name__})'
        )
    return found
