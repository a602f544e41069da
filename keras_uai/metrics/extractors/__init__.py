"""Feature extractors by name: the first step of the Fréchet and the kernel distance."""

import contextlib
import os
import random

import numpy as np

from keras_uai.metrics.extractors import efficientnet_lite0, inception
from keras_uai.metrics.extractors.base import Extractor

NAMES = ("inception", "inception_v3", "efficientnet_lite0")


def get(identifier=None):
    """A feature extractor.

    Args:
        identifier: an `Extractor`; a `keras.Model`; `"inception"` (the network of FID),
            `"inception_v3"` (Keras applications) or `"efficientnet_lite0"` (works offline); one of
            the first two with the place of its weights, such as `"inception:some/folder"`; the path
            of a saved Keras model, `*.keras`; or None for `default()`.

    Raises:
        FileNotFoundError, ImportError: where weights are missing; the message says how to get them.
            Nothing else is ever taken in their place.
    """
    if identifier is None:
        identifier = default()
    with _same_randomness():
        return _get(identifier)


def default():
    """`"inception"` where its weights are on this machine, else `"efficientnet_lite0"`.

    It is a choice of the default and not a substitute: the name stands in the name of every metric.
    """
    return "inception" if inception.local_path() else "efficientnet_lite0"


def _get(identifier):
    import keras

    if isinstance(identifier, Extractor):
        return identifier
    if isinstance(identifier, keras.Model):
        return Extractor.from_model(identifier)
    if isinstance(identifier, (str, os.PathLike)):
        name, _, path = str(identifier).partition(":")
        if name == "inception":
            return inception.extractor(path or None)
        if name == "inception_v3":
            return inception.keras_extractor(path or None)
        if str(identifier) == "efficientnet_lite0":
            return efficientnet_lite0.extractor()
        if str(identifier).endswith(".keras") and os.path.exists(identifier):
            return Extractor.from_model(identifier)
    raise ValueError(
        f"An extractor is one of {', '.join(NAMES)} (the first two also with a path, as in "
        "'inception:some/folder'), a keras.Model, the path of a saved one (*.keras), or an "
        f"Extractor. Received: {identifier!r}"
    )


@contextlib.contextmanager
def _same_randomness():
    """Layers draw seeds as they are made; a training run must not notice."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


__all__ = ["NAMES", "Extractor", "default", "get"]
