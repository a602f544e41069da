"""Program of `test_jax_step`: the losses of the same models on the same batches, on a backend."""

import json
import os

import keras
import numpy as np

from keras_uai import measurements, models
from tests.testing import array, images, observations, tiny

STEPS, BATCH = 5, 8
_SMALL = {"width": 8, "max_width": 16, "space_to_depth": 4}


def _recommended():
    """Returns a model with batch norm and a learning rate schedule."""
    parts = dict.fromkeys(("generator", "discriminator", "encoder"), _SMALL)
    return models.UAI.recommended((16, 16, 3), "DropPixel(0.5)", steps=20, latent_dim=6, **parts)


def _paper():
    model = tiny(models.UAI, ema_decay=0.9)
    model.compile()
    return model


def _misgan():
    model = tiny(models.MisGAN, networks={"normalization": "batch"})
    model.compile(gan_loss="minimax")
    return model


#: Models that train on both backends from the same weights, and go on from each other's files.
MODELS = {"UAI": _paper, "recommended": _recommended, "MisGAN": _misgan}


def batches():
    """Returns `STEPS + 1` batches, dicts of the arrays that any model needs."""
    found, measurement = [], measurements.DropPixel(0.5)
    for step in range(STEPS + 1):
        y, _ = observations(measurement, BATCH, seed=step)
        x, unpaired = images(BATCH, seed=step), images(BATCH, seed=100 + step)
        found.append({"observation": y, "clean": x, "unpaired": unpaired})
    return found


def losses(model, batches):
    """Returns the logs of one step per batch, each by a `fit` of its own."""
    found = []
    for batch in batches:
        history = model.fit(batch, batch_size=BATCH, shuffle=False, verbose=0).history
        found.append({name: values[-1] for name, values in history.items()})
    return found


def state(model):
    """Returns the values of all saved variables: weights, the step, both optimizers."""
    return [array(v) for v in _variables(model)]


def _variables(model):
    optimizers = model.optimizer, model.discriminator_optimizer
    return [*model.weights, *(v for o in optimizers for v in o.variables)]


def skipping(batches, **compile_arguments):
    """Trains on a batch, a poisoned one and a further one, and on the first and the last alone.

    Returns:
        The logs of the poisoned batch; the variables that it changed; and those that differ from
        the training without it, whose step counter was moved on.
    """
    networks = {"normalization": "batch"}
    model = tiny(models.AmbientGAN, ema_decay=0.9, networks=networks, values="float32")
    model.compile(skip_nonfinite=True, **compile_arguments)
    poisoned = {**batches[1], "observation": batches[1]["observation"] * np.float32(1e38)}

    def different(one, other):
        found = zip(_variables(model), one, other, strict=True)
        return [v.path for v, a, b in found if a.tobytes() != b.tobytes()]

    losses(model, batches[:1])
    before = state(model)
    (logs,) = losses(model, [poisoned])
    changed = different(before, state(model))
    losses(model, batches[2:3])
    after = state(model)
    for variable, value in zip(_variables(model), before, strict=True):
        variable.assign(value)
    model.step.assign(model.step + 1)
    losses(model, batches[2:3])
    return {"logs": logs, "changed": changed, "differ": different(after, state(model))}


# -- on JAX --------------------------------------------------------------------------------


def on_jax(folder):
    """Continues TensorFlow's trainings saved in `folder`, and saves its own results beside them."""
    assert keras.backend.backend() == "jax"
    os.chdir(folder)
    with np.load("batches.npz") as saved:
        data = [
            {name: saved[f"{name}{i}"] for name in ("observation", "clean", "unpaired")}
            for i in range(STEPS + 1)
        ]
    found = {"traces": {}}
    for name in MODELS:
        model = keras.saving.load_model(f"{name}.keras")
        if name == "UAI":  # its norms do not mix the parts of a batch
            model.compile_from_config(
                {**model.get_compile_config(), "gradient_accumulation_steps": 2}
            )
        traces = _counting_traces(model)
        found[name] = losses(model, data[:STEPS])
        model.save(f"{name}-on-jax.keras")
        np.savez(f"{name}-on-jax.npz", *state(model))
        if name == "recommended":
            found["scores"] = model.evaluate(data[0], verbose=0, return_dict=True)
        model.load_weights(f"{name}-on-tensorflow.keras")
        np.savez(f"{name}-from-tensorflow.npz", *state(model))
        found[f"{name}, more"] = losses(model, data[STEPS:])
        found["traces"][name] = len(traces)
    found["skipping"] = skipping(data)
    for policy, name in (("mixed_bfloat16", "Splitting"), ("mixed_float16", "AmbientGAN")):
        found[policy] = _in_mixed_precision(policy, name, data)
    found["traced"] = {name: _traced(name, data[0]) for name in ("Unpaired", "Paired", "UAIR")}
    with open("jax.json", "w", encoding="utf-8") as file:
        json.dump(found, file)


def _counting_traces(model):
    """Returns a list that grows with each trace of the model's step."""
    traces, compute_losses = [], model.compute_losses

    def counted(*args, **kwargs):
        traces.append(1)
        return compute_losses(*args, **kwargs)

    model.compute_losses = counted
    return traces


def _traced(name, batch):
    """Traces a step without compiling it; its state must keep its shapes.

    Returns:
        The names that the step logs, and `log_names()`.
    """
    import jax

    model = tiny(getattr(models, name))
    model.compile(gradient_accumulation_steps=2)
    lists = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    before = tuple([v.value for v in variables] for variables in lists)
    logs, after = jax.eval_shape(model.train_step, before, batch)
    shapes = jax.tree.map(lambda v: (v.shape, str(v.dtype)), (before, after))
    assert shapes[0] == shapes[1]
    return sorted(logs), model.log_names()


def _in_mixed_precision(policy, name, data):
    keras.config.set_dtype_policy(policy)
    model = tiny(getattr(models, name))
    adams = [keras.optimizers.Adam(1e-4, beta_1=0.0) for _ in range(2)]
    if policy == "mixed_float16":  # with a small scale that soon grows
        adams = [
            keras.optimizers.LossScaleOptimizer(
                adam, initial_scale=16.0, dynamic_growth_steps=2, name=name
            )
            for adam, name in zip(adams, ("g_scale", "d_scale"), strict=True)
        ]
    model.compile(*adams)
    found = {"losses": losses(model, data[:3])}
    if policy == "mixed_float16":
        found["overflows"] = _overflows(model, data[3])
    keras.config.set_dtype_policy("float32")
    return found


def _overflows(model, batch):
    """Returns the networks that move, and the scale after a step, where one scale is too large."""
    sides = {"g": model.generator, "d": model.discriminator}
    optimizers = {"g": model.optimizer, "d": model.discriminator_optimizer}
    found = {"scales": {n: float(o.dynamic_scale) for n, o in optimizers.items()}}
    for name, optimizer in optimizers.items():
        before = {n: [array(v) for v in side.trainable_variables] for n, side in sides.items()}
        scales = {n: float(o.dynamic_scale) for n, o in optimizers.items()}
        optimizer.dynamic_scale.assign(2.0**120)
        losses(model, [batch])
        moved = [
            n
            for n, side in sides.items()
            if any(
                (a != array(v)).any()
                for a, v in zip(before[n], side.trainable_variables, strict=True)
            )
        ]
        found[name] = {
            "moved": moved,
            "scale": float(optimizer.dynamic_scale),
            "finite": all(np.isfinite(array(v)).all() for v in model.trainable_variables),
        }
        optimizer.dynamic_scale.assign(scales[name])
    return found
