"""Pixel shuffle (Shi et al., CVPR 2016) and its inverse: resolution traded for channels."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_uai")
class PixelShuffle(keras.layers.Layer):
    """Depth to space: `(N, H, W, r*r*C)` to `(N, r*H, r*W, C)`.

    `out[n, r*h + i, r*w + j, c] = in[n, h, w, (i*r + j)*C + c]`.

    Args:
        factor: integer r, by which height and width grow.

    Example:

    >>> print(keras_uai.layers.PixelShuffle(2)(np.zeros((1, 5, 7, 12))).shape)
    (1, 10, 14, 3)
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = int(factor)

    def call(self, x):
        r = self.factor
        _, height, width, _ = ops.shape(x)
        channels = self.compute_output_shape(x.shape)[-1]
        x = ops.reshape(x, (-1, height, width, r, r, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height * r, width * r, channels))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        r = self.factor
        if channels % (r * r):
            raise ValueError(
                f"The input of PixelShuffle({r}) must have a multiple of {r * r} channels. "
                f"Received: input of shape {tuple(input_shape)}"
            )
        return (batch, _times(height, r), _times(width, r), channels // (r * r))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("keras_uai")
class PixelUnshuffle(keras.layers.Layer):
    """Space to depth, the inverse of `PixelShuffle`: `(N, r*H, r*W, C)` to `(N, H, W, r*r*C)`.

    Args:
        factor: integer r, by which height and width shrink. Both must be multiples of it.

    Example:

    >>> print(keras_uai.layers.PixelUnshuffle(2)(np.zeros((1, 10, 14, 3))).shape)
    (1, 5, 7, 12)
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = int(factor)

    def call(self, x):
        r = self.factor
        channels = self.compute_output_shape(x.shape)[-1]
        _, height, width, _ = ops.shape(x)
        x = ops.reshape(x, (-1, height // r, r, width // r, r, x.shape[-1]))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height // r, width // r, channels))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        r = self.factor
        if (height or 0) % r or (width or 0) % r:
            raise ValueError(
                f"The input of PixelUnshuffle({r}) must have a height and a width that are "
                f"multiples of {r}. Received: input of shape {tuple(input_shape)}"
            )
        return (batch, _over(height, r), _over(width, r), channels * r * r)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("keras_uai")
class SubpixelInitializer(keras.initializers.Initializer):
    """Kernel initializer for a convolution before a pixel shuffle (Aitken et al. 2017: ICNR).

    It draws one kernel and repeats it for the r x r positions of the shuffle. A fresh convolution
    then upsamples by repetition instead of drawing checkerboards.

    Args:
        factor: integer r, the factor of the pixel shuffle.
        initializer: initializer of the one kernel. Defaults to `"glorot_uniform"`.
    """

    def __init__(self, factor, initializer="glorot_uniform"):
        self.factor = int(factor)
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        copies = self.factor * self.factor
        kernel = self.initializer((*shape[:-1], shape[-1] // copies), dtype=dtype)
        return ops.tile(kernel, (*(1 for _ in shape[:-1]), copies))

    def get_config(self):
        return {
            "factor": self.factor,
            "initializer": keras.initializers.serialize(self.initializer),
        }


def _times(size, factor):
    return None if size is None else size * factor


def _over(size, factor):
    return None if size is None else size // factor
