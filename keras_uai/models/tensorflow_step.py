"""The training step on TensorFlow: one tape over a shared forward pass, both players' gradients from it."""

import keras
import tensorflow as tf

from keras_uai import replicas
from keras_uai.models.tensorflow_fit import FitOnReplicas


class TrainStep(FitOnReplicas):
    """`train_step` and `test_step` of `InpaintingModel` (mixed in before `keras.Model`).

    On several replicas of a `tf.distribute` strategy each runs this on its part of the global batch, and together they
    do what one device does with the whole: the noise of an image is that of its place in the global batch, losses are
    weighed by the parts' shares and gradients summed, batch norm takes its statistics from all parts. (Two things stay
    within a part: which images `"marginal"` pairs, and `std` in the logs, a root of means.)
    """

    def train_step(self, data):
        batch = self.unpack(data, training=True)
        count = tf.shape(batch["y"])[0]
        first, share = self._place(count)
        keys = self.step_keys(count, first)
        if self.micro_batches == 1:
            gradients, logs = self._gradients(batch, keys, share)
        else:
            gradients, logs = self._accumulate(batch, keys, count, share)
        self._apply(gradients)
        self.after_update()
        return self.track(logs, share)

    def test_step(self, data):
        batch = self.unpack(data)
        images = count = tf.shape(batch["y"])[0]
        first, _ = replicas.place(count)
        if replicas.count() > 1:
            batch = tf.nest.map_structure(_at_least_one, batch)
            count = tf.maximum(count, 1)
        return self.track(self.score(batch, self.evaluation_keys(count, first)), images)

    def predict_step(self, data):
        if replicas.count() == 1:
            return super().predict_step(data)
        count = tf.shape(tf.nest.flatten(data)[0])[0]
        return super().predict_step(tf.nest.map_structure(_at_least_one, data))[:count]

    @staticmethod
    def _place(count):
        """`replicas.place` of a part of a training batch, which must not be empty."""
        if replicas.count() > 1:
            message = "A batch must have an image for each replica. Drop the remainder."
            tf.debugging.assert_positive(count, message)
        return replicas.place(count)

    def _gradients(self, batch, keys, share=1.0):
        """Gradients of `(d_loss, g_loss)` with respect to their own side's variables only, and the logs.

        Losses count `share`: the gradients' sum over replicas is the gradient of the global batch.
        """
        sides = self.sides()
        with tf.GradientTape(persistent=True) as tape:
            *totals, logs = self.objective(batch, keys, training=True)
            scaled = [
                optimizer.scale_loss(loss * share)
                for (optimizer, _), loss in zip(sides, totals, strict=True)
            ]
        # Zeros where a term is off that alone reaches a weight: sums over micro-batches need numbers.
        zero = tf.UnconnectedGradients.ZERO
        gradients = [
            tape.gradient(loss, [v.value for v in variables], unconnected_gradients=zero)
            if variables
            else []
            for (_, variables), loss in zip(sides, scaled, strict=True)
        ]
        return gradients, logs

    def _accumulate(self, batch, keys, count, share):
        """Means over `micro_batches` equal parts of the batch; memory holds one part's activations at a time.

        Every K-th image belongs to a part, so that the parts are the same however the batch is spread over replicas.
        """
        parts = self.micro_batches
        tf.debugging.assert_equal(
            count % parts,
            0,
            f"The batch must be a multiple of micro_batches={parts} on every replica (drop the remainder).",
        )
        stacked = tf.nest.map_structure(
            lambda v: tf.reshape(v, tf.concat([[count // parts, parts], tf.shape(v)[1:]], 0)),
            {**batch, "keys": keys},
        )
        shapes = {name: v.shape[1:] for name, v in batch.items()} | {"keys": keys.shape[1:]}

        def micro(index):
            part = {
                name: tf.ensure_shape(v[:, index], [None, *shapes[name]])
                for name, v in stacked.items()
            }
            part_keys = part.pop("keys")
            return self._gradients(part, part_keys, share)

        def body(index, total):
            return index + 1, tf.nest.map_structure(tf.add, total, micro(index))

        if replicas.count() == 1:
            _, total = tf.while_loop(
                lambda index, _: index < parts,
                body,
                (tf.constant(1), micro(0)),
                parallel_iterations=1,
            )
        else:  # replicas cannot exchange statistics from within a loop
            total = micro(0)
            for index in range(1, parts):
                with tf.control_dependencies(tf.nest.flatten(total)):
                    _, total = body(index, total)
        return tf.nest.map_structure(lambda v: v / parts, total)

    def _apply(self, gradients):
        for (optimizer, variables), side in zip(self.sides(), gradients, strict=True):
            if variables:
                optimizer.apply(self._finite_together(optimizer, side), variables)

    @staticmethod
    def _finite_together(optimizer, side):
        """Gradients that are finite on all replicas or on none: each skips a step (of float16) by its own alone."""
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if replicas.count() == 1 or not scales:
            return side
        bad = replicas.any_of(tf.logical_not(optimizer.check_finite(side)))
        return [tf.where(bad, tf.cast(float("nan"), g.dtype), g) for g in side]

    def compile_function(self, function):
        """`function` as a graph; a batch of another size traces once more."""
        return tf.function(function, autograph=False, reduce_retracing=True)


def _at_least_one(v):
    """`v` `(N, ...)`, or one image of zeros where N is 0: of a small last batch nothing may be left for a replica."""
    missing = tf.maximum(0, 1 - tf.shape(v)[0])
    return tf.concat([v, tf.zeros(tf.concat([[missing], tf.shape(v)[1:]], 0), v.dtype)], 0)
