"""Unpaired: the supervised baseline of Table 2 that sees clean images of other scenes."""

import keras
from keras import ops

from keras_uai.models.uai import UAI


@keras.saving.register_keras_serializable("keras_uai")
class Unpaired(UAI):
    """`UAI` whose D sees whole images: x of other scenes and reconstructions x_tilde (section 3.5).

    Supervision: clean images, none of an observation's scene; batches hold them under `"unpaired"`.

    Compared with equation 5, D separates x from x_tilde instead of y from y_tilde. Equation 6 is
    unchanged. In equation 7 D sees x_hat; the squared error is y_hat's. Set `"z"` and `"y"` to 0
    for the adversarial term alone. Logs have `d_x`, `d_x_tilde` and `d_x_hat` where `UAI` has
    `d_y`, `d_y_tilde` and `d_y_hat`.

    Args:
        train_on_y_hat: Whether D is trained on x_hat, too.
        image_shape, measurement, ...: See `UAI`.
    """

    required_images = ("unpaired",)
    discriminator_domain = "x"

    def _discriminate_data(self, batch, training):
        return self._discriminate(batch["unpaired"], batch["mask"], training)

    def _discriminate(self, x, mask, training):
        return self.discriminator.score(x, ops.ones_like(mask), training=training)
