"""A first guess of the missing pixels: pull-push (Gortler et al., "The Lumigraph", 1996)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_uai")
class PushPull(keras.layers.Layer):
    """Fills missing pixels from the nearest scale at which something was observed.

    Pull: averages of the observed pixels over 2x2 cells, level by level; a cell that saw any pixel
    counts as seen. Push: from the coarsest level back, what a level did not see is taken from the
    level above, interpolated bilinearly. Differentiable in `y`, a few additions a pixel, observed
    pixels are kept. A convolution at full resolution sees a nearly empty image where 90% of the
    pixels are missing; after this fill it sees a blurred one.

    Inputs `y` `(N, H, W, C)` and `mask` `(N, H, W, 1)`, 1 = observed; output `(N, H, W, C)`.
    Computed in float32.
    """

    def call(self, y, mask):
        levels, size = [], min(y.shape[1:3])
        weighted, weight = ops.cast(y * mask, "float32"), ops.cast(mask, "float32")
        levels.append((weighted, weight))
        while size % 2 == 0 and size > 1:
            weighted = ops.average_pool(weighted, (2, 2), strides=(2, 2))
            weight = ops.average_pool(weight, (2, 2), strides=(2, 2))
            # A cell counts fully as soon as it has seen one pixel: the best guess there is.
            share = ops.minimum(1.0, 4.0 * weight)
            weighted = weighted * (share / ops.maximum(weight, 1e-6))
            weight = share
            levels.append((weighted, weight))
            size //= 2
        weighted, weight = levels.pop()
        filled = ops.sum(weighted, axis=(1, 2), keepdims=True) / ops.maximum(
            ops.sum(weight, axis=(1, 2), keepdims=True), 1e-6
        )
        filled = weighted + (1.0 - weight) * filled
        for weighted, weight in reversed(levels):
            filled = ops.image.resize(filled, weighted.shape[1:3], interpolation="bilinear")
            filled = weighted + (1.0 - weight) * filled
        return ops.cast(filled, self.compute_dtype)

    def compute_output_shape(self, y_shape, mask_shape=None):
        return y_shape


@keras.saving.register_keras_serializable("keras_uai")
class Anchor(keras.layers.Layer):
    """`x - fill(x * mask)`: a residual that is 0 where a pixel is observed and fades in around it.

    What G adds to its fill, or z to its mean, is wrong at observed pixels by just what it is there,
    and next to them by about as much. So the residual's own values at observed pixels are filled
    (`PushPull`) and subtracted: geostatistics conditions its simulations so ("conditioning by
    kriging", Journel and Huijbregts 1978). Without it reconstructions show each observed pixel as a
    speck.

    Inputs `x` `(N, H, W, C)` and `mask` `(N, H, W, 1)`, 1 = observed; output float32 `(N, H, W, C)`.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.fill = PushPull(dtype="float32", name="fill")

    def call(self, x, mask):
        return x - self.fill(x, mask)

    def compute_output_shape(self, x_shape, mask_shape=None):
        return x_shape
