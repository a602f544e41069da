"""Prior and posterior of the latent as distributions of TensorFlow Probability."""

import keras
from keras import ops


class LatentDistributionsMixin:
    """`prior` and `posterior`, for a model with an encoder E and `latent_dim`."""

    @property
    def prior(self):
        """`p_z` of the global latent, a TensorFlow Probability distribution with event shape `(latent_dim,)`."""
        return _gaussian(ops.zeros((self.latent_dim,)), ops.ones((self.latent_dim,)))

    def posterior(self, y, mask=None):
        """`E(y)` as a TensorFlow Probability distribution, batch shape `(N,)`, event shape `(latent_dim,)`."""
        y, mask = self._check_images(y, mask)
        mean, log_variance = self.encoder.encode(y, mask)
        return _gaussian(mean, ops.exp(0.5 * log_variance))

    def __dir__(self):
        """Without `prior`: Keras reads all that `dir` names when it saves, and would import TFP each time."""
        return [name for name in super().__dir__() if name != "prior"]


def _gaussian(mean, scale):
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "`prior` and `posterior` are TensorFlow Probability distributions and need the TensorFlow backend. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}. Use `encoder.encode` for mean and log-variance."
        )
    import tensorflow_probability as tfp

    return tfp.distributions.MultivariateNormalDiag(mean, scale)
