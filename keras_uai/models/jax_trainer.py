"""The training step on JAX: one `jax.vjp` of the shared forward pass, pulled back once per loss.

Keras hands the state over as lists of arrays. Inside a `StatelessScope` variables read and write
these, so that the update is the same code as on TensorFlow. A function that JAX traces within the
step (the forward pass, a part of a batch) gets a scope of its own, which begins with the values of
the scope around it.
"""

import jax
import jax.numpy as jnp
from keras import StatelessScope, optimizers

from keras_uai.models.finite import is_finite, restore, snapshot


def train_step(model, state, data):
    """Updates D, G and E once. Returns `(logs, state)`."""
    variables = _state_variables(model)
    with _scope(variables, _flat(state)) as scope:
        batch, before = model.unpack(data, training=True), snapshot(model)
        gradients, logs = _accumulate(model, batch, model.step_keys(batch["y"].shape[0]))
        finite = is_finite(logs, model.updates(), gradients)
        for (optimizer, updated), gradient in zip(model.updates(), gradients, strict=True):
            if updated:
                _apply(model, optimizer, gradient, updated)
        model.after_update()
        restore(before, finite)
        logs = model.update_metrics(logs, finite=finite)
    return logs, _like(state, _values(scope, variables))


def test_step(model, state, data):
    """Scores a batch. Returns `(logs, state)`."""
    variables = [
        *model.trainable_variables,
        *model.non_trainable_variables,
        *model.metrics_variables,
    ]
    with _scope(variables, _flat(state)) as scope:
        batch = model.unpack(data)
        images = batch["y"].shape[0]
        logs = model.inference.scores(batch, model.evaluation_keys(images))
        logs = model.update_metrics(logs, images)
    return logs, _like(state, _values(scope, variables))


def compile_function(model, function):
    """Returns `function` compiled; it reads the model's weights at each call."""
    weights = model.variables

    @jax.jit
    def pure(values, *args):
        with _scope(weights, values):
            return function(*args)

    return lambda *args: pure([_local(w.value) for w in weights], *args)


def _gradients(model, batch, keys):
    """Gradients of d_loss for D, of g_loss for G and E, and the logs.

    Moves batch statistics in the surrounding scope, as a forward pass on TensorFlow does.
    """
    updates = model.updates()
    moving = model.non_trainable_variables

    def forward(parameters):
        trained = _flat(variables for _, variables in updates)
        with _inner_scope(model, trained, _flat(parameters)) as scope:
            *totals, logs = model.compute_losses(batch, keys, training=True)
            scaled = tuple(
                jnp.asarray(optimizer.scale_loss(loss), "float32")
                for (optimizer, _), loss in zip(updates, totals, strict=True)
            )
            return scaled, (logs, _values(scope, moving))

    parameters = [[v.value for v in variables] for _, variables in updates]
    _, pull_back, (logs, moved) = jax.vjp(forward, parameters, has_aux=True)
    _assign(moving, moved)
    d_gradients = pull_back((jnp.float32(1.0), jnp.float32(0.0)))[0][0]
    g_gradients = pull_back((jnp.float32(0.0), jnp.float32(1.0)))[0][1]
    return [d_gradients, g_gradients], logs


def _accumulate(model, batch, keys):
    """Means over K equal parts of the batch; memory holds one part's activations at a time.

    Every K-th image belongs to a part: of a batch spread over devices, each holds its share of it.
    """
    parts, count = model.gradient_accumulation_steps, keys.shape[0]
    if parts == 1:
        return _gradients(model, batch, keys)
    if count % parts:
        raise ValueError(
            f"The batch size must be a multiple of gradient_accumulation_steps={parts} (drop the "
            f"remainder). Received: {count} images"
        )
    stacked = jax.tree.map(
        lambda v: v.reshape(count // parts, parts, *v.shape[1:]).swapaxes(0, 1), (batch, keys)
    )
    moving = model.non_trainable_variables

    def part_gradients(values, part):
        with _inner_scope(model, moving, values) as scope:
            result = _gradients(model, *part)
            return _values(scope, moving), result

    def body(carry, part):
        values, result = part_gradients(carry[0], part)
        return (values, jax.tree.map(jnp.add, carry[1], result)), None

    values = [v.value for v in moving]
    _, shapes = jax.eval_shape(part_gradients, values, jax.tree.map(lambda v: v[0], stacked))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    (values, total), _ = jax.lax.scan(body, (values, zeros), stacked)
    _assign(moving, values)
    return jax.tree.map(lambda v: v / parts, total)


def _apply(model, optimizer, gradients, variables):
    """Applies gradients, under loss scaling only if they are finite.

    Keras's `LossScaleOptimizer` branches on that, and assignments would not leave its branches.
    Here both outcomes are computed and one is selected.
    """
    if not isinstance(optimizer, optimizers.LossScaleOptimizer):
        optimizer.apply(gradients, variables)
        return
    inner, scale, count = optimizer.inner_optimizer, optimizer.dynamic_scale, optimizer.step_counter
    finite = optimizer.check_finite(gradients)
    moving = [*inner.variables, *variables]
    with _inner_scope(model) as scope:
        inner.apply([g / scale.value for g in gradients], variables)
        moved = _values(scope, moving)
    _assign(moving, [jnp.where(finite, new, v.value) for v, new in zip(moving, moved, strict=True)])
    grows = count.value == optimizer.dynamic_growth_steps - 1
    factor = jnp.where(finite, jnp.where(grows, 2.0, 1.0), 0.5)
    count.assign(jnp.where(finite & ~grows, count.value + 1, 0))
    scale.assign(scale.value * factor)


def _state_variables(model):
    return [
        *model.trainable_variables,
        *model.non_trainable_variables,
        *model.optimizer.variables,
        *model.metrics_variables,
    ]


def _inner_scope(model, variables=(), values=()):
    """A scope in which `variables` have `values`, and the others their values around it."""
    around = _state_variables(model)
    return _scope([*around, *variables], [*(v.value for v in around), *values])


def _scope(variables, values):
    """A scope in which `variables` have `values`; of repeated variables the last value counts."""
    return StatelessScope(state_mapping=list(zip(variables, values, strict=True)))


def _values(scope, variables):
    return [scope.get_current_value(v) for v in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _flat(lists):
    return [item for part in lists for item in part]


def _like(lists, items):
    """Returns `items` in lists as long as `lists` are."""
    items = iter(items)
    return tuple([next(items) for _ in part] for part in lists)


def _local(value):
    """Returns the local copy of weights that are replicated over several processes' devices."""
    shared = isinstance(value, jax.Array) and not value.is_fully_addressable
    return value.addressable_data(0) if shared else value
