"""The terms of equations 5 to 8 and the ones beyond the paper, as pure functions."""

from keras_uai.losses import adversarial, reconstruction
from keras_uai.losses.adversarial import get
from keras_uai.losses.reconstruction import (
    check_energy,
    energy_score,
    mean_squared_error,
)

__all__ = [
    "adversarial",
    "check_energy",
    "energy_score",
    "get",
    "mean_squared_error",
    "reconstruction",
]
