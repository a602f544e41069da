"""UAIR: the authors' model before this one, with one answer an observation."""

import keras

from keras_uai import losses, random
from keras_uai.models import purposes
from keras_uai.models.adversarial import AdversarialModel, game_names


@keras.saving.register_keras_serializable("keras_uai")
class UAIR(AdversarialModel):
    """Unsupervised Adversarial Image Reconstruction (Pajot, de Bézenac, Gallinari, ICLR 2019; [21] of the paper).

    Supervision: none.

    For any damage, so G makes the whole image: `x_tilde = G(y)`, `y_tilde = F(x_tilde, m_tilde)` with a fresh mask.
    `"gan"`: D separates y from y_tilde. `"squared_error"`: the simulated measurement, whose mask is known, comes back
    from its own reconstruction, `|F(G(y_tilde), m_tilde) - y_tilde|^2`, a mean over observed values. Their weights are
    the defaults. (With y pasted into x_tilde, as in equation 4, that term would be 0, and what is left is `UAI` with
    equation 5 and no z.) Pasting is left to `inpaint`, which returns y's pixels as it does for every model.

    Deterministic: z is 0, all samples are the same, and `mean` returns it.

    Args: see `UAI`.
    """

    default_loss_weights = {"gan": 0.5, "squared_error": 1.0}
    stochastic = False

    def log_names(self):
        names = ["g_loss", "std", "mse", "mse_mean", *(game_names() if self.plays else [])]
        return names + (["y_tilde_squared_error"] if self.loss_weights["squared_error"] else [])

    def objective(self, batch, keys, training):
        batch = self.mirrored(batch, keys, training)
        w, y, mask_y = self.loss_weights, batch["y"], batch["mask"]
        d_loss, g_loss, logs = 0.0, 0.0, {}
        mask_tilde = self.measurement.sample(
            random.fold_in(keys, purposes.MASK_TILDE), *self.image_shape[:2]
        )
        # y_tilde = F(G(y), m_tilde)
        y_tilde = self.measurement(self._g(y, mask_y, keys, training), mask_tilde)
        if self.plays:
            real = self.discriminator.score(y, mask_y, training=training)
            fake = self.discriminator.score(y_tilde, mask_tilde, training=training)
            d_loss, gan_loss, logs = self.game(real, fake)
            g_loss += w["gan"] * gan_loss
        if w["squared_error"]:
            x_hat = self._g(y_tilde, mask_tilde, keys, training)
            error = losses.mean_squared_error(x_hat, y_tilde, mask_tilde)
            logs["y_tilde_squared_error"] = error
            g_loss += w["squared_error"] * error
        return d_loss, g_loss, {**logs, "g_loss": g_loss}

    def _g(self, y, mask, keys, training):
        features = self.generator.observe(y, mask, training=training)
        return self.generator.decode(features, self.draw_z(keys, purposes.Z), training=training)
