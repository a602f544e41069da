"""The examples in the docstrings of callbacks and metrics run as they stand."""

import doctest
import importlib
import pkgutil

import pytest

import keras_uai
from keras_uai import callbacks, metrics

MODULES = [
    name
    for package in (callbacks, metrics)
    for name in (
        package.__name__,
        *(m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")),
    )
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs={"keras_uai": keras_uai}, verbose=False)
    assert found.failed == 0
    if name in ("keras_uai.callbacks", "keras_uai.metrics.evaluation", "keras_uai.metrics.scores"):
        assert found.attempted > 2
