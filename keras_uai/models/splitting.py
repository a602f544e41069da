"""Splitting: regression to hidden observed pixels, the self-supervised baseline."""

import keras

from keras_uai import losses, measurements, random, rng_streams
from keras_uai.models.base import InpaintingModel


@keras.saving.register_keras_serializable("keras_uai")
class Splitting(InpaintingModel):
    """Measurement splitting (self-supervised learning via data undersampling, Yaman et al. 2020).

    Supervision: none. Some of the observed pixels are hidden from G. Its only term, `"splitting"`,
    is the mean squared error there.

    z is 0: an observation has a single answer, all samples are equal, and `predict_mean` returns
    it. There is no D; `gan_loss` has no effect.

    Args:
        split_ratio, split_by_measurement, context_dropout: As in `UAI`.
        image_shape, measurement, ...: See `InpaintingModel`.
    """

    default_loss_weights = {"splitting": 1.0}
    stochastic = False

    def __init__(
        self,
        image_shape,
        measurement,
        values=None,
        latent_dim=128,
        ema_decay=None,
        split_ratio=(0.1, 0.5),
        split_by_measurement=0.0,
        context_dropout=0.0,
        seed=0,
        generator=None,
        name=None,
    ):
        super().__init__(
            image_shape, measurement, values, latent_dim, ema_decay, seed, generator, name
        )
        self.split_ratio, self.split_by_measurement, self.context_dropout = (
            measurements.check_split(split_ratio, split_by_measurement, context_dropout)
        )
        self.build()

    def log_names(self):
        return ["g_loss", "std", "splitting_loss"]

    def compute_losses(self, batch, keys, training):
        y, mask_y = batch["y"], batch["mask"]
        mask_seen = measurements.split_mask(
            self.measurement,
            mask_y,
            keys,
            self.split_ratio,
            self.split_by_measurement,
            self.context_dropout,
        )
        y_seen = self.measurement(y, mask_seen)
        latents = self.draw_latents(random.fold_in(keys, rng_streams.Z), y)
        features = self.generator.observe(y_seen, mask_seen, training=training)
        image = self.generator.decode(features, *latents, training=training)
        error = losses.mean_squared_error(image, y, mask_y - mask_seen)
        g_loss = self.loss_weights["splitting"] * error
        return 0.0, g_loss, {"splitting_loss": error, "g_loss": g_loss}

    def get_config(self):
        return {
            **super().get_config(),
            "split_ratio": self.split_ratio,
            "split_by_measurement": self.split_by_measurement,
            "context_dropout": self.context_dropout,
        }
