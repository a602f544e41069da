"""Batch normalisation whose statistics a pass can leave as they are."""

import contextlib
import threading

import keras

_thread = threading.local()  # replicas run in threads of their own


@contextlib.contextmanager
def statistics_held():
    """Inside, passes in training normalise by their batch as ever, and moving statistics stay.

    For passes on inputs that no trained network is ever shown: the moving statistics of a network
    that is also trained on something else would be a mixture that fits neither.
    """
    before = getattr(_thread, "held", False)
    _thread.held = True
    try:
        yield
    finally:
        _thread.held = before


@keras.saving.register_keras_serializable("keras_uai")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that heeds `statistics_held`."""

    @property
    def momentum(self):
        """Of the moving statistics; 1 where they are held."""
        return 1.0 if getattr(_thread, "held", False) else self._momentum

    @momentum.setter
    def momentum(self, value):
        self._momentum = value
