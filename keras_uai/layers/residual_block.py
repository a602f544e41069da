"""Residual block of all networks (section 2.4): twice normalization, ReLU, 3x3 convolution."""

import keras

from keras_uai.layers.modulation import Modulation, make_normalization
from keras_uai.layers.pixel_shuffle import PixelShuffle, SubpixelInitializer
from keras_uai.layers.spectral_normalization import advance_layers, conv2d

_RESAMPLE = (None, "down", "up")
_MODULATION = (None, "shift", "scale_shift")


@keras.saving.register_keras_serializable("keras_uai")
class ResidualBlock(keras.layers.Layer):
    """2 x (normalization, [modulation by the style,] ReLU, 3x3 convolution), plus a shortcut.

    `resample="down"` halves the resolution by average pooling after the second convolution. `"up"`
    doubles it by a pixel shuffle after the first. The shortcut is the identity where shapes agree.
    Otherwise it is a 1x1 convolution, resampled in the same way.

    Args:
        filters: integer, number of output channels.
        resample: `None`, `"down"` (height and width must be even) or `"up"`. Defaults to `None`.
        normalization: `"batch"`, `"group"` or `None`. Defaults to `"batch"`.
        spectral_normalization: boolean, whether convolutions are spectrally normalized. Defaults
            to `True`.
        modulation: `None`, or `"shift"` or `"scale_shift"` (see `Modulation`) for a block whose
            second input is a style. Defaults to `None`.
        efficient_resampling: boolean, whether to pool between the two convolutions instead of
            after the second, and to make the convolution before the pixel shuffle 1x1. It halves
            the arithmetic of a resampling block, or better. Defaults to `False`.

    Call arguments:
        x: `(N, H, W, C)`.
        style: `(N, D)`, with `modulation` only.
        training: boolean, used by batch normalization.

    Example:

    >>> block = keras_uai.layers.ResidualBlock(8, "down")
    >>> print(block(np.zeros((1, 10, 14, 3))).shape)
    (1, 5, 7, 8)
    """

    def __init__(
        self,
        filters,
        resample=None,
        normalization="batch",
        spectral_normalization=True,
        modulation=None,
        efficient_resampling=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if resample not in _RESAMPLE:
            raise ValueError(
                f"`resample` must be one of {_RESAMPLE}. Received: resample={resample!r}"
            )
        if modulation not in _MODULATION:
            raise ValueError(
                f"`modulation` must be one of {_MODULATION}. Received: modulation={modulation!r}"
            )
        self.filters = int(filters)
        self.resample = resample
        self.normalization = normalization
        self.spectral_normalization = bool(spectral_normalization)
        self.modulation = modulation
        self.efficient_resampling = bool(efficient_resampling)

    def build(self, x_shape, style_shape=None):
        if self.modulation and style_shape is None:
            raise ValueError(
                f"ResidualBlock(modulation={self.modulation!r}) must be called with (x, style). "
                "Received: x alone"
            )
        policy = self.dtype_policy
        expanded = self.filters
        up = {}
        if self.resample == "up":
            expanded = 4 * self.filters
            up["kernel_initializer"] = SubpixelInitializer(2)
        first_size = 1 if self.resample == "up" and self.efficient_resampling else 3

        def conv(filters, kernel_size, name, **kwargs):
            return conv2d(
                filters, kernel_size, self.spectral_normalization, dtype=policy, name=name, **kwargs
            )

        self.norms = [
            make_normalization(
                self.normalization,
                channels,
                f"norm_{i}",
                affine=self.modulation != "scale_shift",
                dtype=policy,
            )
            for i, channels in enumerate((x_shape[-1], self.filters))
        ]
        self.modulations = []
        if self.modulation:
            self.modulations = [
                Modulation(self.modulation, dtype=policy, name=f"modulation_{i}") for i in range(2)
            ]
        # Without normalization, a block that starts as its shortcut keeps the scale of its input
        # (Zhang, Dauphin and Ma, "Fixup initialization", 2019).
        plain = self.normalization is None and not self.spectral_normalization
        last = {"kernel_initializer": "zeros"} if plain else {}
        self.convs = [
            conv(expanded, first_size, "conv_0", **up),
            conv(self.filters, 3, "conv_1", **last),
        ]
        self.relu = keras.layers.ReLU(dtype=policy, name="relu")
        self.pool = keras.layers.AveragePooling2D(2, dtype=policy, name="pool")
        self.shuffle = PixelShuffle(2, dtype=policy, name="shuffle")
        self.shortcut = None
        if self.resample == "up" or x_shape[-1] != self.filters:
            self.shortcut = conv(expanded, 1, "shortcut", **up)
            self.shortcut.build(x_shape)
        for i, channels in enumerate((x_shape[-1], self.filters)):
            shape = (*x_shape[:3], channels)
            self.norms[i].build(shape)
            if self.modulation:
                self.modulations[i].build(shape, style_shape)
            self.convs[i].build(shape)

    def call(self, x, style=None, training=None):
        pools_early = self.resample == "down" and self.efficient_resampling
        pools_late = self.resample == "down" and not self.efficient_resampling
        h = self._convolve(0, x, style, training)
        if self.resample == "up":
            h = self.shuffle(h)
        if pools_early:
            h = self.pool(h)
            x = self.pool(x)
        h = self._convolve(1, h, style, training)
        if pools_late:
            # The 1x1 convolution of the shortcut commutes with pooling and is cheaper after it.
            h = self.pool(h)
            x = self.pool(x)
        if self.shortcut is not None:
            x = self.shortcut(x)
        if self.resample == "up":
            x = self.shuffle(x)
        return h + x

    def _convolve(self, i, x, style, training):
        x = (
            self.norms[i](x, training=training)
            if self.normalization == "batch"
            else self.norms[i](x)
        )
        if self.modulation:
            x = self.modulations[i](x, style)
        return self.convs[i](self.relu(x))

    def advance_power_iteration(self):
        """Advances the power iteration of every spectrally normalized convolution."""
        advance_layers([*self.convs, self.shortcut])

    def compute_output_shape(self, x_shape, style_shape=None):
        batch, *sizes, _ = x_shape
        if self.resample == "up":
            sizes = [size and size * 2 for size in sizes]
        if self.resample == "down":
            sizes = [size and size // 2 for size in sizes]
        return (batch, *sizes, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "resample": self.resample,
            "normalization": self.normalization,
            "spectral_normalization": self.spectral_normalization,
            "modulation": self.modulation,
            "efficient_resampling": self.efficient_resampling,
        }
