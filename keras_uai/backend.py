"""Keras's backend, imported before all else, and TensorFlow where nothing else will do."""

import importlib.util

try:
    import keras
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] != "tensorflow":
        raise
    raise ImportError(
        "Keras runs on TensorFlow by default, and TensorFlow is not installed here. Set the "
        "variable KERAS_BACKEND=jax, or install TensorFlow."
    ) from error


def check_settings():
    """Raises a ValueError where Keras's settings (`keras.json`) are not those of the models."""
    policy = keras.config.dtype_policy()
    mixed = policy.variable_dtype == "float32"  # mixed_bfloat16 and the like, too
    for name, value, wanted in (
        ("image_data_format", keras.config.image_data_format(), "channels_last"),
        ("floatx", keras.config.floatx(), "float32"),
        ("dtype_policy", "float32" if mixed else policy.name, "float32"),
    ):
        if value != wanted:
            raise ValueError(
                f"Keras's `{name}` must be {wanted!r}: call keras.config.set_{name}({wanted!r}) "
                "before a model is built, or mend ~/.keras/keras.json (less memory: the dtype "
                f"policies mixed_float16 and mixed_bfloat16). Received: {name}={value!r}"
            )


def has_tensorflow():
    """Returns whether TensorFlow is installed."""
    return importlib.util.find_spec("tensorflow") is not None


def accelerators():
    """Returns the names of the devices that the backend sees beside processor cores."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        devices = [d for d in tf.config.list_physical_devices() if d.device_type != "CPU"]
        return [details(device).get("device_name", device.name) for device in devices]
    import jax

    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]


def tensorflow(purpose):
    """Returns the module `tensorflow`.

    Args:
        purpose: the beginning of the message of an error: "A SavedModel is run by TensorFlow".

    Raises:
        ImportError: it is not installed; the message says what to do.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            f"{purpose}, which is not installed here. In an environment with it (pip install .) "
            "the same command works: models trained on JAX load there unchanged."
        ) from error
    return tf
