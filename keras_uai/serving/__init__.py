"""Serving: SavedModels for a model server or TensorFlow alone, and a client of any model."""

import importlib

_MODULES = {
    "Client": "client",
    "Contract": "contract",
    "FailedError": "errors",
    "Limits": "contract",
    "Reconstruction": "client",
    "RefusedError": "errors",
    "UnavailableError": "errors",
    "export": "exporting",
}

__all__ = sorted(_MODULES)


def __getattr__(name):
    if name in _MODULES:
        return getattr(importlib.import_module(f"keras_uai.serving.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'keras_uai.serving' has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(_MODULES))
