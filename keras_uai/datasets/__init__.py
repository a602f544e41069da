"""Data sets of damaged images: named ones, folders of images, arrays, and faces that are drawn.

`load` is the way in. TensorFlow, TensorFlow Datasets and lmdb are imported where they are used.
"""

from keras_uai.datasets.loading import labels, load, scan_values, stream
from keras_uai.datasets.opening import NAMES
from keras_uai.datasets.splits import SPLITS

__all__ = ["NAMES", "SPLITS", "labels", "load", "scan_values", "stream"]
