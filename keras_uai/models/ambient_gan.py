"""AmbientGAN: a generator of whole images, learned from damaged ones."""

import keras

from keras_uai import random
from keras_uai.models import purposes
from keras_uai.models.adversarial import AdversarialModel, game_names
from keras_uai.models.generating import GeneratingMixin


@keras.saving.register_keras_serializable("keras_uai")
class AmbientGAN(GeneratingMixin, AdversarialModel):
    """A generator trained through the measurement (Bora, Price, Dimakis, ICLR 2018; the related work of section 4).

    Supervision: none.

    Its one term is the game, `"gan"`: D separates observations y from `y_tilde = F(G(z), m_tilde)` with a fresh mask,
    equation 2 without the observation. `generate` draws images. G is the `Generator` of the other models, whose decoder
    starts from learned constants instead of an observation's features (`conditional=False`): fed an observation with
    nothing in it, a convolutional network makes the same features everywhere but at the borders, and every place of
    the image would have to be told from every other by these.

    It completes nothing: `inpaint` puts y into images that know nothing of it, which is the least that a model which
    reconstructs must beat.

    Args: see `UAI`.
    """

    fixed_generator = {"conditional": False, "fill": False, "predicts_mean": False}

    @property
    def data_generator(self):
        """The generator that `generate` uses: the average where the model keeps one."""
        return self.sampling_generator

    def log_names(self):
        return ["g_loss", "std", "mse", "mse_mean", *game_names()]

    def objective(self, batch, keys, training):
        batch = self.mirrored(batch, keys, training)
        y, mask_y = batch["y"], batch["mask"]
        # x_tilde = G(z), y_tilde = F(x_tilde, m_tilde)
        features = self.generator.observe(y, mask_y, training=training)
        x_tilde = self.generator.decode(features, self.draw_z(keys, purposes.Z), training=training)
        mask_tilde = self.measurement.sample(
            random.fold_in(keys, purposes.MASK_TILDE), *self.image_shape[:2]
        )
        y_tilde = self.measurement(x_tilde, mask_tilde)
        real = self.discriminator.score(y, mask_y, training=training)
        fake = self.discriminator.score(y_tilde, mask_tilde, training=training)
        d_loss, gan_loss, logs = self.game(real, fake)
        g_loss = self.loss_weights["gan"] * gan_loss
        std = self.diversity(y, mask_y, random.fold_in(keys, purposes.Z_DIVERSITY))
        return d_loss, g_loss, {**logs, "g_loss": g_loss, "std": std}
