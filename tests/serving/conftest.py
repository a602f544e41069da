"""Tiny exports for all tests of serving: of a model of any size, and of one with a fixed layout."""

import functools

import numpy as np
import pytest

from keras_uai.models import UAI
from keras_uai.serving import Limits

#: Small enough to be reached.
LIMITS = Limits(max_samples=4, max_bytes=20_000, max_pixels=4_000, max_answer_pixels=40_000)


def tiny_model(shape=(None, None, 3), measurement="DropPixel(0.5)", **changes):
    """A model of two levels that predicts a mean and has noise fields."""
    small = {"width": 8, "max_width": 8, "levels": 2, "attention_level": None}
    generator = small | {"input_fill": "push_pull", "predicts_mean": True, "noise_channels": 1}
    generator |= changes.pop("generator", {})
    return UAI(
        shape, measurement, latent_dim=6, generator=generator, discriminator=small,
        encoder={"width": 8, "max_width": 8, "levels": 2}, **changes,
    )  # fmt: skip


@pytest.fixture(scope="package", autouse=True)
def _loaded_once():
    """A SavedModel is loaded once in a process; loading and the first request take seconds."""
    tf = pytest.importorskip("tensorflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.saved_model, "load", functools.lru_cache(tf.saved_model.load))
        yield


@pytest.fixture(scope="package")
def tiny():
    """The model of any size that is exported; its losses train E."""
    model = tiny_model()
    model.compile()
    return model


@pytest.fixture(scope="package")
def exported(tiny, tmp_path_factory):
    """The folder of the versions of its export."""
    folder = tmp_path_factory.mktemp("exports") / "tiny"
    tiny.export(folder / "1", limits=LIMITS)
    return folder


@pytest.fixture(scope="package")
def fixed():
    """A model of aligned 16 x 16 images."""
    return tiny_model((16, 16, 3))


@pytest.fixture(scope="package")
def exported_fixed(fixed, tmp_path_factory):
    """The folder of the versions of its export."""
    folder = tmp_path_factory.mktemp("exports") / "fixed"
    fixed.export(folder / "1", limits=LIMITS)
    return folder


def session_call(folder):
    """`call(signature, **arrays)` of a SavedModel in a session, as a model server runs it."""
    import tensorflow as tf

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        found = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))

    def call(signature, **arrays):
        tensors = found.signature_def[signature]
        feed = {
            tensors.inputs[n].name: np.array(v, tf.as_dtype(tensors.inputs[n].dtype).as_numpy_dtype)
            for n, v in arrays.items()
        }
        return session.run({n: t.name for n, t in tensors.outputs.items()}, feed)

    return call


@pytest.fixture(scope="package")
def serve(exported):
    """The signatures of the export, in a session that outlives a test's new seed."""
    return session_call(exported / "1")
