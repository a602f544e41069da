"""`tools/benchmark scaling`: what more machines would bring, from a step measured on this one and an assumed network.

A model of the cost, not a measurement of it: every step ends with a ring all-reduce of the gradients, in which each of
N workers sends 2 (N - 1) / N of their bytes in 2 (N - 1) messages (Patarasu and Yuan, Journal of Parallel and
Distributed Computing 2009). Nothing of it is assumed to be hidden behind arithmetic, so the truth should be better; a
worker that is slower than the others, which all wait for, is not in it.
"""

import math

import numpy as np

from keras_uai.benchmarks import timing

WORKERS = (1, 2, 4, 8, 16)
_BYTES = 4  # gradients are float32
_BUFFERS = 2  # one all-reduce for each player


def all_reduce_seconds(workers, gradient_bytes, gbits, latency_us):
    """Seconds of the gradients' all-reduce.

    Args:
        workers: N.
        gradient_bytes: bytes of all gradients.
        gbits: what a worker sends, in 10^9 bits a second.
        latency_us: of a message, in microseconds.
    """
    sent = 2.0 * (workers - 1) / workers * gradient_bytes
    messages = _BUFFERS * 2 * (workers - 1)
    return sent * 8.0 / (gbits * 1e9) + messages * latency_us * 1e-6


def estimate(step_seconds, gradient_bytes, gbits, latency_us, workers=WORKERS):
    """What N workers reach, a list of dicts.

    Args:
        step_seconds: of one worker on a batch of its own.
        gradient_bytes, gbits, latency_us: see `all_reduce_seconds`.
        workers: the Ns.

    Returns:
        for each N: `"workers"`, `"all_reduce_s"`, and of N times the speed of one, the part that is reached where each
        worker keeps its batch (`"efficiency"`, weak scaling) and where they share the one of before
        (`"efficiency_shared"`, strong scaling; as if half a batch took half the time).
    """
    rows = []
    for n in workers:
        wait = all_reduce_seconds(n, gradient_bytes, gbits, latency_us)
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
    """Measures the step of the recommended model and estimates the rest; a JSON-able dict."""
    import keras

    from keras_uai import models

    size, batch_size = options["image_size"], options["batch_size"]
    model = models.UAI.recommended((size, size, 3), "DropPixel(0.9)")
    images = np.random.default_rng(0).integers(0, 256, (batch_size, size, size, 3)) / 127.5 - 1.0
    masks = keras.ops.convert_to_numpy(model.measurement.masks(np.arange(batch_size), size, size))
    y = np.where(masks > 0.5, images, 0.0).astype("float32")
    machine = timing.machine(("keras",))
    model.train_on_batch(y)  # compiles
    _, seconds = timing.in_turn({"step": lambda: model.train_on_batch(y)}, options["repeats"])
    step = timing.summary(seconds["step"])
    gradient_bytes = _BYTES * sum(math.prod(v.shape) for v in model.trainable_variables)
    names = ("image_size", "batch_size", "gbits", "latency_us", "repeats")
    network = (options["gbits"], options["latency_us"])
    return {
        "benchmark": "scaling",
        "settings": {name: options[name] for name in names},
        **machine,
        "step": step,
        "gradient_bytes": gradient_bytes,
        "rows": estimate(step["median"], gradient_bytes, *network),
    }


def table(result):
    """The result as text."""
    settings, step = result["settings"], result["step"]
    size, rate = settings["image_size"], settings["batch_size"] / step["median"]
    lines = [
        f"measured: {1e3 * step['median']:.0f} ms a step ({1e3 * step['low']:.0f} to {1e3 * step['high']:.0f}) of "
        f"{settings['batch_size']} images of {size} x {size}, {rate:.1f} images/s; "
        f"{result['gradient_bytes'] / 1e6:.1f} MB of gradients",
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
