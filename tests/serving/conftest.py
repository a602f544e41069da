"""One tiny export for all tests of what serves, and of clients."""

import pytest

from keras_uai.serving import Limits
from tests.testing import tiny_uai

#: Small enough to be reached.
LIMITS = Limits(max_samples=4, max_bytes=20_000, max_pixels=4_000, max_answer_pixels=40_000)


@pytest.fixture(scope="package")
def tiny():
    """The model that is exported: it predicts a mean, and its losses train E."""
    model = tiny_uai(generator={"predicts_mean": True})
    model.compile()
    return model


@pytest.fixture(scope="package")
def exported(tiny, tmp_path_factory):
    """The folder of the versions of its export."""
    folder = tmp_path_factory.mktemp("exports") / "tiny"
    tiny.export(folder / "1", limits=LIMITS)
    return folder


@pytest.fixture(scope="package")
def serve(exported):
    """`serve(signature, **arrays)`: the answer of its signatures, as numpy arrays."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exported / "1"))

    def call(signature, **arrays):
        function = loaded.signatures[signature]
        specs = function.structured_input_signature[1]
        feed = {name: tf.constant(value, specs[name].dtype) for name, value in arrays.items()}
        return {name: value.numpy() for name, value in function(**feed).items()}

    return call
