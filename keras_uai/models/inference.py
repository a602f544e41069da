"""Inference on NumPy arrays: compiled once, in chunks that bound memory, by tiles where needed."""

import keras
import numpy as np
from keras import ops

from keras_uai import checks, sampling

#: Pixels that are computed at a time: about a gigabyte of activations.
PIXELS = 2**21
#: Pixels of the whole images that are computed together by tiles: about half a gigabyte.
TILED_PIXELS = 2**24
#: Side of the tiles of larger images. JAX compiles each shape; there tiles are smaller, and smaller
#: images are tiled, too.
TILE = 256 if keras.backend.backend() == "jax" else 768
#: Rows of an image that are converted at a time.
ROWS = 256


class Inference:
    """`inpaint` and `predict_mean` of a model.

    Args:
        model: An `InpaintingModel`.
    """

    def __init__(self, model):
        self.model = model
        self.functions = {}

    def clear(self):
        """Forgets the compiled functions."""
        self.functions = {}

    def compiled(self, name, function):
        """Returns `function` compiled. Weights are read at each call; `name` identifies it."""
        if name not in self.functions:
            from keras_uai.models.base import trainer

            self.functions[name] = trainer.compile_function(self.model, function)
        return self.functions[name]

    def inpaint(self, y, mask, num_samples, seed, batch_size, tile):
        """See `InpaintingModel.inpaint`."""
        count = checks.check_integer("inpaint", "num_samples", num_samples, 1)
        given, y, mask = self._check(y, mask)
        seeds = checks.per_image_seeds(seed, len(y))
        keys = ops.convert_to_numpy(sampling.sample_keys(seeds, count))
        out = np.empty((len(y), count, *y.shape[1:]), given.dtype)
        for rows in self._rows(y, batch_size):
            images = self._samples(y[rows], mask[rows], keys[rows], tile)
            for first, chunk in images:
                last = first + chunk.shape[1]
                out[rows, first:last] = self._restore(chunk, given[rows, None], mask[rows, None])
        return out

    def predict_mean(self, y, mask, batch_size, tile):
        """See `InpaintingModel.predict_mean`."""
        if not self.model.stochastic:
            return self.inpaint(y, mask, 1, 0, batch_size, tile)[:, 0]
        self.model.check_predicts_mean()
        given, y, mask = self._check(y, mask)
        out = np.empty(y.shape, given.dtype)
        for rows in self._rows(y, batch_size):
            generator, padded = self._prepare(y[rows], mask[rows], tile)
            if isinstance(generator, sampling.TiledGenerator):
                mean = generator.observe(*padded)["mean"]
            else:
                mean = self.compiled("mean", self._mean)(*padded)
            mean = ops.convert_to_numpy(mean)[:, : y.shape[1], : y.shape[2]]
            out[rows] = self._restore(mean, given[rows], mask[rows])
        return out

    def _mean(self, y, mask):
        return self.model.inference_generator.observe(y, mask)["mean"]

    def _samples(self, y, mask, keys, tile):
        """Yields `(index of the first, samples (N, k, H, W, C))` for chunks of the samples."""
        model, latents = self.model, self.model.latents
        generator, padded = self._prepare(y, mask, tile)
        height, width = y.shape[1:3]
        if isinstance(generator, sampling.TiledGenerator):
            features, draw = generator.observe(*padded), model.sampler
            chunk = max(1, TILED_PIXELS // (len(y) * padded[0].shape[1] * padded[0].shape[2]))
            arguments = (generator, features, *padded)
        else:
            observe = self.compiled("observe", generator.observe)
            features = observe(*padded)
            chunk = max(1, PIXELS // (len(y) * padded[0].shape[1] * padded[0].shape[2]))
            draw = self.compiled(
                "draw",
                lambda features, y, mask, keys: model.sampler(
                    generator, features, y, mask, keys, None, latents
                ),
            )
            arguments = (features, *padded)
        for first in range(0, keys.shape[1], chunk):
            part = keys[:, first : first + chunk]
            rest = (None, latents) if draw is model.sampler else ()
            images = ops.convert_to_numpy(draw(*arguments, part, *rest))
            yield first, images[:, :, :height, :width]

    def _prepare(self, y, mask, tile):
        """Returns the generator to use, whole or tiled, and `[y, mask]` padded for it."""
        generator = self.model.inference_generator
        tiles = self._tile(y.shape, tile)
        if tiles is None:
            return generator, [sampling.pad_to_multiple(v, generator.stride) for v in (y, mask)]
        tiled = sampling.TiledGenerator(generator, tiles, self.compiled)
        least = tiled.tile + 2 * generator.receptive_radius
        least = least if keras.backend.backend() == "jax" else 0
        return tiled, [sampling.pad_to_multiple(v, generator.stride, least) for v in (y, mask)]

    def _tile(self, shape, tile):
        """Returns the side of the tiles for images of this shape, or None."""
        if tile is not None and tile != "auto":
            tile = checks.check_integer("inpaint", "tile", tile, 1)
        if tile is None or self.model.image_shape[0] is not None:
            return None  # networks of a fixed size take whole images only
        if tile != "auto":
            return tile
        generator = self.model.inference_generator
        can = generator.normalization != "group" and not generator.pyramid.attention_stride
        # JAX compiles a function for each shape.
        large = shape[1] * shape[2] > PIXELS or keras.backend.backend() == "jax"
        return TILE if large and can else None

    def _rows(self, y, batch_size):
        """Returns slices of the images, of one length except for the last."""
        batch_size = checks.check_integer("inpaint", "batch_size", batch_size, 1)
        most = max(1, min(batch_size, PIXELS // (y.shape[1] * y.shape[2])))
        size = -(-len(y) // -(-len(y) // most))
        return [slice(start, start + size) for start in range(0, len(y), size)]

    def _check(self, y, mask):
        """Returns the images as given (floats as float32), and `y` and `mask` for the networks."""
        model = self.model
        channels = model.measurement.mask_channels
        tau = model.measurement.tau
        given = np.ma.getdata(y)
        y, mask = checks.check_images(y, mask, model.image_shape, channels, model.values, tau=tau)
        return (given if given.dtype.kind in "iu" else given.astype("float32")), y, mask

    def _restore(self, images, given, mask):
        """Converts `images` to the dtype of `given`, and inserts its observed values."""
        values = self.model.values
        restore = values.of(given.dtype).decode if given.dtype.kind in "iu" else values.clip
        out = np.empty(images.shape, given.dtype)
        for first in range(0, out.shape[-3], ROWS):  # in strips, which bounds memory
            strip = (..., slice(first, first + ROWS), slice(None), slice(None))
            out[strip] = np.where(mask[strip] > 0.5, given[strip], restore(images[strip]))
        return out
