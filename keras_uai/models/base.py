"""What every model of the zoo shares: networks, compile, the bookkeeping of a step, sampling and saving."""

import keras
from keras import ops

from keras_uai import backend, losses, measurements, networks, random, replicas
from keras_uai.layers import advance_power_iterations
from keras_uai.models.batch import BatchMixin
from keras_uai.models.presets import PresetMixin
from keras_uai.models.sampling import SamplingMixin

if keras.backend.backend() == "tensorflow":
    from keras_uai.models.tensorflow_step import TrainStep
elif keras.backend.backend() == "jax":
    from keras_uai.models.jax_step import TrainStep
else:
    raise ImportError(
        "keras_uai trains on the backends tensorflow and jax. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )

_TRAINING = 0x545241  # keeps training's noise apart from masks drawn under the same seed


class InpaintingModel(SamplingMixin, BatchMixin, PresetMixin, TrainStep, keras.Model):
    """A generator G that reconstructs images from observations, and what it is trained with.

    A subclass builds its further networks, names its loss terms in `default_loss_weights` and writes `objective`, from
    which the step of the backend takes gradients: `d_loss` moves the networks of `discriminator_side`, `g_loss` those
    of `generator_side`, nothing else. See `UAI` for the arguments.
    """

    #: Loss terms and their weights in the paper's configuration.
    default_loss_weights = {}
    #: Whether z is drawn; else it is 0, and an observation has one answer.
    stochastic = True
    #: Names of networks beside G and E that presets keep.
    kept_networks = ()
    #: Arguments of G that the model does not work without.
    fixed_generator = {"conditional": True, "predicts_mean": False}

    def __init__(
        self,
        image_shape,
        measurement,
        latent_dim=128,
        average_decay=None,
        flip=False,
        seed=0,
        generator=None,
        name=None,
    ):
        # No autocast: under mixed_float16 it would round the observed pixels. The networks cast themselves.
        super().__init__(name=name or type(self).__name__.lower(), autocast=False)
        self.image_shape = networks.sizes.check_image_shape(image_shape)
        self.measurement = measurements.get(measurement)
        self.measurement.check(*self.image_shape[:2])
        self.latent_dim, self.flip, self.seed = int(latent_dim), bool(flip), int(seed)
        if average_decay is not None and not 0 < average_decay < 1:
            raise ValueError(
                f"`average_decay` lies in (0, 1), or is None. Received: average_decay={average_decay!r}"
            )
        self.average_decay = average_decay
        self._generator_config = dict(generator or {})
        self.generator = self._generator(self.fixed_generator)
        self.generator_average = None
        if average_decay is not None:
            config = {**self.generator.get_config(), "name": "generator_average"}
            self.generator_average = networks.Generator.from_config(config)
            self.generator_average.trainable = False
            self.generator_average.set_weights(self.generator.get_weights())
        # The only state that randomness has: noise is drawn from (seed, step, position in the batch).
        self.step = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="step"
        )
        vars(self)["trackers"] = {}  # past Keras's tracking, which is closed once a model is built

    def _network(self, cls, config, **defaults):
        """A network of this model's image shape; `config` wins over `defaults`."""
        return cls(self.image_shape, **{**defaults, **config})

    def _generator(self, fixed, **defaults):
        """A G with the arguments given for it and those that the model fixes, or an error where these differ."""
        given = self._generator_config
        for name, value in fixed.items():
            if given.get(name, value) != value:
                raise ValueError(
                    f"{type(self).__name__} needs a generator with {name}={value!r}, see its docstring. "
                    f"Received: generator={given!r}"
                )
        defaults = {"latent_dim": self.latent_dim, **defaults}
        return self._network(networks.Generator, {**given, **fixed}, **defaults)

    def build(self, input_shape=None):
        """Everything is built in the constructor; Keras asks for this before it saves or summarises."""
        self.built = True

    # -- compile -------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer=None,
        discriminator_optimizer=None,
        gan_loss="hinge",
        loss_weights=None,
        micro_batches=1,
        **kwargs,
    ):
        """Sets optimizers and losses; without arguments, the paper's (section 3.3).

        Args:
            optimizer: of the generator's side (G and E). Default `Adam(1e-4, beta_1=0, beta_2=0.99)`.
            discriminator_optimizer: of D. Default `Adam(4e-4, beta_1=0, beta_2=0.99)`. The paper gives the betas
                only; the rates are SAGAN's, whose networks it takes.
            gan_loss: `"hinge"`, `"minimax"` or `"least_squares"`.
            loss_weights: dict of the weights that differ from `default_loss_weights`; a term of weight 0 costs nothing.
            micro_batches: K; a batch is worked through in K parts whose gradients are summed before one update, so
                that memory holds one part only. The paper's "update every 4 steps" of 128 is a batch of 512 and K = 4.
            **kwargs: `jit_compile`, `run_eagerly`, `steps_per_execution`, `auto_scale_loss` of `keras.Model.compile`.
                `jit_compile="auto"` is `False` on TensorFlow where there is no accelerator, since graphs are faster on
                processor cores (measured), and on several replicas, since XLA does not compile everywhere what these
                exchange.
        """
        for name in ("loss", "metrics", "weighted_metrics"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f"{type(self).__name__}.compile brings its own losses and metrics. Received: {name}=…"
                )
        unknown = set(loss_weights or {}) - set(self.default_loss_weights)
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has the loss terms {sorted(self.default_loss_weights)}. "
                f"Received: loss_weights with {sorted(unknown)}"
            )
        self.loss_weights = {**self.default_loss_weights, **(loss_weights or {})}
        shared = optimizer is discriminator_optimizer
        if shared and isinstance(optimizer, keras.optimizers.Optimizer):
            raise ValueError(
                "The players need an optimizer each: its averages belong to one player's weights. "
                f"Received: optimizer=discriminator_optimizer={optimizer!r}"
            )
        self.micro_batches = measurements.base.check_integer(
            "compile", "micro_batches", micro_batches, 1
        )
        self.gan_loss = gan_loss
        self.discriminator_loss, self.generator_loss = losses.get(gan_loss)
        optimizer = keras.optimizers.get(optimizer or paper_adam(1e-4))
        on_tensorflow = keras.backend.backend() == "tensorflow"
        automatic = on_tensorflow and kwargs.get("jit_compile", "auto") == "auto"
        if automatic and (replicas.count() > 1 or not backend.has_accelerator()):
            kwargs["jit_compile"] = False
        super().compile(optimizer=optimizer, **kwargs)
        self.discriminator_optimizer = self._scaled(
            keras.optimizers.get(discriminator_optimizer or paper_adam(4e-4)),
            kwargs.get("auto_scale_loss", True),
        )
        replicas.check_compile(self, [self.optimizer, self.discriminator_optimizer])
        # Built now, so that load_model finds both optimizers' variables.
        self.optimizer.build(_variables(self.generator_side(every=True)))
        self.discriminator_optimizer.build(_variables(self.discriminator_side(every=True)))
        vars(self)["trackers"] = {name: keras.metrics.Mean(name=name) for name in self.log_names()}

    @staticmethod
    def _scaled(optimizer, auto_scale_loss):
        """Keras wraps only `optimizer=` under mixed_float16; this wraps the other one alike."""
        wraps = auto_scale_loss and keras.config.dtype_policy().name == "mixed_float16"
        if wraps and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return keras.optimizers.LossScaleOptimizer(
                optimizer, name="discriminator_loss_scale_optimizer"
            )
        return optimizer

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
            "micro_batches": self.micro_batches,
        }

    def compile_from_config(self, config):
        config = dict(config)
        for name in ("optimizer", "discriminator_optimizer"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        self.compile(**config)

    # -- what a subclass says ------------------------------------------------------------------------------------

    def generator_side(self, every=False):
        """The networks that `g_loss` moves; with `every`, also those that no term of the present weights reaches."""
        return [self.generator]

    def discriminator_side(self, every=False):
        """The networks that `d_loss` moves, likewise."""
        return []

    def sides(self):
        """`(optimizer, variables)` of D and of G; the first has no variables where no game is played."""
        return [
            (self.discriminator_optimizer, _variables(self.discriminator_side())),
            (self.optimizer, _variables(self.generator_side())),
        ]

    def log_names(self):
        """Names of what `objective` logs under the present weights."""
        raise NotImplementedError

    def objective(self, batch, keys, training):
        """Both players' losses.

        Args:
            batch: dict of `y` `(N, H, W, C)`, `mask` `(N, H, W, 1)` and, where the data has them, `clean` and
                `unpaired`.
            keys: uint32 `(N, 2)`, one an image and step; fold in a purpose before drawing.
            training: whether batch statistics are used and moved.

        Returns:
            `(d_loss, g_loss, logs)`: float32 scalars, and a dict of scalars under the names of `log_names`.
        """
        raise NotImplementedError

    # -- a step's bookkeeping ------------------------------------------------------------------------------------

    def step_keys(self, count, first=0):
        """One key an image of the present step's batch from place `first` on, `(count, 2)`."""
        return random.key(self.seed, _TRAINING, self.step, first + ops.arange(count))

    def draw_z(self, keys, purpose):
        """`z ~ p_z = N(0, I)`, `(N, z_dim)`; zeros in a model that is not stochastic."""
        return self.latent(random.fold_in(keys, purpose))

    def paste(self, image, y, mask):
        """`G(y, z) * (1 - mask) + y` (equation 4): observed pixels come back bit-equal."""
        return ops.where(mask > 0.5, y, ops.cast(image, y.dtype))

    def after_update(self):
        """Once a step: power iterations, the generator average, the step counter."""
        for network in (*self.generator_side(), *self.discriminator_side()):
            advance_power_iterations(network)
        if self.generator_average is not None:
            # Warm-up: an average over the whole (short) past before one over the last 1 / (1 - decay) steps.
            t = ops.cast(self.step, "float32")
            decay = ops.minimum(self.average_decay, (1.0 + t) / (10.0 + t))
            for mean, value in zip(
                self.generator_average.weights, self.generator.weights, strict=True
            ):
                mean.assign(mean + (1.0 - decay) * (value - mean))
        self.step.assign(self.step + 1)

    def track(self, logs, weight=None):
        """Adds the step's numbers to the running means, in which they count `weight` (1 by default); these."""
        for name, value in logs.items():
            self.trackers[name].update_state(value, sample_weight=weight)
        return {name: self.trackers[name].result() for name in logs}

    @property
    def metrics(self):
        return list(self.trackers.values())

    # -- saving --------------------------------------------------------------------------------------------------

    def get_config(self):
        return {
            "image_shape": self.image_shape,
            "measurement": keras.saving.serialize_keras_object(self.measurement),
            "latent_dim": self.latent_dim,
            "average_decay": self.average_decay,
            "flip": self.flip,
            "seed": self.seed,
            "generator": self._generator_config,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def paper_adam(learning_rate):
    """Adam as in section 3.3: beta_1 = 0, beta_2 = 0.99."""
    return keras.optimizers.Adam(learning_rate, beta_1=0.0, beta_2=0.99)


def _variables(side):
    return [variable for network in side for variable in network.trainable_variables]
