"""A SavedModel on this machine, run by TensorFlow."""

import os

from keras_uai import backend
from keras_uai.serving import errors

_RUN = "A SavedModel is run by TensorFlow"


class Local:
    """The signatures of a SavedModel's folder.

    Args:
        path: such as `NAME/serving/1`.

    Raises:
        ValueError: the folder cannot be loaded.
    """

    concurrency = 1  # TensorFlow uses all cores for one request

    def __init__(self, path):
        tf = backend.tensorflow(_RUN)
        self.where = path = os.fspath(path)
        try:
            self._module = tf.saved_model.load(path)
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                f"This folder holds no SavedModel that can be loaded: {error}. Received: {path}"
            ) from error

    def call(self, signature, inputs, timeout):
        """Outputs of a signature as arrays; the time-out does not hold on this machine."""
        tf = backend.tensorflow(_RUN)
        if signature not in self._module.signatures:
            raise errors.RefusedError(
                f"The model has the signatures {sorted(self._module.signatures)}. "
                f"Received: {signature!r} of {self.where}"
            )
        function = self._module.signatures[signature]
        specs = function.structured_input_signature[1]
        try:
            feed = {name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()}
            return {name: value.numpy() for name, value in function(**feed).items()}
        except (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError) as error:
            raise errors.RefusedError(errors.refusal(error.message)) from error
        except tf.errors.ResourceExhaustedError as error:
            raise errors.RefusedError(
                f"This machine has too little memory for the request: {error.message.splitlines()[0]}"
            ) from error

    def close(self):
        self._module = None
