"""The generator G(y, mask, z) (section 2.4: an image-to-image variant of SAGAN's generator)."""

import inspect

import keras
import numpy as np
from keras import layers, ops

from keras_uai.layers import (
    GatedNoise,
    LearnedFeatures,
    PixelShuffle,
    PixelUnshuffle,
    PushPull,
    ResidualBlock,
    ResidualConditioning,
    SelfAttention,
    SubpixelInitializer,
    conv2d,
    make_normalization,
)
from keras_uai.networks.receptive_field import decoder_radius
from keras_uai.networks.sizes import Levels, check_image_shape


@keras.saving.register_keras_serializable("keras_uai")
class Generator(keras.Model):
    """Reconstructs images from observations: `G(y, mask, z)`, one image per latent.

    The network is fully convolutional. `observe` computes the features of an observation once;
    `decode` turns them and a latent into an image, and runs once per sample. Both consist of a
    *global* part (push-pull fill, residual conditioning), which needs the whole image and costs
    little, and of convolutions (`observer`, `decoder`), which may run on tiles whose margin is
    `receptive_radius` pixels wide.

    The latent z has two parts. `style` is a vector that modulates every residual block of the
    decoder; the encoder recovers it (equation 6). `noise` is one field of independent values per
    decoder level that has noise. G's output at observed pixels carries no meaning: the model
    replaces it by y (equation 4).

    Args:
        image_shape: `(height, width, channels)`; `(None, None, channels)` takes images of any size
            whose sides are multiples of `stride`.
        mask_channels: Channels of the mask: 1, or `channels` where these are missing independently.
        latent_dim: Length of `style`.
        width: Channels of the finest features.
        max_width: Largest number of channels of any level.
        levels: Number of resolutions, each half of the one before. `None`: see `Levels`.
        depth: Residual blocks per level, in each direction.
        space_to_depth: Side of the pixel blocks that become channels before the first convolution.
            1 is the paper's; 2 costs a quarter.
        normalization: `"batch"` (paper), `"group"` or `None`.
        spectral_normalization: Whether the convolutions are spectrally normalized (paper: yes).
        attention_level: Index of the level with self-attention, `None` or `"auto"`; see `Levels`.
        efficient_resampling: See `ResidualBlock`; resampling blocks at half their cost or less.
        input_fill: `"push_pull"` feeds a push-pull fill of the observation instead of y, and lets G
            predict the residual to it; the output is then unbounded. `None`: y itself, and a tanh.
        predicts_mean: Whether `observe` also predicts a mean reconstruction, to which `decode` adds
            the deviation of a sample. The splitting term then trains the observer, and the terms of
            samples train the decoder alone.
        residual_conditioning: Whether residuals to the fill, or to the mean, vanish at observed
            pixels and fade in around them; see `ResidualConditioning`. Needs `input_fill`.
        noise_channels: Channels of the noise field of each decoder level; 0 for none.
        min_noise_stride: Levels of a smaller stride, in pixels, have no noise field.
        modulation: `"scale_shift"` (SAGAN's conditional normalization) or `"shift"`.
        conditional: `False` makes an unconditional generator of the same decoder. Learned constants
            replace the features of the observation. Needs a fixed size.

    Call arguments:
        inputs: Dict of `observation` `(N, H, W, C)` in [-1, 1], `mask` `(N, H, W, mask_channels)`
            with 1 = observed, `style` `(N, latent_dim)`, and `noise`, a dict of the fields
            `{stride: (N, H / stride, W / stride, noise_channels)}`.

    Example:

    >>> g = keras_uai.networks.Generator((None, None, 3), width=8, max_width=16, levels=2)
    >>> y, mask = np.zeros((1, 20, 36, 3)), np.zeros((1, 20, 36, 1))
    >>> print(g.decode(g.observe(y, mask), np.zeros((1, 128)), {}).shape)
    (1, 20, 36, 3)
    """

    def __init__(
        self,
        image_shape=(None, None, 3),
        mask_channels=1,
        latent_dim=128,
        width=64,
        max_width=256,
        levels=None,
        depth=1,
        space_to_depth=1,
        normalization="batch",
        spectral_normalization=True,
        attention_level="auto",
        efficient_resampling=False,
        input_fill=None,
        predicts_mean=False,
        residual_conditioning=False,
        noise_channels=0,
        min_noise_stride=1,
        modulation="scale_shift",
        conditional=True,
        name="generator",
    ):
        super().__init__(name=name, autocast=False)
        self.image_shape = check_image_shape(image_shape)
        self.mask_channels = int(mask_channels)
        self.latent_dim = int(latent_dim)
        self.width = int(width)
        self.max_width = int(max_width)
        self.levels = levels
        self.depth = int(depth)
        self.space_to_depth = int(space_to_depth)
        self.normalization = normalization
        self.spectral_normalization = bool(spectral_normalization)
        self.attention_level = attention_level
        self.efficient_resampling = bool(efficient_resampling)
        self.input_fill = input_fill
        self.predicts_mean = bool(predicts_mean)
        self.residual_conditioning = bool(residual_conditioning)
        self.noise_channels = int(noise_channels)
        self.min_noise_stride = int(min_noise_stride)
        self.modulation = modulation
        self.conditional = bool(conditional)
        self._check_arguments()

        self.pyramid = Levels(
            self.image_shape, levels, space_to_depth, width, max_width, attention_level
        )
        self.stride = self.pyramid.stride
        self.noise_strides = [
            stride
            for stride in self.pyramid.strides
            if self.noise_channels and stride >= self.min_noise_stride
        ]
        self.receptive_radius = decoder_radius(
            self.pyramid.strides,
            self.depth,
            self.efficient_resampling,
            self.predicts_mean,
        )
        # The global part.
        self.fill = PushPull(name="fill")
        self.conditioning = ResidualConditioning(name="conditioning")
        for layer in (self.fill, self.conditioning.fill, self.conditioning):
            layer.build((None, *self.image_shape))
        # The convolutions.
        self.observer = self._build_observer()
        self.decoder = self._build_decoder()
        self.built = True

    # -- the two passes --------------------------------------------------------------------------

    def observe(self, y, mask, training=False):
        """Computes the features of an observation; compute them once for many latents.

        Args:
            y: `(N, H, W, C)`, 0 where missing.
            mask: `(N, H, W, mask_channels)`, 1 = observed.
            training: Whether batch statistics are used and moved.

        Returns:
            Dict of `stride_S` features, finest first, `mask`, `base` (the fill, or y) and, with
            `predicts_mean`, `mean` `(N, H, W, C)` in float32, unclipped.
        """
        y, mask = ops.convert_to_tensor(y), ops.convert_to_tensor(mask)
        base = self.base(y, mask)
        features = self.observer([base, mask], training=training)
        residual = features.pop("mean_residual", None)
        features |= {"base": base, "mask": mask}
        if self.predicts_mean:
            features["mean"] = self.finish(residual, base, mask)
        return features

    def decode(self, features, style, noise, training=False, samples=1):
        """Computes images from features and latents.

        Args:
            features: `observe(y, mask)` of N observations.
            style: `(N * samples, latent_dim)`, the samples of an observation one after the other.
            noise: Dict of the fields `{stride: (N * samples, h, w, noise_channels)}`.
            training: Whether batch statistics are used and moved.
            samples: Number of images per observation, an integer or scalar tensor.

        Returns:
            `(N * samples, H, W, C)`.
        """
        features = repeat(features, samples)
        if self.predicts_mean:
            # The splitting term alone trains the observer: the terms of samples slow it down.
            features = {name: ops.stop_gradient(value) for name, value in features.items()}
        origin = features["mean" if self.predicts_mean else "base"]
        levels = [features[f"stride_{stride}"] for stride in self.pyramid.strides]
        style = ops.convert_to_tensor(style)
        fields = [ops.convert_to_tensor(noise[stride]) for stride in self.noise_strides]
        image = self.decoder([*levels, style, *fields], training=training)
        return self.finish(image, origin, features["mask"])

    def call(self, inputs, training=False):
        features = self.observe(inputs["observation"], inputs["mask"], training)
        return self.decode(features, inputs["style"], inputs["noise"], training)

    # -- the global part -------------------------------------------------------------------------

    def base(self, y, mask):
        """Returns the image that the convolutions see: the push-pull fill, or y."""
        return self.fill(y, mask) if self.input_fill else y

    def finish(self, output, origin, mask):
        """Turns the output of the convolutions into an image.

        Args:
            output: `(N, H, W, C)`: a residual, or without fill and mean the image itself.
            origin: `(N, H, W, C)`: the fill or mean that a residual is added to.
            mask: `(N, H, W, mask_channels)`.
        """
        if self.residual_conditioning:
            output = self.conditioning(output, mask)
        if self.input_fill or self.predicts_mean:
            return ops.cast(origin, "float32") + ops.cast(output, "float32")
        return output

    # -- the convolutions ------------------------------------------------------------------------

    def _build_observer(self):
        """Builds the functional model from `[base, mask]` to the dict of features."""
        height, width, channels = self.image_shape
        base = keras.Input((height, width, channels), name="base")
        mask = keras.Input((height, width, self.mask_channels), name="mask")
        if self.conditional:
            features = self._down([base, mask])
        else:
            features = self._constants(base)
        outputs = {}
        if self.predicts_mean:
            features, outputs["mean_residual"] = self._mean_path(features)
        outputs |= {f"stride_{stride}": features[stride] for stride in self.pyramid.strides}
        return keras.Model([base, mask], outputs, name="observer")

    def _down(self, inputs):
        """Builds the downward path: features by stride."""
        x = layers.Concatenate(name="observe_input")(inputs)
        if self.space_to_depth > 1:
            x = PixelUnshuffle(self.space_to_depth, name="observe_unshuffle")(x)
        x = conv2d(self.width, 3, self.spectral_normalization, name="observe_stem")(x)
        features = {}
        for level, (stride, filters) in enumerate(self.pyramid):
            for block in range(self.depth):
                resample = "down" if level and not block else None
                x = self._block(filters, f"observe_{stride}_{block}", resample)(x)
            if stride == self.pyramid.attention_stride:
                x = self._attention(f"observe_{stride}_attention")(x)
            features[stride] = x
        return features

    def _constants(self, base):
        """Builds learned constants in place of the features of an observation."""
        height, width, _ = self.image_shape
        shapes = [(height // stride, width // stride, filters) for stride, filters in self.pyramid]
        constants = LearnedFeatures(shapes, name="learned_features")(base)
        return dict(zip(self.pyramid.strides, constants, strict=True))

    def _mean_path(self, features):
        """Builds the upward path of `observer`: features, and the mean's residual to the fill."""
        x = features[self.stride]
        decoded = {self.stride: x}
        for stride, filters in reversed(list(self.pyramid)[:-1]):
            x = self._block(filters, f"mean_{stride}_up", "up")(x)
            x = layers.Add(name=f"mean_{stride}_merge")([x, features[stride]])
            for block in range(self.depth):
                x = self._block(filters, f"mean_{stride}_{block}")(x)
            decoded[stride] = x
        return decoded, self._head(x, "mean_head")

    def _build_decoder(self):
        """Builds the functional model from `[*features, style, *noise]` to a residual or image."""
        height, width, _ = self.image_shape
        sides = {
            s: (None, None) if height is None else (height // s, width // s)
            for s, _ in self.pyramid
        }
        skips = {s: keras.Input((*sides[s], c), name=f"stride_{s}") for s, c in self.pyramid}
        fields = {
            s: keras.Input((*sides[s], self.noise_channels), name=f"noise_{s}")
            for s in self.noise_strides
        }
        style_input = keras.Input((self.latent_dim,), name="style")
        style = style_input
        for i in range(2):
            style = layers.Dense(self.latent_dim, activation="relu", name=f"style_{i}")(style)
        x = None
        for stride, filters in reversed(list(self.pyramid)):
            name = f"decode_{stride}"
            skip = conv2d(filters, 1, self.spectral_normalization, name=f"{name}_skip")(
                skips[stride]
            )
            if x is None:
                x = skip
            else:
                x = self._block(filters, f"{name}_up", "up", self.modulation)(x, style)
                x = layers.Add(name=f"{name}_merge")([x, skip])
            if stride in fields:
                x = GatedNoise(name=f"{name}_noise")(x, skip, fields[stride])
            if stride == self.pyramid.attention_stride:
                x = self._attention(f"{name}_attention")(x)
            for block in range(self.depth):
                x = self._block(filters, f"{name}_{block}", None, self.modulation)(x, style)
        image = self._head(x, "head")
        if not (self.input_fill or self.predicts_mean):
            image = layers.Activation("tanh", dtype="float32", name="head_tanh")(image)
        inputs = [*skips.values(), style_input, *fields.values()]
        return keras.Model(inputs, image, name="decoder")

    def _head(self, x, name):
        """Builds the output layers, near 0 at the start: a fresh G returns its fill, or grey."""
        x = make_normalization(self.normalization, self.width, f"{name}_norm")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
        r = self.space_to_depth
        if r > 1:
            filters = max(16, self.width // 4) * r * r
            initializer = SubpixelInitializer(r)
            expand = conv2d(
                filters,
                3,
                self.spectral_normalization,
                kernel_initializer=initializer,
                name=f"{name}_expand",
            )
            x = PixelShuffle(r, name=f"{name}_shuffle")(expand(x))
            x = layers.ReLU(name=f"{name}_shuffle_relu")(x)
        # The noise of a fresh mean is unlearned by dying units, which do not come back.
        scale = 1e-4 if self.predicts_mean else 0.1
        small = keras.initializers.VarianceScaling(scale, "fan_in", "normal")
        image = layers.Conv2D(
            self.image_shape[-1],
            3,
            padding="same",
            kernel_initializer=small,
            dtype="float32",
            name=f"{name}_image",
        )
        return image(x)

    def _block(self, filters, name, resample=None, modulation=None):
        return ResidualBlock(
            filters,
            resample,
            normalization=self.normalization,
            spectral_normalization=self.spectral_normalization,
            modulation=modulation,
            efficient_resampling=self.efficient_resampling,
            name=name,
        )

    def _attention(self, name):
        return SelfAttention(self.spectral_normalization, name=name)

    def _check_arguments(self):
        if self.input_fill not in (None, "push_pull"):
            raise ValueError(
                f"`input_fill` must be None or 'push_pull'. Received: input_fill={self.input_fill!r}"
            )
        if self.residual_conditioning and not self.input_fill:
            raise ValueError(
                "`residual_conditioning` needs input_fill='push_pull'. "
                f"Received: input_fill={self.input_fill!r}"
            )
        if self.modulation not in ("shift", "scale_shift"):
            raise ValueError(
                f"`modulation` must be 'shift' or 'scale_shift'. Received: modulation={self.modulation!r}"
            )
        if not self.conditional and self.image_shape[0] is None:
            raise ValueError(
                "An unconditional generator needs a fixed size. "
                f"Received: conditional=False, image_shape={self.image_shape!r}"
            )

    def get_config(self):
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def repeat(features, count):
    """Returns a dict of features with each observation's repeated `count` times in a row."""
    if isinstance(count, int) and count == 1:
        return features
    repeated = {}
    for name, value in features.items():  # whole images computed by tiles stay in NumPy
        xp = np if isinstance(value, np.ndarray) and isinstance(count, int) else ops
        repeated[name] = xp.repeat(value, count, axis=0)
    return repeated
