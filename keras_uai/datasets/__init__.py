"""Data sets of damaged images: named ones, any folder of images, and faces drawn by the package.

`load` is the way in. TensorFlow, TensorFlow Datasets and lmdb are imported where they are used.
"""

from keras_uai.datasets.loading import NAMES, load
from keras_uai.datasets.splits import SPLITS

__all__ = ["NAMES", "SPLITS", "load"]
