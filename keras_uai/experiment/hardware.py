"""What a run was made with: versions and hardware, for its records."""

import importlib.metadata
import os
import platform

import keras

from keras_uai import backend

_PACKAGES = ("keras", "tensorflow", "jax", "numpy")


def versions():
    """`{package: version}` of what numbers may depend on."""
    import keras_uai

    found = {"keras_uai": keras_uai.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**found, "backend": keras.backend.backend()}


def hardware():
    """Processor, cores that may be used, and accelerators, a dict of JSON values."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
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
