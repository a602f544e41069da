"""Paired: the supervised baseline of Table 2 that is shown each observation's clean image."""

import keras

from keras_uai import losses
from keras_uai.models import purposes
from keras_uai.models.adversarial import AdversarialModel, game_names


@keras.saving.register_keras_serializable("keras_uai")
class Paired(AdversarialModel):
    """Regression to the clean image with an adversarial term (section 3.5, after pix2pix, Isola et al. 2017).

    Supervision: pairs (y, x); batches hold x under `"clean"`.

    `x_tilde = G(y, 0) * (1 - m^y) + y`; the terms are `"squared_error"`, `mean (x_tilde - x)^2` over whole images
    (the paper's choice, where pix2pix has the absolute error; the default weight is pix2pix's 100), and `"gan"`: D
    separates x from x_tilde. A D with `sees_mask=True` sees which pixels of either were observed and is then pix2pix's
    conditional D(y, x): x_tilde has y's pixels in it.

    Deterministic: z is 0, so an observation has one answer, all samples are that, and `mean` returns it.

    Args: see `UAI`.
    """

    default_loss_weights = {"gan": 1.0, "squared_error": 100.0}
    needs_clean = True
    stochastic = False

    def log_names(self):
        return ["g_loss", "std", "mse", "mse_mean", *(game_names("x") if self.plays else [])]

    def objective(self, batch, keys, training):
        batch = self.mirrored(batch, keys, training)
        w, x, y, mask = self.loss_weights, batch["clean"], batch["y"], batch["mask"]
        # x_tilde = G(y, 0) * (1 - m^y) + y
        features = self.generator.observe(y, mask, training=training)
        image = self.generator.decode(features, self.draw_z(keys, purposes.Z), training=training)
        x_tilde = self.paste(image, y, mask)
        logs = {"mse": losses.mean_squared_error(x_tilde, x)}
        d_loss, g_loss = 0.0, w["squared_error"] * logs["mse"]
        if self.plays:
            real, fake = (
                self.discriminator.score(image, mask, training=training) for image in (x, x_tilde)
            )
            d_loss, gan_loss, game_logs = self.game(real, fake, "x")
            g_loss, logs = g_loss + w["gan"] * gan_loss, {**logs, **game_logs}
        return d_loss, g_loss, {**logs, "g_loss": g_loss}
