"""The base class of the zoo: networks, compile, the parts of a step, sampling and saving."""

import os
from collections.abc import Sequence
from typing import Self

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_uai import (
    backend,
    distribute,
    losses,
    measurements,
    networks,
    random,
    rng_streams,
    sampling,
)
from keras_uai import values as value_scaling
from keras_uai.checks import check_integer
from keras_uai.layers import advance_power_iterations
from keras_uai.models import trainer
from keras_uai.models.batches import check_sides, checked, unpack
from keras_uai.models.inference import Inference
from keras_uai.models.logs import RunningMeans


class InpaintingModel(keras.Model):
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

    #: Loss terms and their weights in the paper's configuration.
    default_loss_weights = {}
    #: Whether z is drawn. Otherwise z = 0, and an observation has a single answer.
    stochastic = True
    #: Names of the networks that presets keep, beside the generator that inference uses.
    inference_networks = ()
    #: Arguments of the generator that the model needs.
    fixed_generator = {"conditional": True, "predicts_mean": False}
    #: Names of the images that a training batch must hold: "clean", "unpaired".
    required_images = ()

    def __init__(
        self,
        image_shape,
        measurement,
        values=None,
        latent_dim=128,
        ema_decay=None,
        seed=0,
        generator=None,
        name=None,
    ):
        backend.check_settings()
        # Autocast would round the observed pixels under mixed_float16. Networks cast themselves.
        super().__init__(name=name or type(self).__name__.lower(), autocast=False)
        self.image_shape = networks.check_image_shape(image_shape)
        self.measurement = measurements.get(measurement)
        self.measurement.check(*self.image_shape[:2])
        self.values = value_scaling.get(values)
        self.latent_dim = check_integer(type(self).__name__, "latent_dim", latent_dim, 1)
        if ema_decay is not None and not 0 < ema_decay < 1:
            raise ValueError(
                f"`ema_decay` must be in (0, 1), or None. Received: ema_decay={ema_decay!r}"
            )
        self.ema_decay = ema_decay
        self.seed = check_integer(type(self).__name__, "seed", seed)
        self.generator_config = dict(generator or {})
        self.generator = self.build_generator()
        self.ema_generator = None
        if ema_decay is not None:
            config = {**self.generator.get_config(), "name": "ema_generator"}
            self.ema_generator = networks.Generator.from_config(config)
            self.ema_generator.trainable = False
            self.ema_generator.set_weights(self.generator.get_weights())
        # The only state of the noise, which is drawn from (seed, step, place in the batch).
        self.step = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="step"
        )
        self.log_means = RunningMeans()
        self.inference = Inference(self)
        self._sampler = sampling.OneStage()

    # -- networks --------------------------------------------------------------------------------

    def build_network(self, cls, config, **defaults):
        """Builds a network of this model's image shape; `config` wins over `defaults`."""
        shapes = {"mask_channels": self.measurement.mask_channels}
        return cls(self.image_shape, **{**shapes, **defaults, **config})

    def build_generator(self, name="generator", **fixed):
        """Builds a generator from the arguments given for it and those that the model fixes."""
        fixed = {**self.fixed_generator, **fixed}
        for argument, value in self.fixed_generator.items():
            if self.generator_config.get(argument, value) != value:
                raise ValueError(
                    f"{type(self).__name__} needs a generator with {argument}={value!r}. "
                    f"Received: generator={self.generator_config!r}"
                )
        config = {**self.generator_config, **fixed}
        return self.build_network(networks.Generator, config, latent_dim=self.latent_dim, name=name)

    def build(self, input_shape=None):
        """Marks the model as built: networks are built in the constructor."""
        self.built = True

    def generator_networks(self, every=False):
        """Returns the networks that `g_loss` updates.

        Args:
            every: Whether to include those that no term of the present weights reaches.
        """
        return [self.generator]

    def discriminator_networks(self, every=False):
        """Returns the networks that `d_loss` updates; see `generator_networks`."""
        return []

    @property
    def inference_generator(self):
        """The generator that inference uses: the average, where the model keeps one."""
        return self.generator if self.ema_generator is None else self.ema_generator

    # -- compile ---------------------------------------------------------------------------------

    def compile(
        self,
        optimizer=None,
        discriminator_optimizer=None,
        gan_loss="hinge",
        loss_weights=None,
        gradient_accumulation_steps=1,
        skip_nonfinite=False,
        **kwargs,
    ):
        """Configures optimizers and losses; without arguments, the paper's (section 3.3).

        Args:
            optimizer: Of G and E. Default: `Adam(1e-4, beta_1=0, beta_2=0.99)`.
            discriminator_optimizer: Of D. Default: `Adam(4e-4, beta_1=0, beta_2=0.99)`. The paper
                gives the betas only; the rates are SAGAN's.
            gan_loss: `"hinge"`, `"minimax"` or `"least_squares"`.
            loss_weights: Dict of the weights that differ from `default_loss_weights`. A term of
                weight 0 is not computed.
            gradient_accumulation_steps: K. A batch is processed in K parts whose gradients are
                summed before one update, which bounds memory. The paper's "update every 4 steps" of
                128 images is a batch of 512 and K = 4.
            skip_nonfinite: Whether a step with a loss or gradient that is NaN or infinite changes
                nothing but the step counter; `skipped` in the logs counts such steps. Costs a copy
                of all variables. Default: False; `loss` is then NaN from such a step to the end of
                the epoch, on which `keras.callbacks.TerminateOnNaN` acts.
            **kwargs: `jit_compile`, `run_eagerly`, `steps_per_execution` and `auto_scale_loss` of
                `keras.Model.compile`. On TensorFlow `jit_compile="auto"` means False without an
                accelerator and on several replicas.
        """
        for name in ("loss", "metrics", "weighted_metrics"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f"`{name}` must not be given: {type(self).__name__} has losses and metrics of its "
                    f"own. Received: {name}=…"
                )
        unknown = set(loss_weights or {}) - set(self.default_loss_weights)
        if unknown:
            raise ValueError(
                f"`loss_weights` must name terms of {sorted(self.default_loss_weights)}. "
                f"Received: {sorted(unknown)}"
            )
        shared = optimizer is discriminator_optimizer
        if shared and isinstance(optimizer, keras.optimizers.Optimizer):
            raise ValueError(
                "`optimizer` and `discriminator_optimizer` must be two objects. "
                f"Received: {optimizer!r} for both"
            )
        self.loss_weights = {**self.default_loss_weights, **(loss_weights or {})}
        self.gradient_accumulation_steps = check_integer(
            "compile", "gradient_accumulation_steps", gradient_accumulation_steps, 1
        )
        self.skip_nonfinite = bool(skip_nonfinite)
        self.gan_loss = gan_loss
        self.discriminator_loss, self.generator_loss = losses.get(gan_loss)
        automatic = kwargs.get("jit_compile", "auto") == "auto"
        if automatic and keras.backend.backend() == "tensorflow":
            single = distribute.num_replicas() == 1
            kwargs["jit_compile"] = "auto" if single and backend.accelerators() else False
        optimizer = keras.optimizers.get(optimizer or paper_adam(1e-4))
        super().compile(optimizer=optimizer, **kwargs)
        second = keras.optimizers.get(discriminator_optimizer or paper_adam(4e-4))
        # Keras wraps only `optimizer` for loss scaling.
        wraps = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        if wraps and not isinstance(second, keras.optimizers.LossScaleOptimizer):
            second = keras.optimizers.LossScaleOptimizer(second, name="discriminator_loss_scale")
        self.discriminator_optimizer = second
        # Built now, so that load_model finds the variables of both.
        self.optimizer.build(_variables(self.generator_networks(every=True)))
        self.discriminator_optimizer.build(_variables(self.discriminator_networks(every=True)))
        distribute.check_compile(self, [self.optimizer, self.discriminator_optimizer])
        self.log_means.reset(["loss", *self.log_names(), "mse", "mse_mean"], self.skip_nonfinite)

    def updates(self):
        """Returns `(optimizer, variables)` of D and of G."""
        return [
            (self.discriminator_optimizer, _variables(self.discriminator_networks())),
            (self.optimizer, _variables(self.generator_networks())),
        ]

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
        return super().fit(checked(x, self), *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Scores the model: `std`, with "clean" also `mse` and `mse_mean`; x as in `fit`."""
        return super().evaluate(checked(x, self), *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Returns one reconstruction an image, float32 in network units; x as in `fit`."""
        return super().predict(checked(x, self), *args, **kwargs)

    # -- a step ----------------------------------------------------------------------------------

    def train_step(self, *args):
        return trainer.train_step(self, *args)

    def test_step(self, *args):
        return trainer.test_step(self, *args)

    def log_names(self):
        """Returns the names that `compute_losses` logs under the present weights."""
        raise NotImplementedError(f"{type(self).__name__} must implement `log_names`.")

    def compute_losses(self, batch, keys, training):
        """Computes the losses of a batch.

        Args:
            batch: Dict of `y` `(N, H, W, C)`, `mask` `(N, H, W, M)` and, where the data has them,
                `clean` and `unpaired`.
            keys: uint32 `(N, 2)`, one per image and step. Fold in a stream before drawing.
            training: Whether batch statistics are used and moved.

        Returns:
            `(d_loss, g_loss, logs)`: float32 scalars, and a dict of scalars.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `compute_losses`.")

    def unpack(self, data, training=False):
        """Returns a batch as a dict for `compute_losses`; see `models.batches.unpack`."""
        batch = unpack(data, self, self.required_images if training else ())
        if training:
            check_sides(batch["y"].shape, self.generator.stride)
        return batch

    def step_keys(self, count, first=0):
        """Returns keys `(count, 2)` of the images of a step's batch, from place `first` on."""
        places = first + ops.arange(count, dtype="int32")
        return random.key(self.seed, rng_streams.TRAINING, self.step, places)

    def evaluation_keys(self, count, first=0):
        """Returns a key per image of a batch, the same at every step: evaluation has no state."""
        places = first + ops.arange(count, dtype="int32")
        return random.key(self.seed, rng_streams.EVALUATION, places)

    def draw_latents(self, keys, y):
        """Draws z for images as large as `y`; zeros in a model with a single answer."""
        return self.latents(self.generator, keys, ops.shape(y)[1], ops.shape(y)[2])

    @property
    def latents(self):
        """The function that draws z: `sampling.draw_latents`, or `zero_latents`."""
        return sampling.draw_latents if self.stochastic else sampling.zero_latents

    def sample_masks(self, keys, y):
        """Draws a mask per key from p_M, as large as `y`."""
        return self.measurement.sample(keys, *y.shape[1:3])

    def after_update(self):
        """Advances power iterations, the average of G's weights, and the step counter."""
        for network in (*self.generator_networks(), *self.discriminator_networks()):
            advance_power_iterations(network)
        if self.ema_generator is not None:
            # Warm-up: the decay grows with the steps so far.
            t = ops.cast(self.step, "float32")
            decay = ops.minimum(self.ema_decay, (1.0 + t) / (10.0 + t))
            pairs = zip(self.ema_generator.weights, self.generator.weights, strict=True)
            for mean, value in pairs:
                mean.assign(mean + (1.0 - decay) * (value - mean))
        self.step.assign(self.step + 1)

    def update_metrics(self, logs, weight=None, finite=True):
        """Adds a step's numbers to the running means, and returns these.

        `finite` says whether all losses and gradients of a training step are finite.
        """
        if "g_loss" in logs:
            loss = logs["g_loss"] + logs.get("d_loss", 0.0)
            logs = {"loss": ops.where(finite, loss, float("nan")), **logs}
            if self.skip_nonfinite:
                logs["skipped"] = 1.0 - ops.cast(finite, "float32")
        return self.log_means.update(logs, weight)

    @property
    def metrics(self):
        return self.log_means.metrics

    def get_metrics_result(self):
        """Returns the running means of an epoch, which count each image of each replica once."""
        return self.log_means.result()

    @property
    def non_trainable_variables(self):
        """Includes the second optimizer's variables, which Keras's JAX trainer would not carry."""
        variables = super().non_trainable_variables
        if keras.backend.backend() == "jax" and self.compiled:
            variables = variables + list(self.discriminator_optimizer.variables)
        return variables

    # -- inference -------------------------------------------------------------------------------

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

    def composite(self, image, y, mask):
        """Computes `G(y, z) * (1 - mask) + y` (equation 4): observed values come back bit-equal."""
        return ops.where(mask > 0.5, y, ops.cast(image, y.dtype))

    def inpaint(
        self,
        y: ArrayLike,
        mask: ArrayLike | None = None,
        num_samples: int = 10,
        seed: int | Sequence[int] = 0,
        batch_size: int = 32,
        tile: int | str | None = "auto",
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

        Returns:
            `(N, K, H, W, C)` in the dtype and units of y (float32 for floats). Observed values are
            bit-equal to y's.
        """
        arrays = self.inference.check(y, mask)
        return self.inference.inpaint(*arrays, num_samples, seed, batch_size, tile)

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


def paper_adam(learning_rate):
    """Returns Adam as in section 3.3: beta_1 = 0, beta_2 = 0.99."""
    return keras.optimizers.Adam(learning_rate, beta_1=0.0, beta_2=0.99)


def _variables(networks):
    return [variable for network in networks for variable in network.trainable_variables]
