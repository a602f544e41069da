"""Common parts of the benchmarks: interleaved runs, medians, memory, and the machine."""

import importlib
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np


def in_turn(cases, repeats):
    """Runs each of `{name: function}` once, and all again until each ran `repeats` times.

    Other load on the machine then affects all cases alike.

    Returns:
        `{name: last value}` and `{name: [seconds]}`.
    """
    values = {}
    seconds = {name: [] for name in cases}
    for _ in range(repeats):
        for name, function in cases.items():
            begun = time.perf_counter()
            values[name] = function()
            seconds[name].append(time.perf_counter() - begun)
    return values, seconds


def summary(seconds):
    """Returns `{"median", "low", "high"}`."""
    return {
        "median": float(np.median(seconds)),
        "low": float(np.min(seconds)),
        "high": float(np.max(seconds)),
    }


def ratio(seconds, reference):
    """Returns the median of the ratios of runs made side by side."""
    return float(np.median(np.divide(seconds, reference)))


def peak_bytes():
    """Returns the largest resident set that this process had."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    except OSError:  # no Linux, where `ru_maxrss` would include the memory of the parent process
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_process(module, settings):
    """Returns `module.measure(settings)`, computed in a process of its own.

    Args:
        module: A module of the benchmarks.
        settings: Dict of JSON values.
    """
    command = [sys.executable, "-m", "benchmarks.timing", module.__name__, json.dumps(settings)]
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    return json.loads(done.stdout.splitlines()[-1])


def machine(packages):
    """Returns the machine, and the versions of `packages`, for the record."""
    from keras_uai.training import environment

    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    found = {**environment.hardware(), "load_before": os.getloadavg()[0]}
    return {"machine": found, "versions": {**environment.versions(), **versions}}


def describe_machine(result):
    """Returns a line about the machine of a result."""
    found = result["machine"]
    cores = f"{found['cores']} cores, load {found['load_before']:.1f} before"
    accelerators = "".join(f", {name}" for name in found["accelerators"])
    packages = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return f"{found['processor']}, {cores}{accelerators}; {packages}"


if __name__ == "__main__":
    print(json.dumps(importlib.import_module(sys.argv[1]).measure(json.loads(sys.argv[2]))))
