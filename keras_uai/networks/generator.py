"""The reconstruction network G(y, mask, z) (section 2.4: an image-to-image variant of SAGAN's generator)."""

import keras
from keras import layers

from keras_uai.layers import (
    Anchor,
    GatedNoise,
    PixelShuffle,
    PixelUnshuffle,
    PushPull,
    ResidualBlock,
    SelfAttention,
    SubpixelInitializer,
    conv2d,
    make_normalization,
)
from keras_uai.networks.parts import LearnedFeatures, SplitLatent, StopGradient
from keras_uai.networks.sizes import check_image_shape, levels


@keras.saving.register_keras_serializable("keras_uai")
class Generator(keras.Model):
    """`G(y, mask, z)`: the image behind an observation, `(N, H, W, C)`; one image a latent.

    Two graphs. `observe(y, mask)` is all that depends on the observation alone, a pyramid of features;
    `decode(features, z)` makes an image of it. For many z the first runs once. The decoder's residual blocks are
    modulated by z at every scale, and each scale also gets its part of a noise map where `noise_channels > 0`, so that
    z *can* matter from the layout down to single pixels.

    The latent `z` is one vector `(N, z_dim)`: `latent_dim` global values, which the encoder recovers, then the noise
    maps' values. G's output at observed pixels is meaningless: the model replaces it by y (equation 4).

    Args:
        image_shape: `(side, side, channels)`.
        latent_dim: length of the global part of z.
        width: channels at the finest feature level.
        max_width: most channels at any level.
        depth: residual blocks a level, in each of the two graphs.
        stem: the finest features have `side / stem` pixels; what is in a `stem x stem` cell becomes channels (pixel
            unshuffle) and comes back by pixel shuffle. 1 is the paper's; 2 costs a quarter.
        normalization: `"batch"` (paper), `"group"` or `None`.
        spectral: spectral normalisation of the convolutions (paper: yes).
        attention_size: side of the feature level with self-attention; `None` for none.
        lean: see `ResidualBlock`: resampling blocks at half their cost or less.
        fill: give G a push-pull fill of the missing pixels instead of y, and let it predict the residual to it. The
            output is then unbounded; without `fill` it passes a tanh.
        predicts_mean: let `observe` itself decode its features to a mean reconstruction (trained by the `"splitting"`
            term alone), and `decode` predict what z adds to it. One pass then gives the best single answer, and the
            samples' score does not have to teach the mean.
        anchor: let what is added to the fill, or to the mean, vanish at observed pixels and fade in around them, see
            `Anchor`; needs `fill`.
        noise_channels: channels of the noise map at each decoder level; the features of the observation gate them.
        noise_cell: only levels whose cells have a side of at least so many pixels have a noise map. What is finer then
            follows from coarser noise and the observation: finer noise is grain, which scores on few pixels hardly see.
        modulation_scales: whether z scales the decoder's channels or only shifts them, see `Modulation`.
        conditional: `False` makes an unconditional generator of the same decoder: learned constants take the place of
            the observation's features, so that (but for a `fill`) neither y nor the mask matters.

    Call arguments:
        `[y, mask, z]`: `(N, H, W, C)` in [-1, 1], `(N, H, W, 1)` with 1 = observed, `(N, z_dim)` standard normal.
    """

    def __init__(
        self,
        image_shape,
        latent_dim=128,
        width=64,
        max_width=256,
        depth=1,
        stem=1,
        normalization="batch",
        spectral=True,
        attention_size=32,
        lean=False,
        fill=False,
        predicts_mean=False,
        anchor=False,
        noise_channels=0,
        noise_cell=1,
        modulation_scales=True,
        conditional=True,
        name="generator",
    ):
        height, _, channels = check_image_shape(image_shape)
        if anchor and not fill:
            raise ValueError(
                "`anchor` lets the residual to the fill vanish where a pixel is observed: it needs fill=True. "
                f"Received: anchor={anchor!r}, fill={fill!r}"
            )
        self_levels = levels(image_shape, stem, width, max_width)
        options = {"normalization": normalization, "spectral": spectral, "lean": lean}
        modulated = {"modulated": True, "modulation_scales": modulation_scales, **options}
        noise_sides = [
            side for side, _ in self_levels if noise_channels and side * noise_cell <= height
        ]
        noise_shapes = [(side, side, noise_channels) for side in noise_sides]

        # === Graph: what depends on y alone ===
        y = keras.Input((height, height, channels), name="observation")
        mask = keras.Input((height, height, 1), name="mask")
        base = PushPull(name="fill")(y, mask) if fill else y
        if conditional:
            x = layers.Concatenate(name="observe_input")([base, mask])
            features = _observe_path(x, self_levels, depth, stem, attention_size, options)
        else:
            shapes = [(side, side, filters) for side, filters in self_levels]
            features = _listed(LearnedFeatures(shapes, name="learned_features")(y))
        if predicts_mean:
            features, residual = _mean_path(features, self_levels, depth, stem, channels, options)
            residual = Anchor(name="mean_anchor")(residual, mask) if anchor else residual
            base = layers.Add(dtype="float32", name="mean")([residual, base])
        outputs = [
            *features,
            *([mask] if anchor else []),
            *([base] if fill or predicts_mean else []),
        ]
        observer = keras.Model([y, mask], outputs, name="observer")

        # === Graph: what depends on z, too ===
        inputs = [keras.Input(f.shape[1:], name=f"features_{i}") for i, f in enumerate(outputs)]
        z_dim = latent_dim + sum(side * side * c for side, _, c in noise_shapes)
        z = keras.Input((z_dim,), name="z")
        split = SplitLatent(latent_dim, noise_shapes, name="split_latent")(z)
        style = split[0] if noise_shapes else split
        for i in range(2):
            style = layers.Dense(latent_dim, activation="relu", name=f"style_{i}")(style)
        x = None
        for level, (side, filters) in reversed(list(enumerate(self_levels))):
            skip = conv2d(filters, 1, spectral, name=f"decode_{side}_skip")(inputs[level])
            if x is None:
                x = skip
            else:
                x = ResidualBlock(filters, "up", **modulated, name=f"decode_{side}_up")(x, style)
                x = layers.Add(name=f"decode_{side}_merge")([x, skip])
            if side in noise_sides:
                noise = split[1 + noise_sides.index(side)]
                x = GatedNoise(name=f"decode_{side}_noise")(x, skip, noise)
            if side == attention_size:
                x = SelfAttention(spectral, name=f"decode_{side}_attention")(x)
            for block in range(depth):
                x = ResidualBlock(filters, **modulated, name=f"decode_{side}_{block}")(x, style)
        image = _head(x, width, stem, channels, options, "head")
        image = Anchor(name="head_anchor")(image, inputs[-2]) if anchor else image
        if fill or predicts_mean:
            # The mean is trained by its own loss only; a fill has nothing to train.
            base = StopGradient(name="fixed_mean")(inputs[-1]) if predicts_mean else inputs[-1]
            image = layers.Add(dtype="float32", name="head_residual")([image, base])
        else:
            image = layers.Activation("tanh", dtype="float32", name="head_tanh")(image)
        decoder = keras.Model([*inputs, z], image, name="decoder")

        # === Functional model ===
        super().__init__([y, mask, z], decoder([*_listed(observer([y, mask])), z]), name=name)

        # === Config ===
        self.observer, self.decoder = observer, decoder
        self.image_shape, self.latent_dim, self.width, self.max_width = (
            tuple(image_shape),
            latent_dim,
            width,
            max_width,
        )
        self.depth, self.stem, self.normalization, self.spectral = (
            depth,
            stem,
            normalization,
            spectral,
        )
        self.attention_size, self.fill, self.predicts_mean = attention_size, fill, predicts_mean
        self.noise_channels, self.modulation_scales = noise_channels, modulation_scales
        self.noise_cell, self.lean, self.anchor = noise_cell, lean, anchor
        self.conditional, self.z_dim = conditional, z_dim

    def observe(self, y, mask, training=False):
        """The features of `(y, mask)`: a list of `(N, h, w, c)`, finest first; compute them once for many z."""
        return _listed(self.observer([y, mask], training=training))

    def decode(self, features, z, training=False):
        """The image `(N, H, W, C)` that `features` and `z` `(N, z_dim)` stand for."""
        return self.decoder([*features, z], training=training)

    def get_config(self):
        names = (
            "image_shape", "latent_dim", "width", "max_width", "depth", "stem", "normalization", "spectral",
            "attention_size", "lean", "fill", "predicts_mean", "anchor", "noise_channels",
            "noise_cell", "modulation_scales", "conditional", "name",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def _listed(outputs):
    """A model's outputs as a list, also where there is one, which Keras hands out bare."""
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def _observe_path(x, sizes, depth, stem, attention_size, options):
    """The way down inside `observe`: features, finest first."""
    if stem > 1:
        x = PixelUnshuffle(stem, name="observe_unshuffle")(x)
    x = conv2d(sizes[0][1], 3, options["spectral"], name="observe_stem")(x)
    features = []
    for level, (side, filters) in enumerate(sizes):
        for block in range(depth):
            resample = "down" if level and not block else None
            x = ResidualBlock(filters, resample, **options, name=f"observe_{side}_{block}")(x)
        if side == attention_size:
            x = SelfAttention(options["spectral"], name=f"observe_{side}_attention")(x)
        features.append(x)
    return features


def _mean_path(features, sizes, depth, stem, channels, options):
    """The way back up inside `observe`: its features, finest first, and the residual of the mean to the fill."""
    x, decoded = features[-1], [features[-1]]
    for (side, filters), skip in reversed(list(zip(sizes[:-1], features[:-1], strict=True))):
        x = ResidualBlock(filters, "up", **options, name=f"mean_{side}_up")(x)
        x = layers.Add(name=f"mean_{side}_merge")([x, skip])
        for block in range(depth):
            x = ResidualBlock(filters, **options, name=f"mean_{side}_{block}")(x)
        decoded.insert(0, x)
    return decoded, _head(x, sizes[0][1], stem, channels, options, "mean_head")


def _head(x, width, stem, channels, options, name):
    """Features to an image near 0 at the start, so that a fresh G returns its fill, or grey. float32 throughout."""
    x = make_normalization(options["normalization"], width, f"{name}_norm")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    if stem > 1:
        x = conv2d(
            max(16, width // 4) * stem * stem,
            3,
            options["spectral"],
            kernel_initializer=SubpixelInitializer(stem),
            name=f"{name}_expand",
        )(x)
        x = layers.ReLU(name=f"{name}_shuffle_relu")(PixelShuffle(stem, name=f"{name}_shuffle")(x))
    small = keras.initializers.VarianceScaling(0.1, "fan_in", "normal")
    return layers.Conv2D(
        channels, 3, padding="same", kernel_initializer=small, dtype="float32", name=f"{name}_image"
    )(x)
