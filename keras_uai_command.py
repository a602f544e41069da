"""Entry point of the command `keras-uai`; while it is imported, `keras_uai` does not import Keras."""

from keras_uai.cli.main import main

__all__ = ["main"]
