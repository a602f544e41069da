"""Two replicas of a strategy against one device: positions, statistics, and refused optimizers."""

import json

import keras
import numpy as np
import pytest

from keras_uai import distribute, layers
from tests.testing import noise, run_python


def measure():
    """Run in a process of its own, whose TensorFlow has two logical devices. Returns a dict."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    x = 2 + 3 * noise(7, 4, 5, 3)
    parts = iter([x[:4], x[4:]])
    batch = strategy.experimental_distribute_values_from_function(lambda _: next(parts))
    with strategy.scope():
        norm = layers.BatchNormalization()
        norm.build((None, None, None, 3))
        inside = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        optimizer = keras.optimizers.SGD()
        clipping = keras.optimizers.SGD(clipnorm=1.0)
        outer = distribute.batch_slice(5)

    @tf.function(autograph=False)
    def step(x):
        first, share = distribute.batch_slice(tf.shape(x)[0])
        with layers.freeze_batch_statistics():
            norm(10 * x, training=True)
        flags = distribute.any_replica(first > 0), distribute.any_replica(first > 9)
        return first, share, *flags, norm(x, training=True)

    *values, normalized = (
        strategy.experimental_local_results(v) for v in strategy.run(step, (batch,))
    )
    outside = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with strategy.scope():
        outside.compile()  # its strategy is then the scope's
        scaled = keras.optimizers.LossScaleOptimizer(clipping)
    refused = {}
    for name, model, used in (
        ("fine", inside, optimizer),
        ("model outside", outside, optimizer),
        ("optimizer outside", inside, keras.optimizers.SGD()),
        ("clip", inside, clipping),
        ("scaled clip", inside, scaled),
    ):
        try:
            with strategy.scope():
                distribute.check_compile(model, [used])
        except ValueError as error:
            refused[name] = str(error)
    return {
        "values": [[float(v) for v in pair] for pair in values],
        "normalized": np.concatenate(normalized).tolist(),
        "statistics": [w.tolist() for w in norm.get_weights()[2:]],
        "refused": refused,
        "outer": outer,
    }


@pytest.fixture(scope="module")
def measured():
    code = "import json; from tests import test_distribute as t; print(json.dumps(t.measure()))"
    return json.loads(run_python(code).splitlines()[-1])


def test_each_replica_knows_its_part(measured):
    first, share, found, missing = measured["values"]
    assert first == [0, 4]
    assert share == pytest.approx([4 / 7, 3 / 7])
    assert (found, missing) == ([True, True], [False, False])
    assert measured["outer"] == [0, 1.0]  # in the scope, but not on a replica


def test_batch_normalization_takes_the_statistics_of_all_replicas(measured):
    """And a frozen pass on one replica leaves them on all."""
    x, layer = (
        2 + 3 * noise(7, 4, 5, 3),
        keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
    )
    np.testing.assert_allclose(measured["normalized"], layer(x, training=True), atol=1e-5)
    for a, b in zip(measured["statistics"], layer.get_weights()[2:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_models_that_could_not_train_as_one_device_are_refused(measured):
    refused = measured["refused"]
    assert set(refused) == {"model outside", "optimizer outside", "clip", "scaled clip"}
    assert "created outside of the scope" in refused["model outside"]
    assert "created outside of the scope" in refused["optimizer outside"]
    for name in ("clip", "scaled clip"):
        assert "Received: SGD(clipnorm=1.0) on 2 replicas" in refused[name]


def test_one_device_has_the_whole_batch():
    assert distribute.num_replicas() == 1
    assert distribute.batch_slice(8) == (0, 1.0)
    distribute.check_compile(keras.Sequential(), [keras.optimizers.SGD(clipnorm=1.0)])
