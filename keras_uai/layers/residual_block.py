"""The residual block of all networks (section 2.4): twice normalisation, ReLU, 3x3 convolution."""

import keras

from keras_uai.layers.modulation import Modulation, make_normalization
from keras_uai.layers.pixel_shuffle import PixelShuffle, SubpixelInitializer
from keras_uai.layers.spectral_normalization import conv2d

_RESAMPLE = (None, "down", "up")


@keras.saving.register_keras_serializable("keras_uai")
class ResidualBlock(keras.layers.Layer):
    """2 x (normalisation, [modulation by z,] ReLU, 3x3 convolution), plus a shortcut.

    `resample="down"` halves the resolution by average pooling after the second convolution, `"up"`
    doubles it by a pixel shuffle of the first convolution's output. The shortcut is the identity
    where shapes agree, else a 1x1 convolution resampled alike.

    Args:
        filters: number of output channels.
        resample: `None`, `"down"` or `"up"`.
        normalization: `"batch"`, `"group"` or `None`.
        spectral: whether convolutions are spectrally normalised.
        modulated: whether the block takes a style `w` `(N, D)` as second argument.
        modulation_scales: see `Modulation`.
        lean: resample where it is cheap: pool between the two convolutions instead of after the
            second, and let the convolution before the pixel shuffle be 1x1. Half the arithmetic
            of a resampling block, or less.
    """

    def __init__(
        self,
        filters,
        resample=None,
        normalization="batch",
        spectral=True,
        modulated=False,
        modulation_scales=True,
        lean=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if resample not in _RESAMPLE:
            raise ValueError(
                f"ResidualBlock: `resample` is one of {_RESAMPLE}. Received: resample={resample!r}"
            )
        self.filters = int(filters)
        self.resample = resample
        self.normalization = normalization
        self.spectral = bool(spectral)
        self.modulated = bool(modulated)
        self.modulation_scales = bool(modulation_scales)
        self.lean = bool(lean)

    def build(self, x_shape, w_shape=None):
        if self.modulated and w_shape is None:
            raise ValueError("ResidualBlock(modulated=True) takes (x, w). Received: x alone.")
        first, initializer = self.filters, "glorot_uniform"
        if self.resample == "up":
            first, initializer = self.filters * 4, SubpixelInitializer(2)
        up = {"kernel_initializer": initializer}
        kernel_size = 1 if self.lean and self.resample == "up" else 3
        policy = self.dtype_policy
        affine = not (self.modulated and self.modulation_scales)
        self.norms = [
            make_normalization(self.normalization, channels, f"norm_{i}", affine, policy)
            for i, channels in enumerate((x_shape[-1], self.filters))
        ]
        self.modulations = []
        if self.modulated:
            self.modulations = [
                Modulation(self.modulation_scales, dtype=policy, name=f"modulation_{i}")
                for i in range(2)
            ]
        self.convs = [
            conv2d(first, kernel_size, self.spectral, dtype=policy, name="conv_0", **up),
            conv2d(self.filters, 3, self.spectral, dtype=policy, name="conv_1"),
        ]
        self.relu = keras.layers.ReLU(dtype=policy, name="relu")
        self.pool = keras.layers.AveragePooling2D(2, dtype=policy, name="pool")
        self.shuffle = PixelShuffle(2, dtype=policy, name="shuffle")
        self.shortcut = None
        if self.resample == "up" or x_shape[-1] != self.filters:
            self.shortcut = conv2d(first, 1, self.spectral, dtype=policy, name="shortcut", **up)
            self.shortcut.build(x_shape)
        shape = tuple(x_shape)
        for i in range(2):
            self.norms[i].build(shape)
            if self.modulated:
                self.modulations[i].build(shape, w_shape)
            self.convs[i].build(shape)
            shape = (*shape[:3], self.filters)
            if self.resample == "up" or self._pools_early:
                shape = self.compute_output_shape(x_shape)

    def call(self, x, w=None, training=None):
        h = self._convolve(0, x, w, training)
        if self.resample == "up":
            h = self.shuffle(h)
        if self._pools_early:
            h, x = self.pool(h), self.pool(x)
        h = self._convolve(1, h, w, training)
        if self.shortcut is None:
            return self.pool(h + x) if self._pools_late else h + x
        if self._pools_late:
            # Pooling and 1x1 convolution commute; this order is the cheaper one.
            return self.pool(h) + self.shortcut(self.pool(x))
        short = self.shortcut(x)
        return h + (self.shuffle(short) if self.resample == "up" else short)

    @property
    def _pools_early(self):
        return self.resample == "down" and self.lean

    @property
    def _pools_late(self):
        return self.resample == "down" and not self.lean

    def _convolve(self, i, x, w, training):
        options = {"training": training} if self.normalization == "batch" else {}
        x = self.norms[i](x, **options)
        if self.modulated:
            x = self.modulations[i](x, w)
        return self.convs[i](self.relu(x))

    def compute_output_shape(self, x_shape, w_shape=None):
        batch, height, width, _ = x_shape
        if self.resample == "up":
            return (batch, height * 2, width * 2, self.filters)
        if self.resample == "down":
            return (batch, height // 2, width // 2, self.filters)
        return (batch, height, width, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "resample": self.resample,
            "normalization": self.normalization,
            "spectral": self.spectral,
            "modulated": self.modulated,
            "modulation_scales": self.modulation_scales,
            "lean": self.lean,
        }
