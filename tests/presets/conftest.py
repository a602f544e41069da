"""Models of these tests do not depend on TensorFlow's seed."""

from tests.serving.conftest import _same_start  # noqa: F401  keeps the shared model's functions
