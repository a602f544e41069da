"""New images from the models that learn the distribution of images itself."""

from keras import ops

from keras_uai import random
from keras_uai.measurements.base import check_integer
from keras_uai.models.sampling import per_image_seeds, sample_keys


class GeneratingMixin:
    """`generate`, for any model with an unconditional generator in `data_generator`."""

    def generate(self, n, seed=0, batch_size=32):
        """`n` images of nothing: image i is a function of the weights and of `seed + i`.

        Args:
            n: number of images.
            seed: an integer, or n integers, one an image.
            batch_size: images worked on at a time.

        Returns:
            float32 array `(n, H, W, C)` in [-1, 1].
        """
        count = check_integer("generate", "n", n, 1)
        seeds = per_image_seeds(seed, count)

        def run(seeds):
            return ops.clip(self.imagine(sample_keys(seeds, 1), training=False), -1.0, 1.0)

        return self._in_batches("generate", run, batch_size, seeds)

    def imagine(self, keys, training):
        """`G_x(z)` with `z ~ p_z`, one image a key, `(N, H, W, C)`."""
        generator = self.data_generator
        nothing = ops.zeros((ops.shape(keys)[0], *self.image_shape))
        features = generator.observe(nothing, nothing[..., :1], training=training)
        z = random.normal(keys, (generator.z_dim,))
        return generator.decode(features, z, training=training)
