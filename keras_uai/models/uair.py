"""UAIR: the authors' earlier model, with a single answer per observation."""

import keras

from keras_uai import losses, random, rng_streams
from keras_uai.models.adversarial import AdversarialModel, adversarial_names


@keras.saving.register_keras_serializable("keras_uai")
class UAIR(AdversarialModel):
    """Unsupervised Adversarial Image Reconstruction (Pajot, de Bézenac, Gallinari, ICLR 2019).

    Supervision: none. It is meant for any damage, so G makes the whole image: `x_tilde = G(y)`,
    `y_tilde = F(x_tilde, m_tilde)` with a fresh mask. `"gan"`: D separates y from y_tilde.
    `"squared_error"`: the simulated measurement, whose mask is known, must come back from its own
    reconstruction, `|F(G(y_tilde), m_tilde) - y_tilde|^2`, a mean over observed values. Compositing
    with y, as in equation 4, would make that term 0; only inference does it.

    z is 0: an observation has a single answer, and `predict_mean` returns it.

    Args:
        image_shape, measurement, ...: See `AdversarialModel`.
    """

    default_loss_weights = {"gan": 0.5, "squared_error": 1.0}
    stochastic = False

    def log_names(self):
        w = self.loss_weights
        names = ["g_loss", "std", *(adversarial_names() if w["gan"] else [])]
        return names + (["y_tilde_squared_error"] if w["squared_error"] else [])

    def compute_losses(self, batch, keys, training):
        w, y, mask_y = self.loss_weights, batch["y"], batch["mask"]
        d_loss, g_loss, logs = 0.0, 0.0, {}
        mask_tilde = self.sample_masks(random.fold_in(keys, rng_streams.MASK_TILDE), y)
        # y_tilde = F(G(y), m_tilde)
        y_tilde = self.measurement(self._reconstruct(y, mask_y, keys, training), mask_tilde)
        if w["gan"]:
            real = self.discriminator.score(y, mask_y, training=training)
            fake = self.discriminator.score(y_tilde, mask_tilde, training=training)
            d_loss, gan_loss, logs = self.adversarial_terms(real, fake)
            g_loss += w["gan"] * gan_loss
        if w["squared_error"]:
            x_hat = self._reconstruct(y_tilde, mask_tilde, keys, training)
            error = losses.mean_squared_error(x_hat, y_tilde, mask_tilde)
            logs["y_tilde_squared_error"] = error
            g_loss += w["squared_error"] * error
        return d_loss, g_loss, {**logs, "g_loss": g_loss}

    def _reconstruct(self, y, mask, keys, training):
        """Computes `G(y, 0)`, `(N, H, W, C)`."""
        features = self.generator.observe(y, mask, training=training)
        latents = self.draw_latents(random.fold_in(keys, rng_streams.Z), y)
        return self.generator.decode(features, *latents, training=training)
