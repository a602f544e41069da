"""Feature extractors by name: the first step of the Fréchet and the kernel distance."""

import os
import random

import keras
import numpy as np

from keras_uai.metrics.extractors import efficientnet_lite0, inception
from keras_uai.metrics.extractors.base import Extractor

NAMES = ("inception", "efficientnet_lite0")


def get(identifier=None):
    """Returns a feature extractor.

    Args:
        identifier: an `Extractor`; a `keras.Model`, or the path of a saved one, `*.keras`;
            `"inception"` (the network of FID), also with the place of its weights, as in
            `"inception:some/folder"`; `"efficientnet_lite0"`, which works offline; or None for
            `"inception"` if its weights are on this machine, else `"efficientnet_lite0"`. The name
            stands in the name of every metric.

    Raises:
        FileNotFoundError, ImportError: if weights are missing; the message says how to get them.
    """
    states = random.getstate(), np.random.get_state()
    try:
        return _get(identifier)
    finally:  # layers draw seeds as they are made, which must not change a training
        random.setstate(states[0])
        np.random.set_state(states[1])


def _get(identifier):
    if identifier is None:
        identifier = "inception" if inception.local_path() else "efficientnet_lite0"
    if isinstance(identifier, Extractor):
        return identifier
    name, _, path = str(identifier).partition(":")
    if name == "inception":
        return inception.extractor(path or None)
    if identifier == "efficientnet_lite0":
        return efficientnet_lite0.extractor()
    saved = name.endswith(".keras") and os.path.exists(name)
    if saved or isinstance(identifier, keras.Model):
        return Extractor.from_model(identifier)
    raise ValueError(
        f"An extractor must be one of {', '.join(NAMES)} (the first also with a path, as in "
        "'inception:some/folder'), a keras.Model, the path of a saved one (*.keras), or an "
        f"Extractor. Received: {identifier!r}"
    )


__all__ = ["NAMES", "Extractor", "get"]
