"""`tools/benchmark step`: the training step against PyTorch on the same networks and losses.

Ours runs G and E once for both updates. PyTorch's follows the paper's author: D first, then G and E
with passes of their own. Before the timing, the networks are shown to be the same (`step_cases`).
The step's convolutions alone bound its speed; a profile shows where its time goes. `--sweep`
measures other sizes, each in its own process, whose peak memory is reported.
"""

import sys
import time

import numpy as np

from benchmarks import roofline, step_cases, timing

_WARM_UP = 2
OURS, OURS_JIT = "keras_uai", "keras_uai, jit_compile"

#: Points of `--sweep`: settings that differ from those of the flags.
SWEEPS = {
    "image_size": [{"image_size": n} for n in (16, 32, 64)],
    "width": [{"width": n} for n in (8, 16, 32)],
    "batch_size": [{"batch_size": n} for n in (8, 16, 32, 64)],
    "gradient_accumulation_steps": [{"gradient_accumulation_steps": n} for n in (1, 2, 4)],
}
_SETTINGS = ("image_size", "width", "batch_size", "gradient_accumulation_steps")


def run(options):
    """Measures the step with the flags of tools/benchmark."""
    unknown = set(options["sweep"]) - set(SWEEPS)
    if unknown:
        raise ValueError(
            f"`--sweep` must name some of {', '.join(SWEEPS)}. "
            f"Received: {', '.join(sorted(unknown))}"
        )
    result = {
        "benchmark": "step",
        "settings": {n: options[n] for n in (*_SETTINGS, "repeats")},
        **timing.machine(("tensorflow", "keras", "torch")),
    }
    if options["sweep"]:
        result["sweeps"] = {name: sweep(name, options) for name in options["sweep"]}
    else:
        result |= compare(options)
    return result


def compare(options):
    """Measures our step and PyTorch's in turn, the roofline of ours, and its profile."""
    model = step_cases.make_model(options)
    y, mask = step_cases.make_batch(model, options["batch_size"])
    cases, differences = {}, {}
    if options["torch"]:
        cases, differences = step_cases.torch_steps(model, options, y, mask)
    concrete, ours = step_cases.keras_step(model, y)
    cases = {OURS: ours, **cases}
    if options["jit"]:
        _, cases[OURS_JIT] = step_cases.keras_step(step_cases.make_model(options, jit=True), y)
    timing.in_turn(cases, _WARM_UP)
    processor = {name: [] for name in cases}
    metered = {name: _metered(function, processor[name]) for name, function in cases.items()}
    _, seconds = timing.in_turn(metered, options["repeats"])
    result = {"differences": differences, "rows": {}}
    for name, found in seconds.items():
        result["rows"][name] = {
            **timing.summary(found),
            "images_per_s": options["batch_size"] / float(np.median(found)),
            "ours_to_this": timing.ratio(found, seconds[OURS]),
            "processor_s": float(np.median(processor[name])),
            "processor_ours_to_this": timing.ratio(processor[name], processor[OURS]),
        }
    if options["gradient_accumulation_steps"] == 1 and options["roofline"]:
        bound = roofline.roofline(concrete, options["repeats"])
        _, again = timing.in_turn({OURS: ours}, options["repeats"])
        step = float(np.median(again[OURS]))
        result["roofline"] = {
            **bound,
            "step_s": step,
            "fraction": bound["attainable_s"] / step,
        }
        result["profile"] = roofline.profile(ours)
    return result


def _metered(function, spent):
    """Returns `function` with its processor time appended to `spent`; fair on a busy machine."""

    def run():
        begun = time.process_time()
        value = function()
        spent.append(time.process_time() - begun)
        return value

    return run


def sweep(name, options):
    """Returns a dict per point of a sweep: its settings, speed and memory."""
    points = []
    for changes in SWEEPS[name]:
        settings = {n: options[n] for n in (*_SETTINGS, "repeats")} | changes
        print(f"{name}: {changes[name]} …", file=sys.stderr)
        points.append({**settings, **timing.in_process(sys.modules[__name__], settings)})
    return points


