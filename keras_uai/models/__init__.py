"""The zoo: one trainable `keras.Model` a file."""

from keras_uai.models.base import InpaintingModel
from keras_uai.models.uai import UAI

__all__ = ["UAI", "InpaintingModel"]
