"""Base class of the callbacks: when they run, and which models they take."""

import keras

from keras_uai.checks import check_integer


class Periodic(keras.callbacks.Callback):
    """Runs after the first epoch of a `fit`, after every `every`-th epoch, and after the last.

    The first run gives callbacks that remember the best value (EarlyStopping, ModelCheckpoint) a
    number to begin with.
    """

    def __init__(self, every=1):
        super().__init__()
        self.every = check_integer(type(self).__name__, "every", every, 1)
        self._first = None

    def set_model(self, model):
        if not callable(getattr(model, "inpaint", None)):
            raise TypeError(
                f"{type(self).__name__} needs a model with inpaint(y, mask, num_samples, seed), as "
                f"those of keras_uai.models. Received: a {type(model).__name__} without `inpaint`"
            )
        super().set_model(model)

    def on_train_begin(self, logs=None):
        self._first = None

    def is_due(self, epoch):
        """Returns whether to run after this epoch, counted from 0."""
        if self._first is None:
            self._first = epoch
        last = (self.params or {}).get("epochs")
        return epoch == self._first or (epoch + 1) % self.every == 0 or epoch + 1 == last
