"""Adversarial terms of the baselines: an `InpaintingModel` with a discriminator D."""

from keras import ops

from keras_uai import networks
from keras_uai.models.base import InpaintingModel


class AdversarialModel(InpaintingModel):
    """An `InpaintingModel` with a discriminator D, trained while the weight of `"gan"` is not 0.

    Args:
        discriminator: Dict of arguments of D that differ from its defaults.
        image_shape, measurement, ...: See `InpaintingModel`.
    """

    default_loss_weights = {"gan": 1.0}

    def __init__(
        self,
        image_shape,
        measurement,
        values=None,
        latent_dim=128,
        ema_decay=None,
        seed=0,
        generator=None,
        discriminator=None,
        name=None,
    ):
        super().__init__(
            image_shape, measurement, values, latent_dim, ema_decay, seed, generator, name
        )
        self.discriminator_config = dict(discriminator or {})
        self.discriminator = self.build_network(networks.Discriminator, self.discriminator_config)
        self.build_networks()
        self.build()

    def build_networks(self):
        """Builds further networks of a subclass; called once, in the constructor."""

    def discriminator_networks(self, every=False):
        return [self.discriminator] if self.loss_weights["gan"] or every else []

    def adversarial_terms(self, real, fake, letter="y"):
        """Computes the losses of D and G from D's logits.

        Args:
            real, fake: Logits `(N,)` of the data and of G's images.
            letter: Letter of the images that D scores, for the logs.

        Returns:
            `(d_loss, gan_loss, logs)`: D's loss, G's loss, and both with the mean logits by name.
        """
        d_loss, gan_loss = self.discriminator_loss(real, fake), self.generator_loss(fake)
        values = (d_loss, gan_loss, ops.mean(real), ops.mean(fake))
        return d_loss, gan_loss, dict(zip(adversarial_names(letter), values, strict=True))

    def get_config(self):
        return {**super().get_config(), "discriminator": self.discriminator_config}


def adversarial_names(letter="y"):
    """Returns the names of `adversarial_terms`' logs."""
    return ["d_loss", "gan_loss", f"d_{letter}", f"d_{letter}_tilde"]
