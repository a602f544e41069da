"""Reading of PyTorch state dicts without PyTorch, and without running code in a pickle.

The format is that of torch before 1.6: a stream of pickles and raw data. The unpickler knows the
names that a state dict needs and refuses any other.
"""

import collections
import pickle

import numpy as np

_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
_MAGIC = 0x1950A86A20F9469CFC6C


def read_state_dict(path):
    """Returns the tensors of a `.pth` file as `{name: array}`.

    Raises:
        ValueError: if the file is not a state dict, or holds anything but tensors.
    """
    try:
        with open(path, "rb") as file:
            return _read(file)
    except (pickle.UnpicklingError, EOFError, KeyError, IndexError, ValueError) as error:
        raise ValueError(
            "The file must be a PyTorch state dict that holds tensors only. "
            f"Received: {path} ({error})"
        ) from error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid):
        _, dtype, key, *_ = pid
        return key, dtype


def _read(file):
    # The stream: a magic number, the protocol, system information, the state, keys, then raw data.
    magic, _, _, state, keys = (_Unpickler(file).load() for _ in range(5))
    if magic != _MAGIC:
        raise pickle.UnpicklingError("its first number is not PyTorch's")
    dtypes = dict(storage for storage, *_ in state.values())
    data = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        dtype = dtypes[key]
        data[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    return {
        name: np.lib.stride_tricks.as_strided(
            data[key][offset:], shape, [stride * dtype.itemsize for stride in strides]
        ).copy()
        for name, ((key, dtype), offset, shape, strides) in state.items()
    }
