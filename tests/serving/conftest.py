"""Tiny exports for all tests of serving: of a model of any size, and of one with a fixed layout."""

import functools

import keras
import numpy as np
import pytest

from keras_uai.models import UAI
from keras_uai.serving import Limits
from tests import forks
from tests.testing import ROOT

#: Small enough to be reached.
LIMITS = Limits(max_samples=4, max_pixels=4_000, max_answer_pixels=40_000)


def tiny_model(shape=(None, None, 3), measurement="DropPixel(0.5)", **changes):
    """A model of two levels that predicts a mean and has noise fields; no weight is 0."""
    small = {"width": 8, "max_width": 8, "levels": 2, "attention_level": None}
    generator = small | {"input_fill": "push_pull", "predicts_mean": True, "noise_channels": 1}
    generator |= changes.pop("generator", {})
    keras.utils.set_random_seed(0)
    model = UAI(
        shape, measurement, latent_dim=6, generator=generator, discriminator=small,
        encoder={"width": 8, "max_width": 8, "levels": 2}, **changes,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    for network in filter(None, (model.generator, model.ema_generator)):
        for weight in network.weights:
            noise = 0.1 * rng.normal(size=weight.shape)
            weight.assign(weight + (np.abs(noise) if "variance" in weight.path else noise))
    return model


@pytest.fixture(scope="package", autouse=True)
def _loaded_once():
    """A SavedModel is loaded once in a process; loading and the first request take seconds."""
    tf = pytest.importorskip("tensorflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.saved_model, "load", functools.lru_cache(tf.saved_model.load))
        yield


@pytest.fixture(scope="package")
def tiny():
    """The model of any size that is exported."""
    return tiny_model()


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
def exporting(fixed, tmp_path_factory):
    """`(process, folder)` of tools/export with kernels in float16."""
    where = tmp_path_factory.mktemp("exports")
    fixed.save(where / "fixed.keras")
    flags = [f"--{name}={value}" for name, value in vars(LIMITS).items()]
    flags += ["--model=fixed.keras", "--out=models/fixed", "--weights=float16"]
    done = forks.run(ROOT / "tools/export", *flags, cwd=where)
    return done, where / "models" / "fixed"


@pytest.fixture(scope="package")
def exported_fixed(exporting):
    """The folder of the versions of the export of `fixed`."""
    return exporting[1]


def session_call(folder):
    """`call(signature, **arrays)` of a SavedModel in a session, as a model server runs it.

    Like a server, it does not compare shapes with the signature: the graph has to.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        found = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))

    @functools.cache
    def function(signature):
        tensors = found.signature_def[signature]
        options = config_pb2.CallableOptions(
            feed=[tensor.name for tensor in tensors.inputs.values()],
            fetch=[tensor.name for tensor in tensors.outputs.values()],
        )
        return tensors, session._make_callable_from_options(options)

    def call(signature, **arrays):
        tensors, run = function(signature)
        feed = [
            np.array(arrays[name], tf.as_dtype(tensor.dtype).as_numpy_dtype)
            for name, tensor in tensors.inputs.items()
        ]
        return dict(zip(tensors.outputs, run(*feed), strict=True))

    return call


@pytest.fixture(scope="package")
def serve(exported):
    """The signatures of the export, in a session."""
    return session_call(exported / "1")
