"""Data sets of damaged images: named ones, any folder of images, and faces drawn by the package
itself.
"""

from keras_uai.datasets.loading import NAMES, load
from keras_uai.datasets.splits import SPLITS

__all__ = ["NAMES", "SPLITS", "load"]
