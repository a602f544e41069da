"""Distributions of the latent in TensorFlow Probability."""

import keras


def gaussian(mean, scale):
    """Returns a diagonal Gaussian of TensorFlow Probability.

    Args:
        mean, scale: `(latent_dim,)` or `(N, latent_dim)`.

    Raises:
        RuntimeError: on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "`prior` and `posterior` need the TensorFlow backend; `encoder.encode` returns mean and "
            f"log-variance on any. Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    import tensorflow_probability as tfp

    return tfp.distributions.MultivariateNormalDiag(mean, scale)
