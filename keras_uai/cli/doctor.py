"""Says what is installed: versions, devices, presets, and what is missing for what.

    keras-uai doctor

KERAS_BACKEND=jax (or tensorflow) before it asks for the other backend.
"""

import importlib.metadata
import importlib.util
import platform
import sys


def define():
    """This command has no flags."""


def run(options):
    """Returns the report."""
    from keras_uai import __file__ as package
    from keras_uai import presets
    from keras_uai.training import environment

    hardware, versions = environment.hardware(), environment.versions()
    backend = versions.pop("backend")
    lines = {
        "keras_uai": f"{versions.pop('keras_uai')}, {package}",
        "python": f"{versions.pop('python')}, {sys.executable}, {platform.platform()}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "backend": backend,
        "processor": f"{hardware['processor']}, {hardware['cores']} cores",
        "accelerators": ", ".join(hardware["accelerators"]) or "none",
        "presets": ", ".join(presets.available()) or "none",
        **missing(),
    }
    return "\n".join(f"{name:18s}{text}" for name, text in lines.items())


def missing():
    """Returns `{name of an extra, or "requirements": its missing packages, or "complete"}`."""
    from packaging.requirements import Requirement

    found = {}
    try:
        requirements = importlib.metadata.requires("keras_uai")
    except importlib.metadata.PackageNotFoundError:
        return {"requirements": "unknown: keras_uai is not installed, only imported"}
    for requirement in map(Requirement, requirements):
        extra = str(requirement.marker).partition("extra == ")[2].strip("\"'")
        lacks = found.setdefault(extra, [])
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            lacks.append(f"{requirement.name} is missing")
        else:
            if not requirement.specifier.contains(version, prereleases=True):
                lacks.append(f"{requirement.name} {version} is not {requirement.specifier}")
    return {
        f"extra {extra}" if extra else "requirements": f"{', '.join(lacks)} (pip install "
        f'"keras_uai{f"[{extra}]" if extra else ""}")'
        if lacks
        else "complete"
        for extra, lacks in found.items()
    }
