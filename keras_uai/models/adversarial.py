"""What the models that play a game against a discriminator share."""

from keras import ops

from keras_uai import networks
from keras_uai.models.base import InpaintingModel


class AdversarialModel(InpaintingModel):
    """An `InpaintingModel` with a discriminator D, trained while the weight of `"gan"` is not 0. See `UAI` for the
    arguments.
    """

    default_loss_weights = {"gan": 1.0}

    def __init__(
        self,
        image_shape,
        measurement,
        latent_dim=128,
        average_decay=None,
        flip=False,
        seed=0,
        generator=None,
        discriminator=None,
        name=None,
    ):
        super().__init__(
            image_shape, measurement, latent_dim, average_decay, flip, seed, generator, name
        )
        self._discriminator_config = dict(discriminator or {})
        self.discriminator = self._network(networks.Discriminator, self._discriminator_config)
        self.more_networks()
        self.build()

    def more_networks(self):
        """Makes what further networks a model has; called once, while it is constructed."""

    @property
    def plays(self):
        """Whether the game is on."""
        return bool(self.loss_weights["gan"])

    def discriminator_side(self, every=False):
        return [self.discriminator] if self.plays or every else []

    def game(self, real, fake, judged="y"):
        """One game's losses from D's logits.

        Args:
            real, fake: logits `(N,)` of the data and of what G made.
            judged: the letter of what D judges, for the logs.

        Returns:
            `(d_loss, gan_loss, logs)`: D's, G's, and both with the means of the logits by name.
        """
        d_loss, gan_loss = self.discriminator_loss(real, fake), self.generator_loss(fake)
        values = (d_loss, gan_loss, ops.mean(real), ops.mean(fake))
        return d_loss, gan_loss, dict(zip(game_names(judged), values, strict=True))

    def get_config(self):
        return {**super().get_config(), "discriminator": self._discriminator_config}


def game_names(judged="y"):
    """What a game logs: D's loss, G's, and how real D takes the data and what G made to be."""
    return ["d_loss", "gan_loss", f"d_{judged}", f"d_{judged}_tilde"]
