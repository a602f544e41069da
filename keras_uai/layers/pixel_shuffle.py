"""Pixel shuffle (Shi et al., CVPR 2016) and its inverse: resolution traded for channels."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_uai")
class PixelShuffle(keras.layers.Layer):
    """`(N, H, W, r*r*C)` to `(N, r*H, r*W, C)`, cells of r x r pixels made of channels.

    `out[n, r*h + i, r*w + j, c] = in[n, h, w, (i*r + j)*C + c]`.

    Args:
        factor: r, how many times larger the output is.
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = int(factor)

    def call(self, x):
        r = self.factor
        _, height, width, channels = x.shape
        if channels % (r * r):
            raise ValueError(
                f"PixelShuffle({r}) needs a multiple of {r * r} channels. "
                f"Received: input of shape {x.shape}"
            )
        x = ops.reshape(x, (-1, height, width, r, r, channels // (r * r)))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height * r, width * r, channels // (r * r)))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        r = self.factor
        return (batch, height * r, width * r, channels // (r * r))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("keras_uai")
class PixelUnshuffle(keras.layers.Layer):
    """The inverse of `PixelShuffle`: `(N, r*H, r*W, C)` to `(N, H, W, r*r*C)`.

    Args:
        factor: r, how many times smaller the output is. Height and width must be multiples of it.
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = int(factor)

    def call(self, x):
        r = self.factor
        _, height, width, channels = x.shape
        if height % r or width % r:
            raise ValueError(
                f"PixelUnshuffle({r}) needs a height and a width that {r} divides. "
                f"Received: input of shape {x.shape}"
            )
        x = ops.reshape(x, (-1, height // r, r, width // r, r, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height // r, width // r, channels * r * r))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        r = self.factor
        return (batch, height // r, width // r, channels * r * r)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("keras_uai")
class SubpixelInitializer(keras.initializers.Initializer):
    """Draws one kernel and repeats it for all r x r positions of a pixel shuffle (Aitken et al. 2017: ICNR).

    A fresh convolution with pixel shuffle then upsamples by repetition. With independent kernels it draws
    checkerboards, and a loss that asks samples only to differ is content to let z scale these.

    Args:
        factor: r of the pixel shuffle that follows.
        initializer: of the one kernel.
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
