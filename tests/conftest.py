"""Settings of every test: no start-up messages of TensorFlow, and reproducible initial weights."""

import ctypes
import gc
import os
import random
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import keras
import numpy as np
import pytest

from tests import testing

#: Folders and files that `--quick` leaves out: trainings, commands, servers, other backends.
SLOW = {
    "training", "tools", "models", "integration", "experiments", "serving", "sampling", "presets",
    "fields", "test_backends.py", "test_examples.py", "test_larger_than_memory.py", "test_engines.py",
    "test_distribute.py", "test_commands.py", "test_tools.py", "test_predictors.py", "extractors",
    "test_baselines.py", "test_tfgan.py",
}  # fmt: skip
#: Of these, what tells most in little time.
TELLING = {"test_uai.py", "test_batches.py"}


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="Run the long versions of tests.")
    parser.addoption("--quick", action="store_true", help="Leave out what takes minutes.")


def pytest_ignore_collect(collection_path, config):
    """Files are not even imported."""
    path = collection_path.relative_to(config.rootpath)
    slow = config.getoption("quick") and not SLOW.isdisjoint(path.parts)
    return True if slow and path.suffix and path.name not in TELLING else None


def pytest_configure(config):
    """Sets the number of cases of a property: ten properties have 500; with `--long` 10,000."""
    hypothesis.settings.register_profile(
        "keras_uai",
        max_examples=1000 if config.getoption("long") else 50,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("keras_uai")


def pytest_collection_finish():
    """What is imported stays: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def pytest_collection_modifyitems(items):
    """Begins with the folders of slow files, so that no process is left with one at the end."""
    slow = {"training", "tools", "models", "integration", "experiments"}
    items.sort(key=lambda item: slow.isdisjoint(item.path.parts))


@pytest.fixture(scope="session")
def long(request):
    """Returns whether the long versions of tests run."""
    return request.config.getoption("long")


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


@pytest.fixture
def eagerly():
    """See `tests.testing.eagerly`."""
    with testing.eagerly():
        yield


@pytest.fixture(scope="module", autouse=True)
def _free_memory():
    """Ends the functions of a file's models with the file, and returns their memory."""
    yield
    keras.utils.clear_session()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
