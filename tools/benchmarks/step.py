"""`tools/benchmark step`: the training step against PyTorch's on the same networks and losses, in one run.

Ours runs G and E once for both players, PyTorch's does as the paper's author: D first, then G and E with passes of
their own. Before anything is timed the networks are shown to be the same (see `step_cases`). Then come the
convolutions of the step alone, which bound what it can reach, and where its time goes; with `--sweep`, what it costs
at other sizes, each in a process of its own, which also tells its memory.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np

from benchmarks import roofline, step_cases, timing

_WARM_UP = 2
OURS, OURS_JIT = "keras_uai", "keras_uai, jit_compile"

#: `--sweep`: settings that differ from those of the flags, from point to point.
SWEEPS = {
    "image_size": [{"image_size": n} for n in (16, 32, 64)],
    "width": [{"width": n} for n in (8, 16, 32)],
    "batch_size": [{"batch_size": n} for n in (8, 16, 32, 64)],
    "micro_batches": [{"micro_batches": n} for n in (1, 2, 4)],
}
_SETTINGS = ("image_size", "width", "batch_size", "micro_batches")


def run(options):
    """Measures; a JSON-able dict."""
    unknown = set(options["sweep"]) - set(SWEEPS)
    if unknown:
        raise ValueError(
            f"`--sweep` takes some of {', '.join(SWEEPS)}. Received: {', '.join(sorted(unknown))}"
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
    """Our step and PyTorch's in turn; what ours could reach; where its time goes."""
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
    if options["micro_batches"] == 1 and options["roofline"]:
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
    """`function`, which also notes its processor time: where the machine is busy, that is what is fair."""

    def run():
        begun = time.process_time()
        value = function()
        spent.append(time.process_time() - begun)
        return value

    return run


def sweep(name, options):
    """One dict a point of a sweep: its settings, images/s and peak memory, each from a process of its own."""
    points = []
    for changes in SWEEPS[name]:
        settings = {n: options[n] for n in (*_SETTINGS, "repeats")} | changes
        print(f"{name}: {changes[name]} …", file=sys.stderr)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.step_point", json.dumps(settings)],
            stdout=subprocess.PIPE, text=True, check=True, env=_environment(),
        )  # fmt: skip
        points.append({**settings, **json.loads(done.stdout.splitlines()[-1])})
    return points


def _environment():
    """Environment variables under which a process finds the modules of this one."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def table(result):
    """The result as text."""
    settings = result["settings"]
    side = settings["image_size"]
    lines = [
        f"A training step, {side} x {side}, width {settings['width']}, batch {settings['batch_size']}, "
        f"K = {settings['micro_batches']}; medians of {settings['repeats']}"
    ]
    if "sweeps" in result:
        return "\n".join(lines + _sweep_lines(result["sweeps"]))
    lines.append(
        f"{'':32s}{'images/s':>10s}{'s':>8s}{'from':>8s}{'to':>8s}{'ours x':>8s}"
        f"{'processor s':>13s}{'ours x':>8s}"
    )
    for name, row in result["rows"].items():
        lines.append(
            f"{name:32s}{row['images_per_s']:10.2f}{row['median']:8.2f}{row['low']:8.2f}{row['high']:8.2f}"
            f"{row['ours_to_this']:8.2f}{row['processor_s']:13.2f}{row['processor_ours_to_this']:8.2f}"
        )
    for name, difference in result["differences"].items():
        lines.append(f"{name}: outputs differ by {difference:.0e} with the same weights")
    if "roofline" in result:
        lines += _roofline_lines(result["roofline"], result["profile"])
    return "\n".join(lines)


def _roofline_lines(found, shares, most=12):
    lines = [
        f"Convolutions: {found['gflop']:.0f} GFLOP a step; alone they take {found['attainable_s']:.2f} s of "
        f"{found['step_s']:.2f} s: the step runs at {found['fraction']:.2f} of the rate that its convolutions "
        "reach alone",
        f"{'':18s}{'image':>20s}{'kernel':>18s}{'times':>7s}{'GFLOP/s':>9s}{'s':>8s}",
    ]
    for row in found["rows"][:most]:
        shapes = (" x ".join(map(str, row[name])) for name in ("image", "kernel"))
        image, kernel = shapes
        lines.append(
            f"{row['kind']:18s}{image:>20s}{kernel:>18s}{row['count']:7d}{row['gflop_per_s']:9.0f}"
            f"{row['seconds']:8.3f}"
        )
    lines.append("Where the time goes, of all that TensorFlow's threads spend in operations:")
    return lines + [f"{name:32s}{share:8.1%}" for name, share in shares.items()]


def _sweep_lines(sweeps):
    lines = []
    for name, points in sweeps.items():
        lines.append(
            f"{name:>16s}{'images/s':>10s}{'s a step':>10s}{'from':>8s}{'to':>8s}{'peak MB':>9s}"
            f"{'of a step':>10s}{'tracing s':>10s}"
        )
        lines += [
            f"{p[name]:16d}{p['images_per_s']:10.2f}{p['median']:10.3f}{p['low']:8.3f}{p['high']:8.3f}"
            f"{p['peak_mb']:9.0f}{p['step_mb']:10.0f}{p['tracing_s']:10.1f}"
            for p in points
        ]
    return lines
