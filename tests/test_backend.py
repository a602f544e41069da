"""What is said where TensorFlow is not installed."""

import sys

import pytest

from keras_uai import backend
from tests.testing import run_python


def test_the_default_backend_is_not_installed():
    said = run_python(
        "import sys\nsys.modules['tensorflow'] = None\n"
        "try:\n    import keras_uai\nexcept ImportError as error:\n    print(error)",
        KERAS_BACKEND="tensorflow",
    )
    assert "KERAS_BACKEND=jax" in said


def test_what_only_tensorflow_can_do(monkeypatch):
    assert backend.tensorflow("This is written by TensorFlow").__name__ == "tensorflow"
    assert backend.has_tensorflow()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert not backend.has_tensorflow()
    with pytest.raises(
        ImportError, match=r"This is written by TensorFlow, which is not installed.*JAX"
    ):
        backend.tensorflow("This is written by TensorFlow")
