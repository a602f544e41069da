"""Weights of a preset as HDF5: `/network/path/of/variable`, without pickles."""

import contextlib

import h5py
import keras
import numpy as np


def write(path, networks, float16=True):
    """Writes the weights of networks.

    Args:
        path: path of the new file.
        networks: dict `{name: network}`.
        float16: bool; rounds arrays of two or more dimensions (kernels) to float16 where nothing
            overflows. Scales, biases and moving statistics stay float32. Default: True.
    """
    with h5py.File(path, "w") as file:
        for name, network in networks.items():
            for variable in network.weights:
                value = keras.ops.convert_to_numpy(variable)
                if float16 and value.ndim > 1 and value.dtype == np.float32:
                    value = _half(value)
                packing = {"compression": "gzip", "shuffle": True} if value.size > 1024 else {}
                file.create_dataset(
                    f"{name}/{variable.path}", data=value, track_times=False, **packing
                )


def read(path, networks):
    """Assigns weights that `write` stored.

    Args:
        path: path of the file.
        networks: dict `{name: [network, ...]}`; all networks of a name get the same weights.

    Raises:
        ValueError: If the file cannot be read, or holds other variables than the networks have.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r"))
            values = {name: _arrays(file[name]) for name in networks}
        except (OSError, KeyError, RuntimeError) as error:
            raise ValueError(f"The weights cannot be read: {error}. Received: {path}") from error
    for name, copies in networks.items():
        expected = {variable.path: tuple(variable.shape) for variable in copies[0].weights}
        found = {key: value.shape for key, value in values[name].items()}
        if found != expected:
            different = sorted({key for key, _ in set(expected.items()) ^ set(found.items())})
            raise ValueError(
                f"The weights in the file are not those of this {name}: were its arguments "
                f"overridden? load_weights=False gives a fresh one. Received: {path}, which "
                f"differs in {len(different)} variables, such as {different[0]}"
            )
        for network in copies:
            for variable in network.weights:
                variable.assign(values[name][variable.path].astype(variable.dtype, copy=False))


def stored_networks(path):
    """Returns the names of the networks in a file of weights."""
    try:
        with h5py.File(path, "r") as file:
            return list(file)
    except OSError as error:
        raise ValueError(f"The weights cannot be read: {error}. Received: {path}") from error


def _half(value):
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    return half if np.isfinite(half).all() else value


def _arrays(group):
    found = {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset):
            found[path] = item[()]

    group.visititems(visit)
    return found
