"""Unpaired: the supervised baseline of Table 2 that is shown clean images of other scenes."""

import keras
from keras import ops

from keras_uai.models.uai import UAI


@keras.saving.register_keras_serializable("keras_uai")
class Unpaired(UAI):
    """`UAI` whose D sees whole images: x of other scenes and reconstructions x_tilde (section 3.5).

    Supervision: clean images, none of them of an observation's scene; batches hold them under `"unpaired"`.

    What changes against equation 5: D separates x from x_tilde instead of y from y_tilde. The terms that make z matter
    stay: equation 6 as it is; in equation 7 D sees x_hat, the squared error is y_hat's. Set `"z"` and `"y"` to 0 for
    the game alone. Where `UAI` logs `d_y`, `d_y_tilde` and `d_y_hat`, this logs `d_x`, `d_x_tilde` and `d_x_hat`.

    Args: see `UAI`. With `discriminate_y_hat=True` D is trained on x_hat, too.
    """

    needs_unpaired = True
    judged = "x"

    def _judge_data(self, batch, training):
        return self._judge(batch["unpaired"], None, training)

    def _judge(self, x, mask, training):
        whole = ops.ones_like(x[..., :1])
        return self.discriminator.score(x, whole, training=training)
