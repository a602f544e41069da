"""The training step of the backend in use."""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_uai.models.tensorflow_trainer import compile_function, test_step, train_step
elif keras.backend.backend() == "jax":
    from keras_uai.models.jax_trainer import compile_function, test_step, train_step
else:
    raise ImportError(
        "keras_uai trains on the backends tensorflow and jax. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )

__all__ = ["compile_function", "test_step", "train_step"]
