"""F and p_M: how images are damaged (section 2.1 and 3.2 of the paper)."""

from keras_uai.measurements.base import Measurement, get
from keras_uai.measurements.drop_pixel import DropPixel
from keras_uai.measurements.empirical import Empirical
from keras_uai.measurements.patch import Patch

__all__ = ["DropPixel", "Empirical", "Measurement", "Patch", "get"]
