"""Serving: SavedModels that a model server, or TensorFlow alone, runs without this package; and a client of them."""

import importlib

_MODULES = {
    "Client": "client",
    "Encoded": "client",
    "FailedError": "errors",
    "Limits": "limits",
    "Reconstruction": "client",
    "RefusedError": "errors",
    "Retries": "retrying",
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
