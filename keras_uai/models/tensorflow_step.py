"""The training step on TensorFlow: one tape over a shared forward pass, both players' gradients from it."""

import tensorflow as tf


class TrainStep:
    """`train_step` and `test_step` of `InpaintingModel` (mixed in before `keras.Model`)."""

    def train_step(self, data):
        batch = self.unpack(data, training=True)
        count = tf.shape(batch["y"])[0]
        keys = self.step_keys(count)
        if self.micro_batches == 1:
            gradients, logs = self._gradients(batch, keys)
        else:
            gradients, logs = self._accumulate(batch, keys, count)
        self._apply(gradients)
        self.after_update()
        return self.track(logs)

    def test_step(self, data):
        batch = self.unpack(data)
        return self.track(self.score(batch, self.evaluation_keys(tf.shape(batch["y"])[0])))

    def _sides(self):
        """`(optimizer, variables)` of each player that has something to move."""
        sides = [
            (self.discriminator_optimizer, self.discriminator_side()),
            (self.optimizer, self.generator_side()),
        ]
        return [
            (optimizer, [v for network in side for v in network.trainable_variables])
            for optimizer, side in sides
        ]

    def _gradients(self, batch, keys):
        """Gradients of `(d_loss, g_loss)` with respect to their own side's variables only, and the logs."""
        sides = self._sides()
        with tf.GradientTape(persistent=True) as tape:
            *totals, logs = self.objective(batch, keys, training=True)
            scaled = [
                optimizer.scale_loss(loss)
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

    def _accumulate(self, batch, keys, count):
        """Means over `micro_batches` equal parts of the batch; memory holds one part's activations at a time."""
        parts = self.micro_batches
        tf.debugging.assert_equal(
            count % parts,
            0,
            f"The batch must be a multiple of micro_batches={parts} (drop the remainder).",
        )
        stacked = tf.nest.map_structure(
            lambda v: tf.reshape(v, tf.concat([[parts, count // parts], tf.shape(v)[1:]], 0)),
            {**batch, "keys": keys},
        )
        shapes = {name: v.shape[1:] for name, v in batch.items()} | {"keys": keys.shape[1:]}

        def micro(index):
            part = {
                name: tf.ensure_shape(v[index], [None, *shapes[name]])
                for name, v in stacked.items()
            }
            return self._gradients({n: v for n, v in part.items() if n != "keys"}, part["keys"])

        def body(index, total):
            return index + 1, tf.nest.map_structure(tf.add, total, micro(index))

        _, total = tf.while_loop(
            lambda index, _: index < parts, body, (tf.constant(1), micro(0)), parallel_iterations=1
        )
        return tf.nest.map_structure(lambda v: v / parts, total)

    def _apply(self, gradients):
        for (optimizer, variables), side in zip(self._sides(), gradients, strict=True):
            if variables:
                optimizer.apply(side, variables)

    def compile_function(self, function):
        """`function` as a graph; a batch of another size traces once more."""
        return tf.function(function, autograph=False, reduce_retracing=True)
