"""Small layers that only the generator is made of."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("keras_uai")
class StopGradient(layers.Layer):
    """The identity, through which no gradient flows."""

    def call(self, x):
        return ops.stop_gradient(x)


@keras.saving.register_keras_serializable("keras_uai")
class SplitLatent(layers.Layer):
    """Splits `z` `(N, z_dim)` into its global part `(N, latent_dim)` and the noise maps of `noise_shapes`."""

    def __init__(self, latent_dim, noise_shapes, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.noise_shapes = [tuple(shape) for shape in noise_shapes]

    def call(self, z):
        parts, start = [z[:, : self.latent_dim]], self.latent_dim
        for height, width, channels in self.noise_shapes:
            size = height * width * channels
            parts.append(ops.reshape(z[:, start : start + size], (-1, height, width, channels)))
            start += size
        return parts if self.noise_shapes else parts[0]

    def compute_output_shape(self, z_shape):
        shapes = [
            (z_shape[0], self.latent_dim),
            *((z_shape[0], *shape) for shape in self.noise_shapes),
        ]
        return shapes if self.noise_shapes else shapes[0]

    def get_config(self):
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "noise_shapes": self.noise_shapes,
        }


@keras.saving.register_keras_serializable("keras_uai")
class LearnedFeatures(layers.Layer):
    """Learned constants of `shapes` `(h, w, c)`, the same for every image of a batch.

    At the start the last, the coarsest, are standard normal and the others 0: what a decoder of a constant (StyleGAN,
    Karras et al. 2019) begins with.
    """

    def __init__(self, shapes, **kwargs):
        super().__init__(**kwargs)
        self.shapes = [tuple(shape) for shape in shapes]

    def build(self, input_shape):
        kinds = ["zeros"] * (len(self.shapes) - 1) + [keras.initializers.RandomNormal(stddev=1.0)]
        self.constants = [
            self.add_weight(shape=(1, *shape), initializer=kind, name=f"features_{shape[0]}")
            for shape, kind in zip(self.shapes, kinds, strict=True)
        ]

    def call(self, y):
        """`y` says how many images there are."""
        nothing = ops.cast(ops.zeros_like(y[:, :1, :1, :1]), self.compute_dtype)
        return [nothing + ops.cast(c, self.compute_dtype) for c in self.constants]

    def compute_output_shape(self, y_shape):
        return [(y_shape[0], *shape) for shape in self.shapes]

    def get_config(self):
        return {**super().get_config(), "shapes": self.shapes}
