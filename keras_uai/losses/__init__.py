"""Terms of the objectives, of equations 5 to 8 and beyond the paper, as pure functions."""

from keras_uai.losses import adversarial, reconstruction
from keras_uai.losses.adversarial import get
from keras_uai.losses.reconstruction import (
    check_energy_scales,
    energy_score,
    mean_squared_error,
)

__all__ = [
    "adversarial",
    "check_energy_scales",
    "energy_score",
    "get",
    "mean_squared_error",
    "reconstruction",
]
