"""Serving: SavedModels for a model server or TensorFlow alone, and a client of any model."""

from keras_uai.serving.client import Client, Reconstruction
from keras_uai.serving.contract import Contract, Limits
from keras_uai.serving.exporting import export
from keras_uai.serving.transports import FailedError, RefusedError, UnavailableError

__all__ = [
    "Client",
    "Contract",
    "FailedError",
    "Limits",
    "Reconstruction",
    "RefusedError",
    "UnavailableError",
    "export",
]
