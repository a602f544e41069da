"""What Keras's `fit` needs on TensorFlow so that it is right over several replicas, and works over several workers."""

import tensorflow as tf

_PACKED = "packed"


class FitOnReplicas:
    """Mixed in before `keras.Model`."""

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: all is built in the constructor.

        Keras would take a first batch off the data here, which counts as an epoch of ours, and fails to average it over
        workers.
        """

    def _make_function(self, step_function):
        """Keras's; over several workers the logs travel as one vector of shape (1, n).

        Keras averages what a step returns along axis 0 there, one collective operation a value, which fails for
        scalars.
        """
        strategy = self.distribute_strategy
        workers = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if not workers or not strategy.extended._in_multi_worker_mode():
            return super()._make_function(step_function)
        names = []

        def packed_step(data):
            logs = step_function(data)
            names[:] = logs
            return {_PACKED: tf.stack([tf.cast(v, "float32") for v in logs.values()])[None]}

        function = super()._make_function(packed_step)

        def unpacked(iterator):
            packed = function(iterator)[_PACKED]
            return dict(zip(names, tf.unstack(packed, num=len(names)), strict=True))

        return unpacked

    def _get_metrics_result_or_logs(self, logs):
        """At the end of an epoch: means over all replicas and steps, of what was logged."""
        return {name: self.trackers[name].result() for name in logs}
