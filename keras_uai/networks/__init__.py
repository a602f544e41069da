"""G, D and E: functional graphs inside classes (section 2.4)."""

from keras_uai.networks.discriminator import Discriminator
from keras_uai.networks.encoder import Encoder
from keras_uai.networks.generator import Generator

__all__ = ["Discriminator", "Encoder", "Generator"]
