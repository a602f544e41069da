"""Program of `test_distribution`: trains on one device and on two, in one process.

TensorFlow uses a MirroredStrategy of two logical devices, JAX a DataParallel of two host devices.
Prints a JSON dict of `{case: {name: largest difference}}`.
"""

import contextlib
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"  # JAX's devices

import keras
import numpy as np

from keras_uai import models
from tests.testing import observations, tiny, tiny_uai

ON_JAX = keras.backend.backend() == "jax"
SMALL = {"width": 4, "max_width": 4}


def descent():
    return [keras.optimizers.SGD(0.05, momentum=0.5) for _ in range(2)]


def splitting():
    """Returns a model with batch norm, splitting and two parts per batch; and a batch size.

    It skips its second batch, which is not finite where the second device computes.
    """
    networks = {**SMALL, "normalization": "batch"}
    model = tiny(models.Splitting, networks=networks, ema_decay=0.9, values="float32")
    model.compile(*descent(), gradient_accumulation_steps=2, skip_nonfinite=True)
    return model, 8


def adversarial():
    """Returns a model with two losses, z and fresh masks, and a batch size."""
    model = tiny_uai(networks=SMALL)
    model.compile(*descent(), loss_weights={"z": 0.0, "y": 0.0})
    return model, 8


def images(model, count):
    y, mask = observations(model.measurement, count)
    return {"observation": y, "mask": mask, "clean": np.clip(y + 0.1, -1.0, 1.0)}


def train(make, scope, further=False):
    """Returns weights and logs of a training and, if `further`, scores and predictions after it."""
    keras.utils.set_random_seed(0)
    with scope():
        model, size = make()
        # On one device three steps take less time than a graph of them.
        model.run_eagerly = scope is contextlib.nullcontext and not ON_JAX
        initial = [w.copy() for w in model.get_weights()]
    with scope() if ON_JAX else contextlib.nullcontext():
        # On TensorFlow the last batch has 7 images, of which the replicas get 4 and 3.
        count = 3 * size - (further and not ON_JAX)
        data = images(model, count)
        if model.skip_nonfinite:
            data["observation"][2 * size - 1] *= 1e38
        history = model.fit(data, batch_size=size, shuffle=False, verbose=0)
        result = {"initial": initial, "weights": model.get_weights()}
        result["logs"] = {n: v[0] for n, v in history.history.items() if n != "std"}
        if further:  # on TensorFlow the last batch has one image, and the second replica has none
            rest = images(model, 2 * size if ON_JAX else size + 1)
            scores = model.evaluate(rest, batch_size=size, verbose=0, return_dict=True)
            result["evaluate"] = {n: v for n, v in scores.items() if n != "std"}
            result["predict"] = model.predict(rest, batch_size=size, verbose=0)
    return result


def difference(a, b):
    """Returns the largest absolute difference of two nested structures."""
    pairs = zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True)
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in pairs)


def refused(scope):
    """Returns the messages for models that could not train as one device does."""
    messages = {}
    with scope():
        model = tiny(models.Splitting, networks=SMALL)
    for name, where, arguments in (
        ("outside", contextlib.nullcontext, {}),
        ("clip", scope, {"optimizer": lambda: keras.optimizers.SGD(0.1, clipnorm=1.0)}),
    ):
        with where():
            try:
                model.compile(**{n: make() for n, make in arguments.items()})
            except ValueError as error:
                messages[name] = str(error)
    return messages


def two_devices():
    """Returns a function that makes the scope of two devices."""
    if ON_JAX:
        return keras.distribution.DataParallel().scope
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]).scope


def main():
    scope = two_devices()
    found = {} if ON_JAX else {"refused": refused(scope)}
    for make in (splitting, adversarial):
        one, two = (
            train(make, where, further=make is adversarial)
            for where in (contextlib.nullcontext, scope)
        )
        found[make.__name__] = {name: difference(one[name], two[name]) for name in one}
        found[make.__name__]["moved"] = difference(one["initial"], one["weights"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
