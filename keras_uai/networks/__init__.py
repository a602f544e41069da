"""G, D and E: fully convolutional networks (section 2.4)."""

from keras_uai.networks.discriminator import Discriminator
from keras_uai.networks.encoder import Encoder
from keras_uai.networks.generator import Generator
from keras_uai.networks.sizes import Levels, check_image_shape

__all__ = ["Discriminator", "Encoder", "Generator", "Levels", "check_image_shape"]
