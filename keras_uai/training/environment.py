"""Versions and hardware of a run, for its records."""

import contextlib
import importlib.metadata
import os
import platform
import re

import keras

from keras_uai import backend


def describe():
    """Returns `{"versions": ..., "hardware": ...}`, dicts of JSON values."""
    return {"versions": versions(), "hardware": hardware()}


def versions():
    """Returns `{package: version}` of the packages that numbers may depend on."""
    from keras_uai import __version__

    found = {"keras_uai": __version__, "python": platform.python_version()}
    for package in ("keras", "tensorflow", "jax", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return {**found, "backend": keras.backend.backend()}


def hardware():
    """Returns the processor, the number of usable cores, and the accelerators."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = (re.findall(r"model name\s*: (.*)", file.read()) or [processor])[0]
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return {"processor": processor, "cores": cores, "accelerators": backend.accelerators()}
