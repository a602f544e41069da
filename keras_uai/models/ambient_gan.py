"""AmbientGAN: a generator of whole images, learned from damaged ones."""

import keras
from keras import ops

from keras_uai import random, rng_streams
from keras_uai.models.adversarial import AdversarialModel, adversarial_names
from keras_uai.models.logs import pair_std
from keras_uai.models.unconditional import generate, generate_images


@keras.saving.register_keras_serializable("keras_uai")
class AmbientGAN(AdversarialModel):
    """A generator trained through the measurement (Bora, Price, Dimakis, ICLR 2018).

    Supervision: none. Its only term is `"gan"`: D separates observations y from
    `y_tilde = F(G(z), m_tilde)` with a fresh mask (equation 2 without the observation). G's decoder
    starts from learned constants instead of an observation's features (`conditional=False`), which
    needs a fixed size.

    It does not complete observations: `inpaint` puts y into images that do not depend on it. Every
    model that reconstructs must be better.

    Args:
        image_shape, measurement, ...: See `AdversarialModel`.
    """

    fixed_generator = {"conditional": False, "input_fill": None, "predicts_mean": False}

    @property
    def data_generator(self):
        """The generator that `generate` uses."""
        return self.inference_generator

    def generate(self, n, seed=0, batch_size=32):
        """Draws new images.

        Args:
            n: Number of images.
            seed: An integer (image i then has the seed `seed + i`), or n integers.
            batch_size: Number of images computed at a time.

        Returns:
            float32 array `(n, H, W, C)` in network units.
        """
        return generate(self, n, seed, batch_size)

    def log_names(self):
        return ["g_loss", "std", *adversarial_names()]

    def compute_losses(self, batch, keys, training):
        y, mask_y = batch["y"], batch["mask"]
        # x_tilde = G(z), y_tilde = F(x_tilde, m_tilde)
        features = self.generator.observe(y, mask_y, training=training)
        latents = self.draw_latents(random.fold_in(keys, rng_streams.Z), y)
        x_tilde = self.generator.decode(features, *latents, training=training)
        mask_tilde = self.sample_masks(random.fold_in(keys, rng_streams.MASK_TILDE), y)
        y_tilde = self.measurement(x_tilde, mask_tilde)
        real = self.discriminator.score(y, mask_y, training=training)
        fake = self.discriminator.score(y_tilde, mask_tilde, training=training)
        d_loss, gan_loss, logs = self.adversarial_terms(real, fake)
        g_loss = self.loss_weights["gan"] * gan_loss
        second = generate_images(self, random.fold_in(keys, rng_streams.Z_DIVERSITY), False)
        std = ops.stop_gradient(pair_std(x_tilde, second, mask_y))
        return d_loss, g_loss, {**logs, "g_loss": g_loss, "std": std}
