"""What every benchmark shares: runs in turn, medians with their spread, and the machine."""

import importlib.metadata
import os
import time

import numpy as np


def in_turn(cases, repeats):
    """Runs each of `{name: function}` `repeats` times, one after the other and then again.

    Whatever else the machine does, and however warm it is, then falls on all alike.

    Returns:
        `{name: last value}` and `{name: [seconds]}`.
    """
    values, seconds = {}, {name: [] for name in cases}
    for _ in range(repeats):
        for name, function in cases.items():
            begun = time.perf_counter()
            values[name] = function()
            seconds[name].append(time.perf_counter() - begun)
    return values, seconds


def summary(seconds):
    """`{"median", "low", "high"}`."""
    return {
        "median": float(np.median(seconds)),
        "low": float(np.min(seconds)),
        "high": float(np.max(seconds)),
    }


def ratio(seconds, reference):
    """Median of the ratios of runs that were made side by side."""
    return float(np.median(np.divide(seconds, reference)))


def machine(packages):
    """The machine and the versions of packages, for the record."""
    from keras_uai.experiment import hardware

    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    found = {**hardware.hardware(), "load_before": os.getloadavg()[0]}
    return {"machine": found, "versions": {**hardware.versions(), **versions}}


def describe_machine(result):
    """The machine of a result as one line."""
    found, versions = result["machine"], result["versions"]
    cores = f"{found['cores']} cores, load {found['load_before']:.1f} before"
    accelerators = "".join(f", {name}" for name in found["accelerators"])
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{found['processor']}, {cores}{accelerators}; {packages}"
