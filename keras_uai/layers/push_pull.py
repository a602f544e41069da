"""Push-pull fill (Gortler et al., "The Lumigraph", 1996) and residual conditioning."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_uai")
class PushPull(keras.layers.Layer):
    """Fill of missing pixels from the nearest scale at which something was observed.

    On the way down, a level holds the averages of observed pixels over cells of 2x2. A cell counts
    as observed if any of its pixels is. On the way up, the missing cells of a level are
    interpolated bilinearly from the level above. Cells that the coarsest level misses take its
    mean. Observed pixels are kept, and an image without any becomes 0.

    The fill is differentiable in `y` and computed in float32. Height and width may be odd or
    unknown.

    Args:
        levels: integer, how often the resolution is halved. The default of 8 reaches over 256
            pixels.

    Call arguments:
        y: `(N, H, W, C)`.
        mask: `(N, H, W, 1)` or `(N, H, W, C)`, 1 = observed.

    Example:

    >>> mask = np.zeros((1, 5, 7, 1))
    >>> mask[0, 1, 2] = 1
    >>> filled = keras_uai.layers.PushPull()(0.5 * mask, mask)
    >>> float(filled[0, 4, 6, 0])
    0.5
    """

    def __init__(self, levels=8, **kwargs):
        super().__init__(**kwargs)
        self.levels = int(levels)

    def call(self, y, mask):
        mask = ops.cast(mask, "float32")
        pyramid = [(ops.cast(y, "float32") * mask, mask)]
        for _ in range(self.levels):
            pyramid.append(halve(*pyramid[-1]))
        total, weight = (ops.sum(v, axis=(1, 2), keepdims=True) for v in pyramid[-1])
        filled = total / ops.maximum(weight, 1e-6)
        for i, (known, weight) in enumerate(reversed(pyramid)):
            if i:
                filled = double(filled, known)
            filled = known + (1.0 - weight) * filled
        return ops.cast(filled, self.compute_dtype)

    def compute_output_shape(self, y_shape, mask_shape=None):
        return y_shape

    def get_config(self):
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable("keras_uai")
class ResidualConditioning(keras.layers.Layer):
    """Correction of a residual by its known error: `x - fill(x * mask)`.

    The residual that a network adds to a fill or a mean should be 0 at observed pixels. Its values
    there are pure error, and the error nearby is similar. So these values are interpolated
    (`PushPull`) and subtracted, as geostatistics conditions its simulations ("conditioning by
    kriging", Journel and Huijbregts 1978). Computed in float32.

    Args:
        levels: integer, see `PushPull`. Defaults to 8.

    Call arguments:
        x: `(N, H, W, C)`.
        mask: `(N, H, W, 1)` or `(N, H, W, C)`, 1 = observed.
    """

    def __init__(self, levels=8, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.levels = int(levels)
        self.fill = PushPull(self.levels, dtype=self.dtype_policy, name="fill")

    def call(self, x, mask):
        return x - self.fill(x, mask)

    def compute_output_shape(self, x_shape, mask_shape=None):
        return x_shape

    def get_config(self):
        return {**super().get_config(), "levels": self.levels}


def halve(known, weight):
    """Returns the next coarser level: averages over observed cells, and 1 where there is any."""
    known = ops.average_pool(known, 2, strides=2, padding="same")
    weight = ops.average_pool(weight, 2, strides=2, padding="same")
    observed = ops.minimum(1.0, 4.0 * weight)
    return known * (observed / ops.maximum(weight, 1e-6)), observed


def double(coarse, fine):
    """Returns `coarse` at twice its size by bilinear interpolation, cut to the size of `fine`."""
    _, height, width, _ = ops.shape(coarse)
    size = (2 * height, 2 * width)
    if keras.backend.backend() == "tensorflow":
        from keras_uai.layers import tensorflow_kernels

        coarse = tensorflow_kernels.resize(coarse, size)
    else:
        coarse = ops.image.resize(coarse, size, interpolation="bilinear")
    _, height, width, _ = ops.shape(fine)
    return coarse[:, :height, :width]
