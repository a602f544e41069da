"""Learned constants in place of the features of an observation, for unconditional generators."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_uai")
class LearnedFeatures(keras.layers.Layer):
    """Learned constants of `shapes` `(h, w, c)`, finest first, the same for every image of a batch.

    At the start the coarsest are standard normal and the others 0, as in StyleGAN's constant input
    (Karras et al. 2019).
    """

    def __init__(self, shapes, **kwargs):
        super().__init__(**kwargs)
        self.shapes = [tuple(shape) for shape in shapes]

    def build(self, x_shape):
        initializers = ["zeros"] * (len(self.shapes) - 1) + [
            keras.initializers.RandomNormal(stddev=1.0)
        ]
        self.constants = [
            self.add_weight(shape=(1, *shape), initializer=initializer, name=f"features_{shape[0]}")
            for shape, initializer in zip(self.shapes, initializers, strict=True)
        ]

    def call(self, x):
        """Returns the constants, repeated for each image of `x`."""
        zero = ops.cast(ops.zeros_like(x[:, :1, :1, :1]), self.compute_dtype)
        return [zero + ops.cast(c, self.compute_dtype) for c in self.constants]

    def compute_output_shape(self, x_shape):
        return [(x_shape[0], *shape) for shape in self.shapes]

    def get_config(self):
        return {**super().get_config(), "shapes": self.shapes}
