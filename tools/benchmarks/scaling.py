"""`tools/benchmark scaling`: expected speed on several machines, from a step measured here.

This is a model of the cost, not a measurement. Every step ends with a ring all-reduce of the
gradients, in which each of N workers sends 2 (N - 1) / N of their bytes in 2 (N - 1) messages
(Patarasu and Yuan, Journal of Parallel and Distributed Computing 2009). Batch norm, whose
statistics are those of the whole batch, all-reduces a few numbers in every call, forward and
backward: few bytes, many messages. The model assumes that no communication is hidden behind
arithmetic, and that all workers are equally fast.
"""

import math

import numpy as np

from benchmarks import models, timing

WORKERS = (1, 2, 4, 8, 16)
_BYTES = 4  # gradients are float32
_UPDATES = 2  # of D and of G, one all-reduce each
_BATCH_NORM = 5  # per call: sum, sum of squares and count forward; gradients of the sums backward
_SIZE = (64, 64)  # of the images for a model of any size


def all_reduce_seconds(workers, gradient_bytes, gbits, latency_us, batch_norms=0):
    """Returns the seconds of a step's all-reduces.

    Args:
        workers: N.
        gradient_bytes: Bytes of all gradients.
        gbits: Bandwidth of a worker, in 10^9 bits per second.
        latency_us: Latency of a message, in microseconds.
        batch_norms: Calls of synchronised batch norm in a step.
    """
    sent = 2.0 * (workers - 1) / workers * gradient_bytes
    messages = (_UPDATES + _BATCH_NORM * batch_norms) * 2 * (workers - 1)
    return sent * 8.0 / (gbits * 1e9) + messages * latency_us * 1e-6


def estimate(step_seconds, gradient_bytes, gbits, latency_us, batch_norms=0, workers=WORKERS):
    """Estimates the speed of N workers relative to N times the speed of one.

    Args:
        step_seconds: Seconds of a step of one worker.
        gradient_bytes, gbits, latency_us, batch_norms: See `all_reduce_seconds`.
        workers: The numbers N.

    Returns:
        List of dicts of `"workers"`, `"all_reduce_s"`, `"efficiency"` (each worker keeps its batch:
        weak scaling) and `"efficiency_shared"` (the workers share one batch: strong scaling; half a
        batch is assumed to take half the time).
    """
    rows = []
    for n in workers:
        wait = all_reduce_seconds(n, gradient_bytes, gbits, latency_us, batch_norms)
        rows.append(
            {
                "workers": n,
                "all_reduce_s": wait,
                "efficiency": step_seconds / (step_seconds + wait),
                "efficiency_shared": step_seconds / (step_seconds + n * wait),
            }
        )
    return rows


def run(options):
    """Measures the step of `options["model"]` (None: the recommended one), and estimates."""
    machine = timing.machine(("keras",))
    model = models.load(options["model"])
    batch = _batch(model, options["step_images"])
    model.train_on_batch(batch)  # compiles
    _, seconds = timing.in_turn({"step": lambda: model.train_on_batch(batch)}, options["repeats"])
    step = timing.summary(seconds["step"])
    trained = [v for _, variables in model.updates() for v in variables]
    gradient_bytes = _BYTES * sum(math.prod(v.shape) for v in trained)
    batch_norms = _batch_norms(model, batch)
    names = ("model", "step_images", "gbits", "latency_us", "repeats")
    network = (options["gbits"], options["latency_us"])
    return {
        "benchmark": "scaling",
        "settings": {**{n: options[n] for n in names}, "size": models.size(model, _SIZE)},
        **machine,
        "step": step,
        "gradient_bytes": gradient_bytes,
        "batch_norms": batch_norms,
        "rows": estimate(step["median"], gradient_bytes, *network, batch_norms),
    }


def _batch(model, count):
    """Returns damaged noise with everything that any model is trained on."""
    from keras import ops

    sides = models.size(model, _SIZE)
    clean = np.random.default_rng(0).uniform(-1.0, 1.0, (count, *sides, model.image_shape[-1]))
    clean = clean.astype("float32")
    mask = model.measurement.masks(np.arange(count), *sides)
    y = ops.convert_to_numpy(model.measurement(clean, mask))
    mask = ops.convert_to_numpy(mask)
    return {"observation": y, "mask": mask, "clean": clean, "unpaired": clean[::-1].copy()}


def _batch_norms(model, batch):
    """Counts the calls of batch norm in a step, in a pass that is not compiled."""
    from keras_uai import layers

    calls = []
    call = layers.BatchNormalization.call

    def counted(layer, x, training=None):
        if training:
            calls.append(layer)
        return call(layer, x, training=training)

    keys = model.step_keys(len(batch["observation"]))
    layers.BatchNormalization.call = counted
    try:
        model.compute_losses(model.unpack(batch, training=True), keys, True)
    finally:
        layers.BatchNormalization.call = call
    return len(calls) * model.gradient_accumulation_steps


def table(result):
    """Returns the result as text."""
    settings = result["settings"]
    height, width = settings["size"]
    median, low, high = (1e3 * result["step"][name] for name in ("median", "low", "high"))
    rate = 1e3 * settings["step_images"] / median
    lines = [
        f"measured: {median:.0f} ms a step ({low:.0f} to {high:.0f}) of "
        f"{settings['step_images']} images of {height} x {width}, {rate:.1f} images/s; "
        f"{result['gradient_bytes'] / 1e6:.1f} MB of gradients, "
        f"{result['batch_norms']} calls of batch norm",
        f"assumed: {settings['gbits']:g} Gbit/s and {settings['latency_us']:g} us a message; "
        "ring all-reduce, not hidden behind arithmetic",
        "",
        f"{'workers':>7s}{'all-reduce':>12s}{'efficiency':>12s}{'images/s':>10s}"
        f"{'efficiency, batch shared':>26s}",
    ]
    for row in result["rows"]:
        n = row["workers"]
        lines.append(
            f"{n:7d}{1e3 * row['all_reduce_s']:9.1f} ms{row['efficiency']:12.1%}"
            f"{n * rate * row['efficiency']:10.1f}{row['efficiency_shared']:26.1%}"
        )
    return "\n".join(lines)
