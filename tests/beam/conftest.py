"""The tiny export that the tests of clients use, too."""

from tests.serving.conftest import exported, tiny  # noqa: F401 (fixtures)
