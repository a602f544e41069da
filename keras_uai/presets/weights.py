"""Weights of a preset as HDF5: `/network/path/of/variable`, without pickles."""

import hashlib

import h5py
import keras
import numpy as np


def write(path, networks, float16=True):
    """Writes the weights of networks, a dict `{name: network}`, into a new file.

    With `float16`, arrays of two or more dimensions (kernels) are rounded to it where nothing
    overflows. Scales, biases and moving statistics stay float32.
    """
    with h5py.File(path, "w") as file:
        for name, network in networks.items():
            for variable in network.weights:
                value = keras.ops.convert_to_numpy(variable)
                if float16 and value.ndim > 1 and np.abs(value).max() <= np.finfo("float16").max:
                    value = value.astype("float16")
                packing = {"compression": "gzip", "shuffle": True} if value.size > 1024 else {}
                file.create_dataset(
                    f"{name}/{variable.path}", data=value, track_times=False, **packing
                )


def digest(path):
    """Returns the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path, expected=None):
    """Returns what `write` stored as `{name of a network: {path of a variable: array}}`.

    Raises:
        ValueError: the file is damaged, or its `digest` is not the `expected` one.
    """
    try:
        if expected not in (None, digest(path)):
            raise ValueError("it is not the file that was saved with its config.json")
        with h5py.File(path, "r") as file:
            return {name: arrays(group) for name, group in file.items()}
    except Exception as error:  # HDF5 has many kinds for damaged files
        raise ValueError(f"The weights cannot be read: {error}. Received: {path}") from error


def assign(network, values, name, path):
    """Assigns `{path of a variable: array}`, read from a file, to the network `name`."""
    expected = {variable.path: tuple(variable.shape) for variable in network.weights}
    found = {key: value.shape for key, value in values.items()}
    if found != expected:
        different = sorted({key for key, _ in set(expected.items()) ^ set(found.items())})
        raise ValueError(
            f"The weights in the file are not those of this {name}: were its arguments overridden? "
            f"load_weights=False gives a fresh one. Received: {path}, which differs in "
            f"{len(different)} variables, such as {different[0]}"
        )
    for variable in network.weights:
        variable.assign(values[variable.path].astype(variable.dtype, copy=False))


def arrays(group):
    """Returns `{path: array}` of all that an HDF5 group or file holds."""
    found = {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset):
            found[path] = item[()]

    group.visititems(visit)
    return found
