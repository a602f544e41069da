"""Versions and hardware of a run, for its records."""

import importlib.metadata
import os
import platform

import keras

from keras_uai import backend

_PACKAGES = ("keras", "tensorflow", "jax", "numpy")


def describe():
    """Returns `{"versions": ..., "hardware": ...}`, dicts of JSON values."""
    return {"versions": versions(), "hardware": hardware()}


def versions():
    """Returns `{package: version}` of the packages that numbers may depend on."""
    from keras_uai import __version__

    found = {"keras_uai": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**found, "backend": keras.backend.backend()}


def hardware():
    """Returns the processor, the number of usable cores, and the accelerators."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "processor": _processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "accelerators": backend.accelerators(),
    }


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(
                line.split(":")[1].strip() for line in file if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
