"""The model zoo: one trainable `keras.Model` per file."""

from keras_uai.models.ambient_gan import AmbientGAN
from keras_uai.models.base import InpaintingModel
from keras_uai.models.misgan import MisGAN
from keras_uai.models.paired import Paired
from keras_uai.models.splitting import Splitting
from keras_uai.models.uai import UAI
from keras_uai.models.uair import UAIR
from keras_uai.models.unpaired import Unpaired

__all__ = [
    "UAI",
    "UAIR",
    "AmbientGAN",
    "InpaintingModel",
    "MisGAN",
    "Paired",
    "Splitting",
    "Unpaired",
]
