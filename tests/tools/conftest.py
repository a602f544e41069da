"""One tiny export for the tests of commands that take a model."""

import pytest

from tests.testing import tiny_uai


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The folder of the versions of an export."""
    folder = tmp_path_factory.mktemp("exports") / "tiny"
    model = tiny_uai(image_shape=(None, None, 3), networks={"levels": 1})
    model.compile()
    model.export(folder / "1")
    return folder
