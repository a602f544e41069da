"""Keras's backend, imported before all else; and TensorFlow, for what only it can do, wherever it is asked for."""

import importlib.util

try:
    import keras
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] != "tensorflow":
        raise
    raise ImportError(
        "Keras runs on TensorFlow unless told otherwise, and TensorFlow is not installed here. "
        "Set the variable KERAS_BACKEND=jax, or install TensorFlow."
    ) from error


def has_tensorflow():
    """Whether it is installed."""
    return importlib.util.find_spec("tensorflow") is not None


def has_accelerator():
    """Whether the backend computes on something else than processor cores."""
    return bool(accelerators())


def accelerators():
    """Names of the devices that the backend sees beside processor cores."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        devices = [d for d in tf.config.list_physical_devices() if d.device_type != "CPU"]
        return [details(device).get("device_name", device.name) for device in devices]
    import jax

    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]


def tensorflow(what):
    """The module `tensorflow`.

    Args:
        what: what it is needed for, as a message begins: "A SavedModel is run by TensorFlow".

    Raises:
        ImportError: it is not installed; the message says what to do.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            f"{what}, which is not installed here. In an environment with it (pip install .) the same command works: "
            "what was trained on JAX is read there unchanged."
        ) from error
    return tf
