"""An export answers as the Keras model does."""

import numpy as np
import pytest

from tests.testing import observations, tiny_uai

tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def model():
    return tiny_uai(generator={"predicts_mean": True})


@pytest.fixture(scope="module")
def signatures(model, tmp_path_factory):
    path = model.export(tmp_path_factory.mktemp("export") / "faces" / "serving" / "1", encode=True)
    loaded = tf.saved_model.load(path)
    signatures = loaded.signatures
    signatures.keep_alive = loaded
    return signatures


def test_the_samples_and_the_mean_are_the_models(model, signatures):
    y, mask = observations(model.measurement, 3)
    found = signatures["serving_default"](
        image=tf.constant(y), mask=tf.constant(mask),
        seed=tf.constant([5, -6, 2**40], "int64"), num_samples=tf.constant([2, 1, 2]),
    )  # fmt: skip
    wanted = model.inpaint(y, mask, 2, [5, -6, 2**40])
    np.testing.assert_allclose(found["samples"], wanted, atol=1e-5)
    np.testing.assert_allclose(found["mean"], model.mean(y, mask), atol=1e-5)
    deviation = wanted.std(axis=1, ddof=1).mean(axis=-1)
    deviation[1] = 0  # one sample was asked for
    np.testing.assert_allclose(found["std"], deviation, atol=1e-5)
