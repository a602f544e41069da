"""`tools/benchmark scaling`: what more machines would bring, from a step measured on this one and an assumed network.

A model of the cost, not a measurement of it: every step ends with a ring all-reduce of the gradients, in which each of
N workers sends 2 (N - 1) / N of their bytes in 2 (N - 1) messages (Patarasu and Yuan, Journal of Parallel and
Distributed Computing 2009); and batch norm, whose statistics are the whole batch's, all-reduces a few numbers at every
call, on the way forward and back, whose bytes are nothing and whose messages are many. Nothing of it is assumed to be
hidden behind arithmetic; a worker that is slower than the others, which all wait for, is not in it.
"""

import math

import numpy as np

from benchmarks import timing

WORKERS = (1, 2, 4, 8, 16)
_BYTES = 4  # gradients are float32
_PLAYERS = 2  # one all-reduce each
_BATCH_NORM = 5  # of a call: sum, sum of squares and count forward; the two sums' gradients back


def all_reduce_seconds(workers, gradient_bytes, gbits, latency_us, batch_norms=0):
    """Seconds of a step's all-reduces.

    Args:
        workers: N.
        gradient_bytes: bytes of all gradients.
        gbits: what a worker sends, in 10^9 bits a second.
        latency_us: of a message, in microseconds.
        batch_norms: calls of synchronised batch norm in a step.
    """
    sent = 2.0 * (workers - 1) / workers * gradient_bytes
    messages = (_PLAYERS + _BATCH_NORM * batch_norms) * 2 * (workers - 1)
    return sent * 8.0 / (gbits * 1e9) + messages * latency_us * 1e-6


def estimate(step_seconds, gradient_bytes, gbits, latency_us, batch_norms=0, workers=WORKERS):
    """What N workers reach, a list of dicts.

    Args:
        step_seconds: of one worker on a batch of its own.
        gradient_bytes, gbits, latency_us, batch_norms: see `all_reduce_seconds`.
        workers: the Ns.

    Returns:
        for each N: `"workers"`, `"all_reduce_s"`, and of N times the speed of one, the part that is reached where each
        worker keeps its batch (`"efficiency"`, weak scaling) and where they share the one of before
        (`"efficiency_shared"`, strong scaling; as if half a batch took half the time).
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
    """Measures the step of `options["model"]` (None: the recommended one) and estimates the rest; a JSON-able dict."""
    machine = timing.machine(("keras",))
    model = _model(options["model"])
    batch = _batch(model, options["step_images"])
    model.train_on_batch(batch)  # compiles
    _, seconds = timing.in_turn({"step": lambda: model.train_on_batch(batch)}, options["repeats"])
    step = timing.summary(seconds["step"])
    trained = [v for _, side in model.sides() for v in side]
    gradient_bytes = _BYTES * sum(math.prod(v.shape) for v in trained)
    batch_norms = _batch_norms(model, batch)
    names = ("model", "step_images", "gbits", "latency_us", "repeats")
    network = (options["gbits"], options["latency_us"])
    return {
        "benchmark": "scaling",
        "settings": {**{n: options[n] for n in names}, "image_shape": model.image_shape},
        **machine,
        "step": step,
        "gradient_bytes": gradient_bytes,
        "batch_norms": batch_norms,
        "rows": estimate(step["median"], gradient_bytes, *network, batch_norms),
    }


def _model(path):
    """The model of a path, ready to train."""
    from keras_uai import models

    if path is None:
        return models.UAI.recommended((32, 32, 3), "DropPixel(0.9)")
    from keras_uai.serving import commands

    model = commands.load(path)
    if not model.compiled:  # of a preset
        model.compile()
    return model


def _batch(model, count):
    """Noise damaged by the model's measurement, with all that any model is trained with."""
    from keras import ops

    clean = np.random.default_rng(0).uniform(-1.0, 1.0, (count, *model.image_shape))
    clean = clean.astype("float32")
    mask = model.measurement.masks(np.arange(count), *model.image_shape[:2])
    y = ops.convert_to_numpy(model.measurement(clean, mask))
    mask = ops.convert_to_numpy(mask)
    return {"observation": y, "mask": mask, "clean": clean, "unpaired": clean[::-1].copy()}


def _batch_norms(model, batch):
    """How often a step of `model` calls batch norm in training: counted in one pass that is not compiled."""
    from keras_uai import layers

    calls, call = [], layers.BatchNormalization.call

    def counted(layer, inputs, training=None, mask=None):
        if training:
            calls.append(layer)
        return call(layer, inputs, training=training, mask=mask)

    keys = model.step_keys(len(batch["observation"]))
    layers.BatchNormalization.call = counted
    try:
        model.objective(model.unpack(batch, training=True), keys, True)
    finally:
        layers.BatchNormalization.call = call
    return len(calls) * model.micro_batches


def table(result):
    """The result as text."""
    settings, step = result["settings"], result["step"]
    height, width, _ = settings["image_shape"]
    rate = settings["step_images"] / step["median"]
    lines = [
        f"measured: {1e3 * step['median']:.0f} ms a step ({1e3 * step['low']:.0f} to {1e3 * step['high']:.0f}) of "
        f"{settings['step_images']} images of {height} x {width}, {rate:.1f} images/s; "
        f"{result['gradient_bytes'] / 1e6:.1f} MB of gradients, {result['batch_norms']} calls of batch norm",
        f"assumed: {settings['gbits']:g} Gbit/s and {settings['latency_us']:g} us a message; ring all-reduce, none "
        "of it hidden",
        "",
        f"{'workers':>7s}{'all-reduce':>12s}{'efficiency':>12s}{'images/s':>10s}{'efficiency, batch shared':>26s}",
    ]
    for row in result["rows"]:
        n = row["workers"]
        lines.append(
            f"{n:7d}{1e3 * row['all_reduce_s']:9.1f} ms{row['efficiency']:12.1%}"
            f"{n * rate * row['efficiency']:10.1f}{row['efficiency_shared']:26.1%}"
        )
    return "\n".join(lines)
