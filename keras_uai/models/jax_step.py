"""The training step on JAX: one `jax.vjp` of the shared forward pass, pulled back once a player."""

import jax
import jax.numpy as jnp
from keras import StatelessScope, optimizers


class TrainStep:
    """`train_step` and `test_step` of `InpaintingModel` (mixed in before `keras.Model`).

    Keras hands the state over as lists of arrays. Inside a `StatelessScope` variables read and write these, so the
    update is the same code as on TensorFlow: optimizers, power iterations, average, counters. What is traced within
    the step (the forward pass, a micro-batch) has a scope of its own that begins with all of the step's values: a
    variable that it lacked would be read where `fit` has taken the value away.
    """

    @property
    def non_trainable_variables(self):
        """Also the second optimizer's variables, which Keras's JAX trainer would not carry through the step."""
        optimizer = vars(self).get("discriminator_optimizer")
        return super().non_trainable_variables + (list(optimizer.variables) if optimizer else [])

    def train_step(self, state, data):
        variables = self._state_variables()
        with _scope(variables, _flat(state)) as scope:
            batch = self.unpack(data, training=True)
            gradients, logs = self._accumulate(batch, self.step_keys(batch["y"].shape[0]))
            for (optimizer, side), of_side in zip(self.sides(), gradients, strict=True):
                if side:
                    self._apply(optimizer, of_side, side)
            self.after_update()
            logs = self.track(logs)
        return logs, _like(state, _values(scope, variables))

    def test_step(self, state, data):
        variables = [
            *self.trainable_variables,
            *self.non_trainable_variables,
            *self.metrics_variables,
        ]
        with _scope(variables, _flat(state)) as scope:
            batch = self.unpack(data)
            images = batch["y"].shape[0]
            logs = self.track(self.score(batch, self.evaluation_keys(images)), images)
        return logs, _like(state, _values(scope, variables))

    def compile_function(self, function):
        """`function` compiled, with the model's weights as arguments, so that training may go on between calls."""
        weights = self.variables

        @jax.jit
        def pure(values, *args):
            with _scope(weights, values):
                return function(*args)

        return lambda *args: pure([_own(w.value) for w in weights], *args)

    def _gradients(self, batch, keys):
        """Gradients of `(d_loss, g_loss)` with respect to their own side's variables only, and the logs.

        Moves batch statistics in the surrounding scope, as a forward pass on TensorFlow does.
        """
        sides, moving = self.sides(), self.non_trainable_variables

        def forward(parameters):
            with self._inner_scope(_flat(side for _, side in sides), _flat(parameters)) as scope:
                *totals, logs = self.objective(batch, keys, training=True)
                scaled = tuple(
                    jnp.asarray(optimizer.scale_loss(loss), "float32")
                    for (optimizer, _), loss in zip(sides, totals, strict=True)
                )
                return scaled, (logs, _values(scope, moving))

        parameters = [[v.value for v in side] for _, side in sides]
        _, pull_back, (logs, moved) = jax.vjp(forward, parameters, has_aux=True)
        _assign(moving, moved)
        d_gradients = pull_back((jnp.float32(1.0), jnp.float32(0.0)))[0][0]
        g_gradients = pull_back((jnp.float32(0.0), jnp.float32(1.0)))[0][1]
        return [d_gradients, g_gradients], logs

    def _accumulate(self, batch, keys):
        """Means over `micro_batches` equal parts of the batch; memory holds one part's activations at a time.

        Every K-th image belongs to a part: of a batch spread over devices, each device has its share of every part.
        """
        parts, count = self.micro_batches, keys.shape[0]
        if parts == 1:
            return self._gradients(batch, keys)
        if count % parts:
            raise ValueError(
                f"The batch must be a multiple of micro_batches={parts} (drop the remainder). "
                f"Received: {count} images."
            )
        stacked = jax.tree.map(
            lambda v: v.reshape(count // parts, parts, *v.shape[1:]).swapaxes(0, 1), (batch, keys)
        )
        moving = self.non_trainable_variables

        def micro(values, part):
            with self._inner_scope(moving, values) as scope:
                result = self._gradients(*part)
                return _values(scope, moving), result

        def body(carry, part):
            values, result = micro(carry[0], part)
            return (values, jax.tree.map(jnp.add, carry[1], result)), None

        values = [v.value for v in moving]
        _, shapes = jax.eval_shape(micro, values, jax.tree.map(lambda v: v[0], stacked))
        nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        (values, total), _ = jax.lax.scan(body, (values, nothing), stacked)
        _assign(moving, values)
        return jax.tree.map(lambda v: v / parts, total)

    def _apply(self, optimizer, gradients, side):
        """`optimizer.apply`. Keras's own under loss scaling branches on whether the gradients are finite, and its
        branches' assignments would not leave them: here they choose between values.
        """
        if not isinstance(optimizer, optimizers.LossScaleOptimizer):
            optimizer.apply(gradients, side)
            return
        inner, scale, count = (
            optimizer.inner_optimizer,
            optimizer.dynamic_scale,
            optimizer.step_counter,
        )
        finite = optimizer.check_finite(gradients)
        moving = [*inner.variables, *side]
        with self._inner_scope() as scope:
            inner.apply([g / scale.value for g in gradients], side)
            moved = _values(scope, moving)
        _assign(
            moving, [jnp.where(finite, new, v.value) for v, new in zip(moving, moved, strict=True)]
        )
        grows = count.value == optimizer.dynamic_growth_steps - 1
        factor = jnp.where(finite, jnp.where(grows, 2.0, 1.0), 0.5)
        count.assign(jnp.where(finite & ~grows, count.value + 1, 0))
        scale.assign(scale.value * factor)

    def _state_variables(self):
        return [
            *self.trainable_variables,
            *self.non_trainable_variables,
            *self.optimizer.variables,
            *self.metrics_variables,
        ]

    def _inner_scope(self, variables=(), values=()):
        """A scope in which `variables` have `values`, and the others what they have around it."""
        around = self._state_variables()
        return _scope([*around, *variables], [*(v.value for v in around), *values])


def _scope(variables, values):
    """A scope in which `variables` have `values`, of which the later ones count."""
    return StatelessScope(state_mapping=list(zip(variables, values, strict=True)))


def _values(scope, variables):
    return [scope.get_current_value(v) for v in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _flat(lists):
    return [item for part in lists for item in part]


def _like(lists, items):
    """`items` in lists as long as `lists` are."""
    items = iter(items)
    return tuple([next(items) for _ in part] for part in lists)


def _own(value):
    """Weights that lie on the devices of several processes, as one of these has them: it may work alone with them."""
    shared = isinstance(value, jax.Array) and not value.is_fully_addressable
    return value.addressable_data(0) if shared else value
