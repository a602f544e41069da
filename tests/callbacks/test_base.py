"""Schedules of callbacks, and errors for models that cannot be sampled."""

import keras
import pytest

from keras_uai.callbacks.base import Periodic
from tests.callbacks.toy import Toy


@pytest.mark.parametrize(
    ("every", "epochs", "due"),
    [
        (1, range(3), [0, 1, 2]),
        (2, range(5), [0, 1, 3, 4]),
        (4, range(3), [0, 2]),
        (3, range(6), [0, 2, 5]),
        (3, range(4, 10), [4, 5, 8, 9]),
    ],
)
def test_the_first_every_nth_and_the_last_epoch(every, epochs, due):
    callback = Periodic(every)
    callback.set_params({"epochs": epochs[-1] + 1})
    for _ in range(2):
        callback.on_train_begin()
        assert [epoch for epoch in epochs if callback.is_due(epoch)] == due


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_every_is_a_positive_integer(every):
    with pytest.raises(ValueError, match="`every` must be an integer of at least 1"):
        Periodic(every)


def test_a_model_must_inpaint():
    Periodic().set_model(Toy())
    with pytest.raises(TypeError, match=r"Received: a Sequential without `inpaint`"):
        Periodic().set_model(keras.Sequential())