def measure(settings):
    """Measures speed and peak memory, of the process and of the steps in it."""
    model = step_cases.make_model(settings)
    y, _ = step_cases.make_batch(model, settings["batch_size"])
    begun = time.perf_counter()
    _, step = step_cases.keras_step(model, y)
    tracing = time.perf_counter() - begun
    before = timing.peak_bytes()
    step()
    _, seconds = timing.in_turn({"step": step}, settings["repeats"])
    peak = timing.peak_bytes()
    return {
        **timing.summary(seconds["step"]),
        "images_per_s": settings["batch_size"] / float(np.median(seconds["step"])),
        "tracing_s": tracing,
        "peak_mb": peak / 1e6,
        "step_mb": (peak - before) / 1e6,
    }


def table(result):
    """Returns the result as text."""
    settings = result["settings"]
    side = settings["image_size"]
    lines = [
        f"A training step, {side} x {side}, width {settings['width']}, "
        f"batch {settings['batch_size']} in {settings['gradient_accumulation_steps']} parts; "
        f"medians of {settings['repeats']}"
    ]
    if "sweeps" in result:
        return "\n".join(lines + _sweep_lines(result["sweeps"]))
    lines.append(
        f"{'':32s}{'images/s':>10s}{'s':>8s}{'from':>8s}{'to':>8s}{'ours x':>8s}"
        f"{'processor s':>13s}{'ours x':>8s}"
    )
    for name, row in result["rows"].items():
        lines.append(
            f"{name:32s}{row['images_per_s']:10.2f}"
            f"{row['median']:8.2f}{row['low']:8.2f}{row['high']:8.2f}{row['ours_to_this']:8.2f}"
            f"{row['processor_s']:13.2f}{row['processor_ours_to_this']:8.2f}"
        )
    for name, difference in result["differences"].items():
        lines.append(f"{name}: outputs differ by {difference:.0e} with the same weights")
    if "roofline" in result:
        lines += _roofline_lines(result["roofline"], result["profile"])
    return "\n".join(lines)


def _roofline_lines(found, shares, most=12):
    lines = [
        f"Convolutions: {found['gflop']:.0f} GFLOP a step. Alone they take "
        f"{found['attainable_s']:.2f} s of {found['step_s']:.2f} s: the step runs at "
        f"{found['fraction']:.2f} of their rate",
        f"{'':18s}{'image':>20s}{'kernel':>18s}{'times':>7s}{'GFLOP/s':>9s}{'s':>8s}",
    ]
    for row in found["rows"][:most]:
        shapes = (" x ".join(map(str, row[name])) for name in ("image", "kernel"))
        image, kernel = shapes
        lines.append(
            f"{row['kind']:18s}{image:>20s}{kernel:>18s}{row['count']:7d}"
            f"{row['gflop_per_s']:9.0f}{row['seconds']:8.3f}"
        )
    lines.append("Shares of the time that TensorFlow's threads spend in operations:")
    return lines + [f"{name:32s}{share:8.1%}" for name, share in shares.items()]


def _sweep_lines(sweeps):
    lines = []
    for name, points in sweeps.items():
        lines.append(
            f"{name:>28s}{'images/s':>10s}{'s a step':>10s}{'from':>8s}{'to':>8s}{'peak MB':>9s}"
            f"{'of a step':>10s}{'tracing s':>10s}"
        )
        lines += [
            f"{p[name]:28d}{p['images_per_s']:10.2f}{p['median']:10.3f}{p['low']:8.3f}"
            f"{p['high']:8.3f}{p['peak_mb']:9.0f}{p['step_mb']:10.0f}{p['tracing_s']:10.1f}"
            for p in points
        ]
    return lines
