"""One point of a sweep of `tools/benchmark step`, in a process of its own: prints one line of JSON."""

import json
import resource
import sys
import time

import numpy as np

from benchmarks import step_cases, timing


def measure(settings):
    """Speed, and memory at its peak: of the process, and what the steps added to it."""
    model = step_cases.make_model(settings)
    y, _ = step_cases.make_batch(model, settings["batch_size"])
    begun = time.perf_counter()
    _, step = step_cases.keras_step(model, y)
    tracing = time.perf_counter() - begun
    before = peak()
    step()
    _, seconds = timing.in_turn({"step": step}, settings["repeats"])
    return {
        **timing.summary(seconds["step"]),
        "images_per_s": settings["batch_size"] / float(np.median(seconds["step"])),
        "tracing_s": tracing,
        "peak_mb": peak() / 1e6,
        "step_mb": (peak() - before) / 1e6,
    }


def peak():
    """Bytes of the largest resident set that this process had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
