"""One tiny export for all tests of clients."""

import pytest

from keras_uai.serving import Limits
from tests.testing import tiny_uai

#: Small enough to be reached.
LIMITS = Limits(max_samples=4, max_bytes=20_000, max_pixels=4_000)


@pytest.fixture(scope="package")
def tiny():
    """The model that is exported."""
    return tiny_uai()


@pytest.fixture(scope="package")
def exported(tiny, tmp_path_factory):
    """The folder of the versions of its export."""
    folder = tmp_path_factory.mktemp("exports") / "tiny"
    tiny.export(folder / "1", limits=LIMITS)
    return folder
