"""Inference: reconstructions as a graph, and of NumPy arrays in chunks and tiles that bound memory."""

import functools

import keras
import numpy as np
from keras import ops

from keras_uai import checks, files, random, sampling
from keras_uai.models import trainer
from keras_uai.models.logs import pair_std

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
    """Reconstructs images with a model's inference generator and sampler.

    `reconstruct`, `sample` and `mean` are graphs on tensors in network units, for exports and for
    test steps. `inpaint` and `predict_mean` take arrays as users have them.

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
            # TensorFlow warns of functions that are traced often, and tells them by their code. A
            # `partial` is known by itself, so that the functions of several models are not one.
            function = functools.partial(function)
            self.functions[name] = trainer.compile_function(self.model, function)
        return self.functions[name]

    # -- as a graph ------------------------------------------------------------------------------

    def reconstruct(self, y, mask, keys, origin=None):
        """Draws reconstructions.

        Args:
            y: `(N, H, W, C)` in network units, 0 where missing.
            mask: `(N, H, W, M)`, 1 = observed.
            keys: uint32 `(N, K, 2)`, one per sample.
            origin: int32 `(N, 2)`: row and column of a tile in its image, or None.

        Returns:
            `(N, K, H, W, C)` in network units; observed values equal y's.
        """
        model = self.model
        height, width = ops.shape(y)[1], ops.shape(y)[2]
        generator = model.inference_generator
        padded = self._pad(y, mask)
        features = generator.observe(*padded)
        images = model.sampler(generator, features, *padded, keys, origin, model.latents)
        images = model.values.clip(images[:, :, :height, :width])
        return model.composite(images, y[:, None], mask[:, None])

    def sample(self, y, mask, seeds, num_samples, origin=None):
        """Draws `num_samples` reconstructions of each image: `(N, K, H, W, C)`.

        Args:
            y, mask, origin: As in `reconstruct`.
            seeds: Integers `(N,)`. The same image and seed give the same samples in any batch.
            num_samples: K, an integer or scalar tensor.
        """
        return self.reconstruct(y, mask, sampling.sample_keys(seeds, num_samples), origin)

    def mean(self, y, mask):
        """Predicts the mean `(N, H, W, C)`; arguments as in `reconstruct`."""
        model = self.model
        if not model.stochastic:
            return self.sample(y, mask, ops.zeros_like(y[:, 0, 0, 0]), 1)[:, 0]
        self.check_predicts_mean()
        generator = model.inference_generator
        padded = self._pad(y, mask)
        image = generator.observe(*padded)["mean"][:, : ops.shape(y)[1], : ops.shape(y)[2]]
        return model.composite(model.values.clip(image), y, mask)

    def scores(self, batch, keys):
        """Computes `std` and, with clean images, `mse` and `mse_mean`, of two samples per image."""
        y, mask = batch["y"], batch["mask"]
        keys = ops.stack([random.fold_in(keys, i) for i in (0, 1)], 1)
        samples = self.reconstruct(y, mask, keys)
        logs = {"std": pair_std(samples[:, 0], samples[:, 1], mask)}
        if "clean" in batch:
            mean = ops.mean(samples, axis=1)
            logs["mse"] = ops.mean(ops.square(samples[:, 0] - batch["clean"]))
            logs["mse_mean"] = ops.mean(ops.square(mean - batch["clean"]))
        return logs

    def check_predicts_mean(self):
        """Raises a ValueError if the model has no mean of its own."""
        if self.model.stochastic and not self.model.generator.predicts_mean:
            raise ValueError(
                "This generator predicts no mean (Generator(predicts_mean=True) does). "
                "Use inpaint(y, num_samples=K).mean(axis=1)."
            )

    # -- of arrays -------------------------------------------------------------------------------

    def check(self, y, mask):
        """Returns the images as given (floats as float32), and `y` and `mask` for the networks."""
        model = self.model
        channels = model.measurement.mask_channels
        tau = model.measurement.tau
        given = np.ma.getdata(np.asanyarray(y))
        y, mask = checks.check_images(y, mask, model.image_shape, channels, model.values, tau=tau)
        return (given if given.dtype.kind in "iu" else given.astype("float32")), y, mask

    def inpaint(self, given, y, mask, num_samples, seed, batch_size, tile, origin=None):
        """See `InpaintingModel.inpaint`; the arrays are those of `check`."""
        count = checks.check_integer("inpaint", "num_samples", num_samples, 1)
        seeds = checks.per_image_seeds(seed, len(y))
        needed, free = 4 * y.size * count, files.free_memory()
        if needed > free:
            raise ValueError(
                f"`num_samples` must be less, or the images fewer: {needed / 1e9:,.1f} GB of samples "
                f"do not fit into the free memory, {free / 1e9:.1f} GB. "
                f"Received: num_samples={count}, images of shape {tuple(y.shape)}"
            )
        keys = ops.convert_to_numpy(sampling.sample_keys(seeds, count))
        if origin is not None:
            origin = np.broadcast_to(np.asarray(origin, "int32"), (len(y), 2))
        out = np.empty((len(y), count, *y.shape[1:]), given.dtype)
        for rows in self._rows(y, batch_size):
            place = None if origin is None else origin[rows]
            images = self._samples(y[rows], mask[rows], keys[rows], tile, place)
            for first, chunk in images:
                last = first + chunk.shape[1]
                out[rows, first:last] = self._restore(chunk, given[rows, None], mask[rows, None])
        return out

    def predict_mean(self, given, y, mask, batch_size, tile):
        """See `InpaintingModel.predict_mean`; the arrays are those of `check`."""
        if not self.model.stochastic:
            return self.inpaint(given, y, mask, 1, 0, batch_size, tile)[:, 0]
        self.check_predicts_mean()
        out = np.empty(y.shape, given.dtype)
        for rows in self._rows(y, batch_size):
            if tiles := self._tile(y.shape, tile):
                generator, padded = self._tiled(y[rows], mask[rows], tiles)
                mean = generator.observe(*padded)["mean"][:, : y.shape[1], : y.shape[2]]
            else:
                mean = self.compiled("mean", self.mean)(y[rows], mask[rows])
                mean = ops.convert_to_numpy(mean)
            out[rows] = self._restore(mean, given[rows], mask[rows])
        return out

    def _samples(self, y, mask, keys, tile, origin):
        """Yields `(index of the first, samples (N, k, H, W, C))` for chunks of the samples."""
        model, latents = self.model, self.model.latents
        height, width = y.shape[1:3]
        if tiles := self._tile(y.shape, tile):
            pixels = TILED_PIXELS
            generator, padded = self._tiled(y, mask, tiles)
            features = generator.observe(*padded)

            def draw(keys):
                return model.sampler(generator, features, *padded, keys, origin, latents)
        else:
            pixels = PIXELS
            generator = model.inference_generator
            padded = self._pad(y, mask)
            features = self.compiled("observe", generator.observe)(*padded)

            def draw(keys):
                sampler = self.compiled("sampler", self._sampler)
                return sampler(features, *padded, keys, origin)

        chunk = max(1, pixels // (len(y) * padded[0].shape[1] * padded[0].shape[2]))
        for first in range(0, keys.shape[1], chunk):
            images = ops.convert_to_numpy(draw(keys[:, first : first + chunk]))
            yield first, images[:, :, :height, :width]

    def _sampler(self, features, y, mask, keys, origin):
        model = self.model
        return model.sampler(
            model.inference_generator, features, y, mask, keys, origin, model.latents
        )

    def _pad(self, y, mask, least=0):
        """Returns `[y, mask]` with sides that the generator takes, and of at least `least`."""
        stride = self.model.inference_generator.stride
        return [sampling.pad_to_multiple(v, stride, least) for v in (y, mask)]

    def _tiled(self, y, mask, tile):
        """Returns a generator that works by tiles, and `[y, mask]` padded for it."""
        generator = self.model.inference_generator
        tiled = sampling.TiledGenerator(generator, tile, self.compiled)
        least = tiled.tile + 2 * generator.receptive_radius
        least = least if keras.backend.backend() == "jax" else 0
        return tiled, self._pad(y, mask, least)

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

    def _restore(self, images, given, mask):
        """Converts `images` to the dtype of `given`, and inserts its observed values."""
        values = self.model.values
        restore = values.of(given.dtype).decode if given.dtype.kind in "iu" else values.clip
        out = np.empty(images.shape, given.dtype)
        for first in range(0, out.shape[-3], ROWS):  # in strips, which bounds memory
            strip = (..., slice(first, first + ROWS), slice(None), slice(None))
            out[strip] = np.where(mask[strip] > 0.5, given[strip], restore(images[strip]))
        return out
