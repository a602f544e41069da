"""Settings of every test: no start-up messages of TensorFlow, and reproducible initial weights."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest


@pytest.fixture(autouse=True)
def _same_start():
    """Fresh Keras state and seeds; a policy or a flag that a test sets ends with it."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)
