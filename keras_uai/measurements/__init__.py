"""F and p_M: how images are damaged (sections 2.1 and 3.2 of the paper), and splitting."""

from keras_uai.measurements.base import Measurement, get
from keras_uai.measurements.comparison import check_masks, mask_differences
from keras_uai.measurements.drop_pixel import DropPixel
from keras_uai.measurements.empirical import Empirical
from keras_uai.measurements.patch import Patch
from keras_uai.measurements.splitting import check_split, split_mask

__all__ = [
    "DropPixel",
    "Empirical",
    "Measurement",
    "Patch",
    "check_masks",
    "check_split",
    "get",
    "mask_differences",
    "split_mask",
]
