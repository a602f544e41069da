"""The base class of the zoo: data, sampling and saving of a trainable model."""

import os
from collections.abc import Sequence
from typing import Self

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_uai import distribute, random, sampling
from keras_uai.batches import checked, compared
from keras_uai.models.trainable import TrainableModel


class InpaintingModel(TrainableModel):
    """A generator that reconstructs images from observations, and the networks it is trained with.

    A subclass builds its further networks in `build_networks` and computes its losses in
    `compute_losses`. The trainer of the backend takes gradients from these: `d_loss` updates the
    `discriminator_networks`, `g_loss` the `generator_networks`, nothing else.

    Args:
        image_shape: `(height, width, channels)`, or `(None, None, channels)` for images of any
            size.
        measurement: A `keras_uai.measurements.Measurement`, or a string such as `"Patch(90, 10)"`.
        values: A `keras_uai.values.ValueScaling` between the user's numbers and network units.
            Default: that of 8-bit images.
        latent_dim: Length of the global part of z.
        ema_decay: Decay of the exponential moving average of G's weights that inference uses.
            `None`: no average.
        seed: Seed of all noise, an integer.
        generator: Dict of arguments of `networks.Generator` that differ from its defaults.
        name: Name of the model.
    """

    # -- data ------------------------------------------------------------------------------------

    def fit(self, x=None, *args, validation_data=None, **kwargs):
        """Trains the model; see `keras.Model.fit`.

        Args:
            x: y, an array `(N, H, W, C)` or a masked array; or a dict with "observation" and, where
                known, "mask", "clean" and "unpaired". Images and masks are those of `inpaint`. Or a
                data set of batches of these: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a
                generator.
            validation_data: The same, for `evaluate`.
            *args, **kwargs: Of `keras.Model.fit`.

        Raises:
            ValueError: for images and masks that `inpaint` refuses, too. Errors of a
                `tf.data.Dataset` are `tf.errors.InvalidArgumentError`s. Not checked are the values
                of other iterables and of `train_on_batch`, `test_on_batch`, `predict_on_batch` and
                `model(x)`: these check shapes and dtypes.
        """
        validation_data = checked(validation_data, self)
        x = compared(checked(x, self), self)
        return super().fit(x, *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Scores the model: `std`, with "clean" also `mse` and `mse_mean`; x as in `fit`."""
        return super().evaluate(checked(x, self), *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Returns one reconstruction an image, float32 in network units; x as in `fit`."""
        return super().predict(checked(x, self), *args, **kwargs)

    # -- inference -------------------------------------------------------------------------------

    @property
    def inference_generator(self):
        """The generator that inference uses: the average, where the model keeps one."""
        return self.generator if self.ema_generator is None else self.ema_generator

    @property
    def sampler(self):
        """The sampler of `inpaint`, `predict` and exports. Training does not depend on it."""
        return self._sampler

    @sampler.setter
    def sampler(self, sampler):
        sampler = sampling.get(sampler)
        if sampler.needs_mean and not self.generator.predicts_mean:
            raise ValueError(
                "Two-stage sampling and inflation need a generator with predicts_mean=True. "
                f"Received: sampler={sampler!r}"
            )
        self._sampler = sampler
        # Compiled functions hold the sampler that they were traced with.
        self.inference.clear()
        self.predict_function = self.test_function = None

    def inpaint(
        self,
        y: ArrayLike,
        mask: ArrayLike | None = None,
        num_samples: int = 10,
        seed: int | Sequence[int] = 0,
        batch_size: int = 32,
        tile: int | str | None = "auto",
        origin: ArrayLike | None = None,
    ) -> np.ndarray:
        """Samples reconstructions of damaged images.

        Args:
            y: Array `(N, H, W, C)`: floats in network units ([-1, 1] for images), 0 or NaN where
                missing, or integers as `values` scales them.
            mask: Array `(N, H, W, M)` or `(N, H, W)`, 1 = observed. `None`: NaN and masked values
                are missing, otherwise `T(y)`.
            num_samples: K, reconstructions of each image.
            seed: An integer (image i then has the seed `seed + i`), or N integers.
            batch_size: Largest number of images computed at a time.
            tile: Side of the tiles that large images are computed in, in pixels; `None`: in one
                piece; `"auto"`: by the size of the image. The numbers do not depend on it. Models
                of a fixed size work in one piece.
            origin: Integers `(2,)` or `(N, 2)`: row and column of y in a larger image, multiples of
                the generator's stride. The noise is then a crop of the larger image's.

        Returns:
            `(N, K, H, W, C)` in the dtype and units of y (float32 for floats). Observed values are
            bit-equal to y's.
        """
        arrays = self.inference.check(y, mask)
        return self.inference.inpaint(*arrays, num_samples, seed, batch_size, tile, origin)

    def predict_mean(
        self,
        y: ArrayLike,
        mask: ArrayLike | None = None,
        batch_size: int = 32,
        tile: int | str | None = "auto",
    ) -> np.ndarray:
        """Predicts the best single answer in the sense of the squared error, without noise.

        Args:
            y, mask, batch_size, tile: As in `inpaint`.

        Returns:
            `(N, H, W, C)`; see `inpaint`.
        """
        return self.inference.predict_mean(*self.inference.check(y, mask), batch_size, tile)

    def call(self, inputs, training=False):
        """Returns one reconstruction `(N, H, W, C)` per observation, with fixed noise.

        `inputs` is y, or a dict with "observation" and, where known, "mask". `predict` uses it.
        """
        batch = self.unpack(inputs)
        count = ops.shape(batch["y"])[0]
        keys = self.evaluation_keys(count, distribute.batch_slice(count)[0])
        return self.inference.reconstruct(
            batch["y"], batch["mask"], random.fold_in(keys, 0)[:, None]
        )[:, 0]

    def calibrate_spread(self, dataset, **kwargs):
        """Fits the sampler's spread to observed pixels; see `sampling.calibrate_spread`."""
        return sampling.calibrate_spread(self, dataset, **kwargs)

    # -- saving ----------------------------------------------------------------------------------

    def quantize(self, mode=None, **kwargs):
        """Not supported: Keras has no quantized convolutions."""
        raise NotImplementedError(
            "Keras has no quantized convolutions. For half the size use model.export(path, "
            f'weights="float16"), or train under the dtype policy mixed_float16. Received: {mode=}'
        )

    def export(self, path, **options):
        """Writes a SavedModel for TensorFlow Serving; see `keras_uai.serving.export`."""
        from keras_uai.serving import export  # serving builds on models

        return export(self, path, **options)

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, **overrides) -> Self:
        """Loads a model from a preset's name or folder; see `keras_uai.presets.load`."""
        from keras_uai import presets  # presets build on models

        return presets.load(preset, cls, **overrides)

    def save_to_preset(self, folder: str | os.PathLike, **kwargs) -> str:
        """Writes a preset; see `keras_uai.presets.save`."""
        from keras_uai import presets  # presets build on models

        return presets.save(self, folder, **kwargs)

    def get_compile_config(self):
        if not self.compiled:
            return None
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "discriminator_optimizer": keras.saving.serialize_keras_object(
                self.discriminator_optimizer
            ),
            "gan_loss": self.gan_loss,
            "loss_weights": dict(self.loss_weights),
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            "skip_nonfinite": self.skip_nonfinite,
        }

    def compile_from_config(self, config):
        config = dict(config)
        for name in ("optimizer", "discriminator_optimizer"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        self.compile(**config)

    def get_config(self):
        return {
            "image_shape": self.image_shape,
            "measurement": keras.saving.serialize_keras_object(self.measurement),
            "values": keras.saving.serialize_keras_object(self.values),
            "latent_dim": self.latent_dim,
            "ema_decay": self.ema_decay,
            "seed": self.seed,
            "generator": self.generator_config,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
