"""Settings of every test: no start-up messages of TensorFlow, and reproducible initial weights."""

import os
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _same_start():
    """The same initial weights; a policy that a test sets ends with it.

    Keras takes the seeds of initializers from `random`. Its `clear_session` and `set_random_seed`
    would make TensorFlow optimize the functions of shared models again in every test.
    """
    random.seed(0)
    np.random.seed(0)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture(scope="module", autouse=True)
def _free_memory():
    """Ends the functions of a file's models with the file."""
    yield
    keras.utils.clear_session()
