"""What `fit` can measure and show on the way.

Each callback has data, samples and a seed of its own, runs every n epochs, and puts its numbers into
`logs`. Place them before CSVLogger, TensorBoard, EarlyStopping and ModelCheckpoint(monitor=...) in
the list, because Keras hands `logs` from one callback to the next. They read the model and change
nothing in it: training goes on bit-equal with and without them.

>>> withheld = keras_uai.datasets.load(folder, "withheld", measurement=measurement, clean=True)
>>> callbacks = [
...     keras_uai.callbacks.FrechetInceptionDistance(withheld, every=5),
...     keras_uai.callbacks.MeanSquaredError(withheld),
...     keras_uai.callbacks.SampleStandardDeviation(withheld),
...     keras.callbacks.ModelCheckpoint("best.keras", monitor="val_mse", save_best_only=True),
... ]
"""

from keras_uai.callbacks.image_grid import ImageGrid
from keras_uai.callbacks.measuring import (
    Calibration,
    Evaluation,
    FrechetInceptionDistance,
    MeanSquaredError,
    SampleStandardDeviation,
)

__all__ = [
    "Calibration",
    "Evaluation",
    "FrechetInceptionDistance",
    "ImageGrid",
    "MeanSquaredError",
    "SampleStandardDeviation",
]
