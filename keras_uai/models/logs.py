"""The numbers that a step logs, and their running means."""

import keras
from keras import ops


class Total(keras.metrics.Mean):
    """The sum of the values; of each step, the replicas' shares add up to one value."""

    def result(self):
        return ops.cast(self.total, self.dtype)


class RunningMeans:
    """Means over an epoch, by name.

    A plain object, since Keras accepts no new metrics in a model that is built, and the names
    depend on the loss weights of `compile`.
    """

    def __init__(self):
        self.means = {}

    def reset(self, names, skips=False):
        """Starts afresh with a mean for each of `names`, and the number `skipped` if steps are."""
        self.means = {name: keras.metrics.Mean(name=name) for name in dict.fromkeys(names)}
        if skips:
            self.means["skipped"] = Total(name="skipped")

    def update(self, logs, weight=None):
        """Adds `logs`, which count `weight` (1 by default), and returns the means so far.

        Where `logs["skipped"]` is 1, the other values do not count.
        """
        counted = dict(logs)
        skipped = counted.pop("skipped", None)
        if skipped is not None:
            self.means["skipped"].update_state(skipped, sample_weight=weight)
            counted = {name: ops.where(skipped > 0.0, 0.0, v) for name, v in counted.items()}
            weight = (1.0 if weight is None else weight) * (1.0 - skipped)
        for name, value in counted.items():
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
