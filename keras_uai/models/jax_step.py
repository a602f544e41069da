"""The training step on JAX: one `jax.vjp` of the shared forward pass, pulled back once a player."""

import jax
import jax.numpy as jnp
from keras import StatelessScope


class TrainStep:
    """`train_step` and `test_step` of `InpaintingModel` (mixed in before `keras.Model`).

    Keras hands the state over as lists of arrays. Inside a `StatelessScope` variables read and write these, so the
    update is the same code as on TensorFlow: optimizers, power iterations, average, counters.
    """

    @property
    def non_trainable_variables(self):
        """Also the second optimizer's variables, which Keras's JAX trainer would not carry through the step."""
        optimizer = vars(self).get("discriminator_optimizer")
        return super().non_trainable_variables + (list(optimizer.variables) if optimizer else [])

    def train_step(self, state, data):
        variables = self._state_variables()
        values = [value for part in state for value in part]
        with StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            batch = self.unpack(data, training=True)
            keys = self.step_keys(batch["y"].shape[0])
            gradients, logs = self._accumulate(batch, keys)
            for (optimizer, side), side_gradients in zip(self._sides(), gradients, strict=True):
                if side:
                    optimizer.apply(side_gradients, side)
            self.after_update()
            logs = self.track(logs)
        return logs, self._split_state(scope, variables, values, [len(part) for part in state])

    def test_step(self, state, data):
        trainable, non_trainable, metrics = state
        variables = [
            *self.trainable_variables,
            *self.non_trainable_variables,
            *self.metrics_variables,
        ]
        values = [*trainable, *non_trainable, *metrics]
        with StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            batch = self.unpack(data)
            logs = self.track(self.score(batch, self.evaluation_keys(batch["y"].shape[0])))
        return logs, self._split_state(scope, variables, values, [len(part) for part in state])

    def compile_function(self, function):
        """`function` compiled, with the model's weights as arguments, so that training may go on between calls."""
        weights = self.variables

        @jax.jit
        def pure(values, *args):
            with StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
                return function(*args)

        return lambda *args: pure([w.value for w in weights], *args)

    def _gradients(self, batch, keys):
        """Gradients of `(d_loss, g_loss)` with respect to their own side's variables only, and the logs.

        Moves batch statistics in the surrounding scope, as a forward pass on TensorFlow does.
        """
        sides = self._sides()
        moving = self.non_trainable_variables

        def forward(parameters):
            mapping = [
                pair
                for (_, side), values in zip(sides, parameters, strict=True)
                for pair in zip(side, values, strict=True)
            ]
            mapping += [(v, v.value) for v in moving]
            mapping += [
                (v, v.value)
                for v in self.trainable_variables
                if not any(v is w for w, _ in mapping)
            ]
            with StatelessScope(state_mapping=mapping) as scope:
                *totals, logs = self.objective(batch, keys, training=True)
                scaled = tuple(
                    jnp.asarray(optimizer.scale_loss(loss), "float32")
                    for (optimizer, _), loss in zip(sides, totals, strict=True)
                )
                moved = [_current(scope, v) for v in moving]
            return scaled, (logs, moved)

        parameters = [[v.value for v in side] for _, side in sides]
        _, pull_back, (logs, moved) = jax.vjp(forward, parameters, has_aux=True)
        for variable, value in zip(moving, moved, strict=True):
            variable.assign(value)
        d_gradients = pull_back((jnp.float32(1.0), jnp.float32(0.0)))[0][0]
        g_gradients = pull_back((jnp.float32(0.0), jnp.float32(1.0)))[0][1]
        return [d_gradients, g_gradients], logs

    def _accumulate(self, batch, keys):
        """Means over `micro_batches` equal parts of the batch; memory holds one part's activations at a time."""
        parts, count = self.micro_batches, keys.shape[0]
        if parts == 1:
            return self._gradients(batch, keys)
        if count % parts:
            raise ValueError(
                f"The batch must be a multiple of micro_batches={parts}. Received: {count} images."
            )
        stacked = jax.tree.map(
            lambda v: v.reshape(parts, count // parts, *v.shape[1:]), (batch, keys)
        )
        moving = self.non_trainable_variables

        def body(values, part):
            with StatelessScope(state_mapping=list(zip(moving, values, strict=True))) as scope:
                result = self._gradients(*part)
                return [_current(scope, v) for v in moving], result

        values, results = jax.lax.scan(body, [v.value for v in moving], stacked)
        for variable, value in zip(moving, values, strict=True):
            variable.assign(value)
        return jax.tree.map(lambda v: v.mean(0), results)

    def _sides(self):
        """`(optimizer, variables)` of each player."""
        sides = [
            (self.discriminator_optimizer, self.discriminator_side()),
            (self.optimizer, self.generator_side()),
        ]
        return [
            (optimizer, [v for network in side for v in network.trainable_variables])
            for optimizer, side in sides
        ]

    def _state_variables(self):
        return [
            *self.trainable_variables,
            *self.non_trainable_variables,
            *self.optimizer.variables,
            *self.metrics_variables,
        ]

    @staticmethod
    def _split_state(scope, variables, values, lengths):
        """The values the scope ended with, in lists of these lengths."""
        ended = [scope.get_current_value(v) for v in variables]
        ended = [old if new is None else new for old, new in zip(values, ended, strict=True)]
        parts, start = [], 0
        for length in lengths:
            parts.append(ended[start : start + length])
            start += length
        return tuple(parts)


def _current(scope, variable):
    value = scope.get_current_value(variable)
    return variable.value if value is None else value
