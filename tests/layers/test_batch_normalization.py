"""Against Keras's layer; what is held stays to the last bit."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_uai.layers import BatchNormalization, statistics_held
from tests.testing import array, same_bits


@pytest.fixture
def layers():
    arguments = {"momentum": 0.9, "epsilon": 1e-5}
    pair = BatchNormalization(**arguments), keras.layers.BatchNormalization(**arguments)
    for layer in pair:
        layer.build((None, 4, 4, 3))
    return pair


def batch(seed):
    return ops.convert_to_tensor(
        np.random.default_rng(seed).normal(2.0, 3.0, (5, 4, 4, 3)).astype("float32")
    )


def test_it_is_keras_layer(layers):
    ours, theirs = layers
    for training in (True, False):
        same_bits(
            array(ours(batch(0), training=training)), array(theirs(batch(0), training=training))
        )
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        same_bits(a, b)
    assert ours.get_config() == {**theirs.get_config(), "name": ours.name}


def test_held_statistics_stay_and_the_batch_is_normalised_by_its_own(layers):
    ours, theirs = layers
    before = ours.get_weights()
    with statistics_held():
        with statistics_held():
            held = ours(batch(1), training=True)
        ours(batch(2), training=True)
    for a, b in zip(ours.get_weights(), before, strict=True):
        same_bits(a, b)
    same_bits(array(held), array(theirs(batch(1), training=True)))
    ours(batch(1), training=True)
    assert np.abs(ours.get_weights()[2] - before[2]).max() > 0.05
    assert ours.get_config()["momentum"] == 0.9
