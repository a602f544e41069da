"""Splitting: regression to observed pixels that were hidden, the self-supervised state of the art for one answer."""

import keras

from keras_uai import losses
from keras_uai.models import purposes
from keras_uai.models.base import InpaintingModel
from keras_uai.models.batch import check_hide, check_share


@keras.saving.register_keras_serializable("keras_uai")
class Splitting(InpaintingModel):
    """Measurement splitting (self-supervised learning via data undersampling, SSDU, Yaman et al. 2020).

    Supervision: none.

    Some of the observed pixels are hidden from G; its one term, `"splitting"`, is the mean squared error there. It is
    `UAI`'s term of that name on a network that has nothing else to do, without z.

    Deterministic: z is 0, all samples are the same, and `mean` returns it. There is no D; `gan_loss` has no effect.

    Args:
        hide, hide_by_mask: as in `UAI`.
        image_shape, ...: see `UAI`.
    """

    default_loss_weights = {"splitting": 1.0}
    stochastic = False

    def __init__(
        self,
        image_shape,
        measurement,
        latent_dim=128,
        average_decay=None,
        hide=(0.1, 0.5),
        hide_by_mask=0.0,
        flip=False,
        seed=0,
        generator=None,
        name=None,
    ):
        super().__init__(
            image_shape, measurement, latent_dim, average_decay, flip, seed, generator, name
        )
        self.hide, self.hide_by_mask = check_hide(hide), check_share("hide_by_mask", hide_by_mask)
        self.build()

    def log_names(self):
        return ["g_loss", "std", "mse", "mse_mean", "splitting_loss"]

    def objective(self, batch, keys, training):
        batch = self.mirrored(batch, keys, training)
        y, mask_y = batch["y"], batch["mask"]
        y_seen, mask_seen = self.hide_some(y, mask_y, keys, *self.hide, self.hide_by_mask)
        features = self.generator.observe(y_seen, mask_seen, training=training)
        image = self.generator.decode(features, self.draw_z(keys, purposes.Z), training=training)
        error = losses.mean_squared_error(image, y, mask_y - mask_seen)
        g_loss = self.loss_weights["splitting"] * error
        return 0.0, g_loss, {"splitting_loss": error, "g_loss": g_loss}

    def get_config(self):
        return {**super().get_config(), "hide": self.hide, "hide_by_mask": self.hide_by_mask}
