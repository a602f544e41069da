"""MisGAN: a generator of whole images and an imputer that imitates it (Table 2)."""

import keras
from keras import ops

from keras_uai import networks, random, rng_streams, sampling
from keras_uai.models.adversarial import AdversarialModel, adversarial_names
from keras_uai.models.logs import pair_std
from keras_uai.models.unconditional import generate, generate_images


@keras.saving.register_keras_serializable("keras_uai")
class NoisyInput(sampling.OneStage):
    """Samples by noise in place of the missing pixels; z is 0. The sampler of `MisGAN`."""

    def __call__(self, generator, features, y, mask, keys, origin=None, latents=None):
        count = ops.shape(keys)[1]
        y, mask = (ops.repeat(v, count, axis=0) for v in (y, mask))
        images = impute(generator, y, mask, ops.reshape(keys, (-1, 2)))
        return ops.reshape(images, (-1, count, *images.shape[1:]))


@keras.saving.register_keras_serializable("keras_uai")
class MisGAN(AdversarialModel):
    """Two adversarial pairs (Li, Jiang, Marlin, ICLR 2019) with the true measurement (section 3.5).

    Supervision: none. The measurement takes the place of MisGAN's generator of masks.

    - `"gan"`: the data generator G_x is an `AmbientGAN`: D separates y from `F(G_x(z), m_tilde)`.
    - `"imputer"`: the imputer G_i completes observations,
      `x_tilde = G_i(y, m^y, omega) * (1 - m^y) + y`. Its critic D_i separates G_x's images from
      these. This updates G_i and D_i only.

    The imputer's noise omega, uniform in [-1, 1], replaces the missing pixels of its input; its z
    is 0. An `input_fill` would replace them, too, and is refused. Logs of the second pair begin
    with `imputer_`. Losses are `gan_loss`'s, as in all models here. (MisGAN uses Wasserstein losses
    with a gradient penalty, and five critic steps per generator step.) MisGAN's objective for G_x
    adds 0.1 times the imputer's loss. In its published code that term has no gradient for G_x; it
    is left out here.

    `generator` and `discriminator` are arguments of both pairs' networks. `inpaint` and the moving
    average use the imputer, `generate` uses G_x. Needs a fixed size.

    Args:
        image_shape, measurement, ...: See `AdversarialModel`.
    """

    default_loss_weights = {"gan": 1.0, "imputer": 1.0}
    fixed_generator = {"conditional": True, "input_fill": None, "predicts_mean": False}
    inference_networks = ("data_generator",)

    def build_networks(self):
        self.data_generator = self.build_generator("data_generator", conditional=False)
        config = {**self.discriminator_config, "name": "imputer_discriminator"}
        self.imputer_discriminator = self.build_network(networks.Discriminator, config)
        self.sampler = NoisyInput()

    def generate(self, n, seed=0, batch_size=32):
        """Draws new images; see `AmbientGAN.generate`."""
        return generate(self, n, seed, batch_size)

    def generator_networks(self, every=False):
        w = self.loss_weights
        return [
            *([self.generator] if w["imputer"] or every else []),
            *([self.data_generator] if w["gan"] or every else []),
        ]

    def discriminator_networks(self, every=False):
        imputes = self.loss_weights["imputer"] or every
        return super().discriminator_networks(every) + (
            [self.imputer_discriminator] if imputes else []
        )

    def log_names(self):
        names = ["g_loss", "std", "d_loss"]
        names += adversarial_names()[1:] if self.loss_weights["gan"] else []
        return names + (_imputer_names() if self.loss_weights["imputer"] else [])

    def compute_losses(self, batch, keys, training):
        w, y, mask_y = self.loss_weights, batch["y"], batch["mask"]
        d_loss, g_loss, logs = 0.0, 0.0, {}
        x = generate_images(self, random.fold_in(keys, rng_streams.Z), training)
        if w["gan"]:
            mask_tilde = self.sample_masks(random.fold_in(keys, rng_streams.MASK_TILDE), y)
            y_tilde = self.measurement(x, mask_tilde)
            real = self.discriminator.score(y, mask_y, training=training)
            fake = self.discriminator.score(y_tilde, mask_tilde, training=training)
            d_loss, gan_loss, logs = self.adversarial_terms(real, fake)
            g_loss = w["gan"] * gan_loss
        if w["imputer"]:
            first = random.fold_in(keys, rng_streams.IMPUTER)
            image = impute(self.generator, y, mask_y, first, training)
            x_tilde, whole = self.composite(image, y, mask_y), ops.ones_like(mask_y)
            critic = self.imputer_discriminator
            real = critic.score(ops.stop_gradient(x), whole, training=training)
            fake = critic.score(x_tilde, whole, training=training)
            imputer_d_loss, imputer_loss, imputer_logs = self.adversarial_terms(real, fake, "x")
            logs |= dict(zip(_imputer_names(), imputer_logs.values(), strict=True))
            logs["std"] = self._diversity(y[:8], mask_y[:8], keys[:8])
            d_loss, g_loss = d_loss + imputer_d_loss, g_loss + w["imputer"] * imputer_loss
        return d_loss, g_loss, {**logs, "d_loss": d_loss, "g_loss": g_loss}

    def _diversity(self, y, mask, keys):
        """Computes the std of two samples of each observation, for the logs."""
        first, second = (
            impute(self.generator, y, mask, random.fold_in(keys, stream))
            for stream in (rng_streams.IMPUTER, rng_streams.Z_DIVERSITY)
        )
        return ops.stop_gradient(pair_std(first, second, mask))


def impute(generator, y, mask, keys, training=False):
    """Computes `G_i(y, m, omega)`, one image per key `(N, 2)`: `(N, H, W, C)`."""
    height, width = y.shape[1:3]
    omega = 2.0 * random.uniform(keys, tuple(y.shape[1:])) - 1.0
    features = generator.observe(ops.where(mask > 0.5, y, omega), mask, training=training)
    style, noise = sampling.zero_latents(generator, keys, height, width)
    return generator.decode(features, style, noise, training=training)


def _imputer_names():
    return [f"imputer_{name}" for name in adversarial_names("x")]
