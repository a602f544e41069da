"""The numbers that a step logs, and their running means."""

import keras
from keras import ops


class RunningMeans:
    """Means over an epoch, by name.

    A plain object, since Keras accepts no new metrics in a model that is built, and the names
    depend on the loss weights of `compile`.
    """

    def __init__(self):
        self.means = {}

    def reset(self, names):
        """Starts afresh with a mean for each of `names`."""
        self.means = {name: keras.metrics.Mean(name=name) for name in dict.fromkeys(names)}

    def update(self, logs, weight=None):
        """Adds `logs`, which count `weight` (1 by default), and returns the means so far."""
        for name, value in logs.items():
            self.means[name].update_state(value, sample_weight=weight)
        return {name: self.means[name].result() for name in logs}

    def result(self):
        """Returns the means of all names with a value since the last reset, over all replicas."""
        return {name: mean.result() for name, mean in self.means.items() if bool(mean.count > 0)}

    @property
    def metrics(self):
        """List of `keras.metrics.Mean`."""
        return list(self.means.values())


def pair_std(first, second, mask):
    """Computes the root mean variance of missing values, estimated from two samples per image."""
    missing = ops.broadcast_to(1.0 - mask, ops.shape(first))
    total = ops.sum(0.5 * ops.square(first - second) * missing)
    return ops.sqrt(total / ops.maximum(ops.sum(missing), 1.0) + 1e-12)
