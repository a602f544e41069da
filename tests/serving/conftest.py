"""One tiny export for all tests of what serves, and of clients."""

import numpy as np
import pytest

from keras_uai.serving import Limits
from tests.testing import tiny_uai

#: Small enough to be reached.
LIMITS = Limits(max_samples=4, max_bytes=20_000, max_pixels=4_000, max_answer_pixels=40_000)


@pytest.fixture(scope="package")
def tiny():
    """The model that is exported: it predicts a mean, attends (with a scalar weight), and its losses train E."""
    model = tiny_uai(generator={"predicts_mean": True, "attention_size": 4})
    for weight in model.generator.weights:
        if not weight.shape:  # the attention's share, 0 at first
            weight.assign(0.5)
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
    """`serve(signature, **arrays)`: the answer of its signatures, as numpy arrays.

    In a session, as a model server has it; what it has compiled also outlives a test's new seed.
    """
    import tensorflow as tf

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        found = tf.compat.v1.saved_model.load(session, ["serve"], str(exported / "1"))

    def call(signature, **arrays):
        tensors = found.signature_def[signature]
        feed = {
            tensors.inputs[n].name: np.array(v, tf.as_dtype(tensors.inputs[n].dtype).as_numpy_dtype)
            for n, v in arrays.items()
        }
        return session.run({n: t.name for n, t in tensors.outputs.items()}, feed)

    yield call
    session.close()
