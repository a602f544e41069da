"""Reconstructions from a trained model: several an image, seeded, whatever the batch an image travels in."""

import numpy as np
from keras import ops

from keras_uai import random, replicas
from keras_uai.measurements.base import check_integer

# Keep the noise of evaluation and of samples apart from masks drawn under the same seed.
_EVALUATION, _SAMPLE = 0x45564C, 0x53414D


class SamplingMixin:
    """`inpaint`, `sample`, `call` and the scores of `evaluate`, for any model with a `generator`."""

    look_cell = None  # a second look is `SecondLookMixin`'s

    @property
    def sampling_generator(self):
        """The generator that reconstructs: the average where the model keeps one."""
        return self.generator if self.generator_average is None else self.generator_average

    def sample(self, y, mask, seeds, num_samples, features=None, antithetic=False):
        """`num_samples` reconstructions of each image as a graph: what `inpaint` and the exports run.

        Args:
            y: `(N, H, W, C)` float in [-1, 1], tau where missing.
            mask: `(N, H, W, 1)`, 1 = observed.
            seeds: integers `(N,)`, one an image: the same image and seed give the same samples in any batch.
            num_samples: K, an integer or scalar tensor.
            features: `sampling_generator.observe(y, mask)`, where that is known already.
            antithetic: see `inpaint`.

        Returns:
            `(N, K, H, W, C)` in [-1, 1]; observed pixels equal y's.
        """
        height, width, channels = self.image_shape
        keys = sample_keys(seeds, num_samples, pairs=antithetic)
        image = self.reconstruct(y, mask, keys, num_samples, features, antithetic)
        image = ops.reshape(image, (-1, num_samples, height, width, channels))
        return self.paste(image, y[:, None], mask[:, None])

    def own_mean(self, y, mask, features=None):
        """The mean `(N, H, W, C)` that the generator predicts, as a graph; arguments as in `sample`.

        A model that is not stochastic has one answer, and this is it.
        """
        if not self.stochastic:
            return self.sample(y, mask, ops.zeros_like(y[:, 0, 0, 0]), 1, features)[:, 0]
        features = self.sampling_generator.observe(y, mask) if features is None else features
        return self.paste(ops.clip(features[-1], -1.0, 1.0), y, mask)

    def reconstruct(self, y, mask, keys, count=1, features=None, antithetic=False):
        """What G makes of each observation, `count` times, in [-1, 1] and before y is pasted: `(N * count, H, W, C)`.

        `keys` `(N * count, 2)` hold the noise of each; `features` as in `sample`; with `antithetic` every second one of
        an observation has -z.
        """
        image, mean = self.drawings(y, mask, keys, count, features, antithetic)
        y, mask = ops.repeat(y, count, axis=0), ops.repeat(mask, count, axis=0)
        return ops.clip(self.finish(image, mean, y, mask, keys), -1.0, 1.0)

    def drawings(self, y, mask, keys, count=1, features=None, antithetic=False):
        """What G decodes, as it is, and the last of the features behind it (its mean, where it predicts one), both of
        `N * count`; arguments as in `reconstruct`.
        """
        generator = self.sampling_generator
        features = generator.observe(y, mask) if features is None else features
        features = [ops.repeat(f, count, axis=0) for f in features]
        z = self.latent(keys)
        if antithetic:
            z = z * alternating(keys, count)[:, None]
        return generator.decode(features, z), features[-1]

    def finish(self, image, mean, y, mask, keys):
        """What becomes of the images that G decoded, `(N, H, W, C)`: here, nothing.

        `mean` is the last of the features behind them; `keys` `(N, 2)` is the noise that they were drawn with.
        """
        return image

    def latent(self, keys):
        """`z ~ p_z = N(0, I)` of each key, `(N, z_dim)`; zeros in a model that is not stochastic."""
        size = self.generator.z_dim
        if self.stochastic:
            return random.normal(keys, (size,))
        return ops.zeros((ops.shape(keys)[0], size))

    def inpaint(self, y, mask=None, num_samples=10, seed=0, batch_size=32, antithetic=False):
        """Samples reconstructions of damaged images.

        Args:
            y: array `(N, H, W, C)` float in [-1, 1], `measurement.tau` where missing.
            mask: array `(N, H, W, 1)` or `(N, H, W)`, 1 = observed; `None` recovers it from y as `T(y)`.
            num_samples: reconstructions of each image.
            seed: an integer (image i then has the seed `seed + i`), or N integers, one an image.
            batch_size: images worked on at a time.
            antithetic: samples come in pairs of z and -z. Each is distributed as before; their mean is nearer to the
                mean of all samples, and scores that take samples for independent (CRPS, spread-skill) do not hold.

        Returns:
            float32 array `(N, num_samples, H, W, C)` in [-1, 1]; observed pixels are bit-equal to y's.
        """
        y, mask = self._check_images(y, mask)
        count = check_integer("inpaint", "num_samples", num_samples, 1)
        seeds = per_image_seeds(seed, len(y))

        def run(y, mask, seeds):
            return self.sample(y, mask, seeds, count, antithetic=antithetic)

        name = f"sample_{count}_antithetic" if antithetic else f"sample_{count}"
        return self._in_batches(name, run, batch_size, y, mask, seeds)

    def mean(self, y, mask=None, batch_size=32):
        """The best single answer in the sense of the squared error, in one pass and without noise.

        Args:
            y, mask, batch_size: as in `inpaint`.

        Returns:
            float32 array `(N, H, W, C)` in [-1, 1]; observed pixels are bit-equal to y's.
        """
        if self.stochastic and not self.generator.predicts_mean:
            raise ValueError(
                "This generator predicts no mean (Generator(predicts_mean=True) does). "
                "Use inpaint(y, num_samples=K).mean(axis=1)."
            )
        y, mask = self._check_images(y, mask)
        return self._in_batches("mean", self.own_mean, batch_size, y, mask)

    def _in_batches(self, name, function, batch_size, *arrays):
        """`function` compiled (once a name), run on parts of the arrays; weights are read at every call.

        The parts are as equal as can be, since each size of a batch may have to be compiled.
        """
        batch_size = check_integer("inpaint", "batch_size", batch_size, 1)
        compiled = vars(self).setdefault("_compiled_functions", {})
        if name not in compiled:
            compiled[name] = self.compile_function(function)
        count = len(arrays[0])
        size = -(-count // -(-count // batch_size))
        parts = [
            compiled[name](*(a[start : start + size] for a in arrays))
            for start in range(0, count, size)
        ]
        return np.concatenate([ops.convert_to_numpy(part) for part in parts])

    def _check_images(self, y, mask):
        """`y` and `mask` as float32 arrays of full rank, tau under the mask, or a ValueError."""
        if isinstance(y, dict):
            raise ValueError(
                '`y` is an array. Of a batch, pass batch["observation"] and batch["mask"]. '
                f"Received: a dict with {sorted(y)}"
            )
        y = np.asarray(y, dtype="float32")
        if y.shape[1:] != self.image_shape or not len(y):
            raise ValueError(
                f"`y` must have shape (N, {self.image_shape}). Received: shape {y.shape}"
            )
        if mask is None:
            mask = ops.convert_to_numpy(self.measurement.recover(y))
        mask = np.asarray(mask, dtype="float32")
        mask = mask[..., None] if mask.ndim == 3 else mask
        if mask.shape != (*y.shape[:3], 1):
            raise ValueError(
                f"`mask` must have shape {(*y.shape[:3], 1)} or {y.shape[:3]}. Received: {mask.shape}"
            )
        if not np.isin(mask, (0, 1)).all():
            raise ValueError(
                "`mask` holds 1 where a pixel is observed and 0 where it is missing. "
                f"Received: values from {mask.min()} to {mask.max()}"
            )
        observed = y[np.broadcast_to(mask > 0.5, y.shape)]
        if not np.isfinite(observed).all():
            raise ValueError("Observed pixels must be finite. Received: NaN or infinite values")
        if observed.size and np.abs(observed).max() > 1.0 + 1e-6:
            raise ValueError(
                "Observed pixels must lie in [-1, 1] (v / 127.5 - 1 for 8-bit v). "
                f"Received: values from {observed.min()} to {observed.max()}"
            )
        return np.where(mask > 0.5, y, np.float32(self.measurement.tau)), mask

    def export(self, path, **options):
        """Writes a SavedModel that TensorFlow Serving loads; see `keras_uai.serving.export`."""
        from keras_uai.serving import export  # here: serving builds on models

        return export(self, path, **options)

    def call(self, inputs, training=False):
        """One reconstruction `(N, H, W, C)` of each observation, with noise fixed by the model's seed.

        `inputs` is y, or a dict with "observation" and, where known, "mask". `predict` runs this.
        """
        batch = self.unpack(inputs)
        y, mask = batch["y"], batch["mask"]
        count = ops.shape(y)[0]
        keys = random.fold_in(self.evaluation_keys(count, replicas.place(count)[0]), 0)
        return self.paste(self.reconstruct(y, mask, keys), y, mask)

    def evaluation_keys(self, count, first=0):
        """One key an image of a batch from place `first` on, the same for every batch: evaluation has no state."""
        return random.key(self.seed, _EVALUATION, first + ops.arange(count))

    def score(self, batch, keys):
        """What `evaluate` reports: `std`, and with clean images `mse` and `mse_mean`, from two samples an image."""
        y, mask = batch["y"], batch["mask"]
        x_1, x_2 = self._pair(y, mask, keys)
        logs = {"std": pair_std(x_1, x_2, mask)}
        if "clean" in batch:
            logs["mse"] = ops.mean(ops.square(x_1 - batch["clean"]))
            logs["mse_mean"] = ops.mean(ops.square(0.5 * (x_1 + x_2) - batch["clean"]))
        return logs

    def diversity(self, y, mask, keys, count=8):
        """The std of two samples of a batch's first images, for the logs: moves nothing."""
        y, mask = y[:count], mask[:count]
        return ops.stop_gradient(pair_std(*self._pair(y, mask, keys[:count]), mask))

    def _pair(self, y, mask, keys):
        """Two reconstructions of each observation."""
        keys = ops.stack([random.fold_in(keys, i) for i in range(2)], axis=1)
        images = self.reconstruct(y, mask, ops.reshape(keys, (-1, 2)), 2)
        images = ops.reshape(images, (-1, 2, *self.image_shape))
        return [self.paste(images[:, i], y, mask) for i in range(2)]


def per_image_seeds(seed, count):
    """int32 `(count,)` of one integer (image i has the seed `seed + i`) or of one an image, or a ValueError."""
    seeds = np.asarray(seed)
    if seeds.dtype.kind not in "iu":
        raise ValueError(f"`seed` is made of integers. Received: seed={seed!r}")
    seeds = seeds.astype("int64")
    seeds = seeds + np.arange(count) if seeds.ndim == 0 else seeds
    if seeds.shape != (count,):
        raise ValueError(
            f"`seed` is one integer or one an image ({count}). Received: shape {seeds.shape}"
        )
    return (seeds % 2**31).astype("int32")


def sample_keys(seeds, num_samples, pairs=False):
    """Keys `(N * num_samples, 2)` of the samples of N images with these seeds; with `pairs` two share one."""
    seeds = ops.cast(seeds, "int32")[:, None]
    samples = ops.arange(num_samples) // 2 if pairs else ops.arange(num_samples)
    keys = random.key(seeds, _SAMPLE, samples[None, :])
    return ops.reshape(keys, (-1, 2))


def alternating(keys, count):
    """1, -1, 1, ... float32 `(N * count,)` for the `count` samples of each of N images, in the order of `keys`."""
    return 1.0 - 2.0 * ops.cast(ops.arange(ops.shape(keys)[0]) % count % 2, "float32")


def pair_std(x_1, x_2, mask):
    """Root mean over missing pixels of the samples' variance, estimated from two samples an image."""
    missing = 1.0 - mask
    total = ops.sum(0.5 * ops.square(x_1 - x_2) * missing)
    return ops.sqrt(total / ops.maximum(ops.sum(missing) * x_1.shape[-1], 1.0) + 1e-12)
