"""MisGAN: a generator of whole images and an imputer that imitates it, the unsupervised baseline of Table 2."""

import keras
from keras import ops

from keras_uai import networks, random
from keras_uai.models import purposes
from keras_uai.models.adversarial import AdversarialModel, game_names
from keras_uai.models.generating import GeneratingMixin
from keras_uai.models.sampling import alternating


@keras.saving.register_keras_serializable("keras_uai")
class MisGAN(GeneratingMixin, AdversarialModel):
    """Two games at once (Li, Jiang, Marlin, ICLR 2019), with the measurement in place of the generator of masks
    (section 3.5).

    Supervision: none.

    - `"gan"`: the data generator G_x is an `AmbientGAN`: D separates y from `F(G_x(z), m_tilde)`, m_tilde fresh.
    - `"imputer"`: the imputer G_i completes observations, `x_tilde = G_i(y, m^y, omega) * (1 - m^y) + y`; its critic
      D_i separates G_x's images from these. That moves G_i and D_i only; G_x learns from its own game.

    The imputer's noise omega, uniform in [-1, 1], takes the place of the missing pixels in what G_i is shown; its z is
    0. So each sample is a pass of its own, and a `fill`, which would take that place, is refused. Logs of the second
    game begin with `imputer_`. The losses are `gan_loss`'s, as of all models here (theirs: Wasserstein with a gradient
    penalty, five steps of the critics to one). Their objective for G_x adds 0.1 times the imputer's loss; in their own
    code that term has no gradient for G_x, and here it is left out.

    `generator` and `discriminator` are arguments of both games' networks; G_x is unconditional. `inpaint` and the
    average of weights are the imputer's, `generate` is G_x's.

    Args: see `UAI`.
    """

    default_loss_weights = {"gan": 1.0, "imputer": 1.0}
    fixed_generator = {"conditional": True, "fill": False, "predicts_mean": False}
    kept_networks = ("data_generator",)

    def more_networks(self):
        unconditional = {**self.fixed_generator, "conditional": False}
        self.data_generator = self._generator(unconditional, name="data_generator")
        config = {**self._discriminator_config, "name": "imputer_discriminator"}
        self.imputer_discriminator = self._network(networks.Discriminator, config)

    # -- the players ---------------------------------------------------------------------------------------------

    def generator_side(self, every=False):
        imputes = self.loss_weights["imputer"] or every
        return [
            *([self.generator] if imputes else []),
            *([self.data_generator] if self.plays or every else []),
        ]

    def discriminator_side(self, every=False):
        imputes = self.loss_weights["imputer"] or every
        return super().discriminator_side(every) + ([self.imputer_discriminator] if imputes else [])

    def log_names(self):
        names = ["g_loss", "std", "mse", "mse_mean", "d_loss"]
        names += game_names()[1:] if self.plays else []
        names += _imputer_names() if self.loss_weights["imputer"] else []
        return names

    # -- the games -----------------------------------------------------------------------------------------------

    def objective(self, batch, keys, training):
        batch = self.mirrored(batch, keys, training)
        w, y, mask_y = self.loss_weights, batch["y"], batch["mask"]
        d_loss, g_loss, logs = 0.0, 0.0, {}
        x = self.imagine(random.fold_in(keys, purposes.Z), training)
        if w["gan"]:
            mask_tilde = self.measurement.sample(
                random.fold_in(keys, purposes.MASK_TILDE), *self.image_shape[:2]
            )
            y_tilde = self.measurement(x, mask_tilde)
            real = self.discriminator.score(y, mask_y, training=training)
            fake = self.discriminator.score(y_tilde, mask_tilde, training=training)
            d_loss, gan_loss, logs = self.game(real, fake)
            g_loss = w["gan"] * gan_loss
        if w["imputer"]:
            image = self._impute(
                self.generator, y, mask_y, random.fold_in(keys, purposes.IMPUTER), training
            )
            x_tilde, whole = self.paste(image, y, mask_y), ops.ones_like(mask_y)
            critic = self.imputer_discriminator
            real = critic.score(ops.stop_gradient(x), whole, training=training)
            fake = critic.score(x_tilde, whole, training=training)
            imputer_d_loss, imputer_loss, imputer_logs = self.game(real, fake, "x")
            logs |= dict(zip(_imputer_names(), imputer_logs.values(), strict=True))
            logs["std"] = self.diversity(y, mask_y, random.fold_in(keys, purposes.Z_DIVERSITY))
            d_loss, g_loss = d_loss + imputer_d_loss, g_loss + w["imputer"] * imputer_loss
        return d_loss, g_loss, {**logs, "d_loss": d_loss, "g_loss": g_loss}

    def _impute(self, generator, y, mask, keys, training=False, signs=1.0):
        """`G_i(y, m, omega)`: y with noise, times `signs`, where pixels are missing, and no z."""
        omega = signs * (2.0 * random.uniform(keys, self.image_shape) - 1.0)
        features = generator.observe(self.paste(omega, y, mask), mask, training=training)
        z = ops.zeros((ops.shape(keys)[0], generator.z_dim))
        return generator.decode(features, z, training=training)

    def reconstruct(self, y, mask, keys, count=1, features=None, antithetic=False):
        # `features` are of an observation without noise, and of no use here.
        y, mask = (ops.repeat(v, count, axis=0) for v in (y, mask))
        signs = alternating(keys, count)[:, None, None, None] if antithetic else 1.0
        image = self._impute(self.sampling_generator, y, mask, keys, signs=signs)
        return ops.clip(image, -1.0, 1.0)


def _imputer_names():
    return [f"imputer_{name}" for name in game_names("x")]
