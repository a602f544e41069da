"""Run by `test_distribution`: one device against a MirroredStrategy of two, in one process.

Prints a JSON dict of `{case: {what: numbers}}`.
"""

import contextlib
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from keras_uai import models
from tests.testing import observations, tiny, tiny_uai

SMALL = {"width": 4, "max_width": 4}


def batches(model, size, count, rest=0):
    y, mask = observations(model.measurement, size * count + rest)
    arrays = {"observation": y, "mask": mask, "clean": np.clip(y + 0.1, -1.0, 1.0)}
    return tf.data.Dataset.from_tensor_slices(arrays).batch(size)


def descent():
    return [keras.optimizers.SGD(0.05, momentum=0.5) for _ in range(2)]


def splitting():
    """Batch norm, and noise that hides pixels, in 2 micro-batches."""
    model = tiny(models.Splitting, networks={**SMALL, "normalization": "batch"}, average_decay=0.9)
    model.compile(*descent(), micro_batches=2, jit_compile=False)
    return model, batches(model, 8, 3)


def game():
    """Two players, z, fresh masks; batches of 7 images, of which the replicas get 4 and 3."""
    model = tiny_uai(networks=SMALL)
    model.compile(*descent(), loss_weights={"z": 0.0, "y": 0.0}, jit_compile=False)
    return model, batches(model, 7, 3)


def train(make, scope, further=False):
    """What training made of the weights, and what was logged, evaluated and predicted."""
    keras.utils.set_random_seed(0)
    with scope:
        model, data = make()
    begun = [w.copy() for w in model.get_weights()]
    history = model.fit(data, verbose=0).history
    result = {"begun": begun, "weights": model.get_weights()}
    result["logs"] = {name: values[0] for name, values in history.items() if name != "std"}
    if further:  # the last batch has one image: nothing is left for the second replica
        rest = batches(model, 7, 1, 1)
        result["evaluate"] = model.evaluate(rest, verbose=0, return_dict=True)
        result["predict"] = model.predict(rest, verbose=0)
    return result


def far(a, b):
    """Largest difference."""
    pairs = zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True)
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in pairs)


def refused(strategy):
    """What is said to models that could not train as one device."""
    said = {}
    with strategy.scope():
        model = tiny(models.Splitting, networks=SMALL)
    for name, scope, arguments in (
        ("outside", contextlib.nullcontext(), {}),
        ("clip", strategy.scope(), {"optimizer": lambda: keras.optimizers.SGD(0.1, clipnorm=1.0)}),
    ):
        with scope:
            try:
                model.compile(**{n: make() for n, make in arguments.items()})
            except ValueError as error:
                said[name] = str(error)
    return said


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    found = {"refused": refused(strategy)}
    for make in (splitting, game):
        one, two = (
            train(make, scope, further=make is game)
            for scope in (contextlib.nullcontext(), strategy.scope())
        )
        found[make.__name__] = {name: far(one[name], two[name]) for name in one}
        found[make.__name__]["moved"] = far(one["begun"], one["weights"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
