"""Paired: the supervised baseline of Table 2 that sees each observation's clean image."""

import keras

from keras_uai import losses, random, rng_streams
from keras_uai.models.adversarial import AdversarialModel, adversarial_names


@keras.saving.register_keras_serializable("keras_uai")
class Paired(AdversarialModel):
    """Regression to the clean image with an adversarial term (section 3.5, after pix2pix).

    Supervision: pairs (y, x); batches hold x under `"clean"`.

    `x_tilde = G(y, 0) * (1 - m^y) + y`. The term `"squared_error"` is `mean (x_tilde - x)^2` over
    whole images, as in the paper. Its default weight of 100 is that of pix2pix (Isola et al. 2017),
    which uses the absolute error. In the term `"gan"`, D separates x from x_tilde. A D with
    `mask_input=True` is pix2pix's conditional D(y, x), since x_tilde contains y's pixels.

    z is 0: an observation has a single answer, and `predict_mean` returns it.

    Args:
        image_shape, measurement, ...: See `AdversarialModel`.
    """

    default_loss_weights = {"gan": 1.0, "squared_error": 100.0}
    required_images = ("clean",)
    stochastic = False

    def log_names(self):
        return [
            "g_loss",
            "std",
            "mse",
            *(adversarial_names("x") if self.loss_weights["gan"] else []),
        ]

    def compute_losses(self, batch, keys, training):
        w, x, y, mask = self.loss_weights, batch["clean"], batch["y"], batch["mask"]
        # x_tilde = G(y, 0) * (1 - m^y) + y
        features = self.generator.observe(y, mask, training=training)
        latents = self.draw_latents(random.fold_in(keys, rng_streams.Z), y)
        image = self.generator.decode(features, *latents, training=training)
        x_tilde = self.composite(image, y, mask)
        logs = {"mse": losses.mean_squared_error(x_tilde, x)}
        d_loss, g_loss = 0.0, w["squared_error"] * logs["mse"]
        if w["gan"]:
            real = self.discriminator.score(x, mask, training=training)
            fake = self.discriminator.score(x_tilde, mask, training=training)
            d_loss, gan_loss, adversarial_logs = self.adversarial_terms(real, fake, "x")
            g_loss, logs = g_loss + w["gan"] * gan_loss, {**logs, **adversarial_logs}
        return d_loss, g_loss, {**logs, "g_loss": g_loss}
