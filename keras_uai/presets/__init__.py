"""Presets: trained models as folders that are found by name.

>>> from keras_uai import presets
>>> model = presets.load("faces_32_drop_pixel")  # doctest: +SKIP
>>> presets.save(model, "my_presets/faces")  # doctest: +SKIP
'my_presets/faces'
"""

from keras_uai.presets.folders import available, find, metadata
from keras_uai.presets.hubs import upload_preset
from keras_uai.presets.loading import Loaded, load, load_model
from keras_uai.presets.saving import save

__all__ = ["Loaded", "available", "find", "load", "load_model", "metadata", "save", "upload_preset"]
