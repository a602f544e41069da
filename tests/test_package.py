"""Importing the package is quick: what is large and optional is imported where it is used."""

import pytest

import keras_uai
from tests.testing import run_python


def test_import_brings_in_nothing_large():
    run_python(
        "import sys, keras_uai\n"
        "heavy = ['tensorflow_datasets', 'tensorflow_probability', 'tensorflow_gan', 'tf_keras', "
        "'tensorflow_hub', 'matplotlib', 'lmdb', 'apache_beam', 'gradio', "
        "'keras_uai.datasets', 'keras_uai.metrics', 'keras_uai.callbacks', 'keras_uai.serving']\n"
        "found = [name for name in heavy if name in sys.modules]\n"
        "assert not found, found"
    )


def test_import_costs_little_beyond_keras():
    """In modules, not in seconds: the package adds itself and little else to what Keras loads."""
    added = run_python(
        "import sys, keras\n"
        "before = set(sys.modules)\n"
        "import keras_uai\n"
        "print(*(set(sys.modules) - before))"
    ).split()
    assert len([name for name in added if not name.startswith("keras_uai")]) < 30, sorted(added)


def test_everything_that_is_announced_is_there():
    for name in keras_uai.__all__:
        if name not in keras_uai._LAZY:
            assert getattr(keras_uai, name) is not None
    assert set(keras_uai.__all__) <= set(dir(keras_uai))
    for module in (keras_uai.layers, keras_uai.losses, keras_uai.measurements, keras_uai.models):
        assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = keras_uai.nonsense


def test_version_is_a_release_number():
    assert all(part.isdigit() for part in keras_uai.__version__.split("."))
