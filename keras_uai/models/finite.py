"""Steps whose losses or gradients are not finite: how they are found, and undone."""

import keras
from keras import ops


def is_finite(logs, updates, gradients):
    """Returns whether all losses and gradients of a step are finite, a boolean scalar.

    Loss scaling halves its scale after gradients that overflow, and skips their update. So its
    gradients count only where the scale is 1 or less.

    Args:
        logs: dict of the step's losses.
        updates: `(optimizer, variables)` of D and of G.
        gradients: a list of gradients for each of `updates`.
    """
    finite = ops.all(ops.isfinite(ops.stack([ops.cast(v, "float32") for v in logs.values()])))
    for (optimizer, _), found in zip(updates, gradients, strict=True):
        if found:
            # A sum is finite if its terms are, and takes one operation a variable.
            good = ops.all(ops.isfinite(ops.stack([ops.sum(g) for g in found])))
            if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                good = ops.logical_or(good, optimizer.dynamic_scale > 1.0)
            finite = ops.logical_and(finite, good)
    return finite


def snapshot(model):
    """Returns `(variable, value)` of all that a step changes, except the step counter.

    The list is empty unless the model skips steps that are not finite.
    """
    if not model.skip_nonfinite:
        return []
    optimizers = model.optimizer.variables, model.discriminator_optimizer.variables
    variables = [v for v in (*model.weights, *optimizers[0], *optimizers[1]) if v is not model.step]
    return [(variable, ops.copy(variable.value)) for variable in variables]


def restore(before, finite):
    """Puts the values of a `snapshot` back unless the step was finite."""
    for variable, value in before:
        variable.assign(ops.where(finite, variable.value, value))
