"""Callbacks that score a model, draw its samples and warn of failures during `fit`.

Each has data, samples and a seed of its own, runs every n epochs, and puts its numbers into `logs`.
Place them before CSVLogger, TensorBoard, EarlyStopping and ModelCheckpoint in the list, since Keras
hands `logs` from one callback to the next. They read the model and change nothing in it: training
is bit-equal with and without them.

>>> import keras, keras_uai
>>> measurement = keras_uai.measurements.DropPixel(0.5)
>>> options = {"image_size": 16, "measurement": measurement, "batch_size": 4}
>>> data = keras_uai.datasets.load("drawn_faces", limit=8, **options)
>>> validation = keras_uai.datasets.load(
...     "drawn_faces", "validation", clean=True, limit=2, **options
... )
>>> model = keras_uai.models.UAI.recommended((16, 16, 3), measurement)
>>> history = model.fit(
...     data,
...     shuffle=False,
...     verbose=0,
...     callbacks=[
...         keras_uai.callbacks.Scores(validation, names=("mse", "std"), progress=False),
...         keras.callbacks.ModelCheckpoint(
...             "best.keras", monitor="val_mse", mode="min", save_best_only=True
...         ),
...     ],
... )
>>> sorted(name for name in history.history if name.startswith("val_"))
['val_mse', 'val_std']
"""

from keras_uai.callbacks.diagnostics import Diagnostics
from keras_uai.callbacks.image_grid import ImageGrid
from keras_uai.callbacks.scores import (
    FrechetInceptionDistance,
    MeanSquaredError,
    SampleStandardDeviation,
    Scores,
)

__all__ = [
    "Diagnostics",
    "FrechetInceptionDistance",
    "ImageGrid",
    "MeanSquaredError",
    "SampleStandardDeviation",
    "Scores",
]
