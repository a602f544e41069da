"""Reading of PyTorch state dicts without PyTorch, and without running code in a pickle.

The format is that of torch before 1.6: a stream of pickles and raw data. The unpickler knows the
names that a state dict needs and refuses any other. Tensors may have any strides, such as those of
channels last.
"""

import collections
import pickle

import numpy as np

_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_MAGIC = 0x1950A86A20F9469CFC6C


def read_state_dict(path):
    """The tensors of a `.pth` file as `{name: numpy array}`.

    Raises:
        ValueError: where the file is not a state dict, or holds anything but tensors.
    """
    try:
        with open(path, "rb") as file:
            lazy = _read(file)
    except (pickle.UnpicklingError, EOFError, KeyError, IndexError) as error:
        raise ValueError(
            f"Not a PyTorch state dict, or one that holds more than tensors ({error}). "
            f"Received: {path}"
        ) from error
    return {name: tensor.array() for name, tensor in lazy.items()}


class _Tensor:
    """What `torch._utils._rebuild_tensor_v2` is called with; the storage may come later."""

    def __init__(self, storage, offset, shape, strides, *_):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self):
        data = self.storage["data"]
        strides = [stride * data.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides)
        return np.ascontiguousarray(view).reshape(self.shape)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, load_storage):
        super().__init__(file, encoding="utf-8")
        self._load_storage = load_storage

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid):
        _, kind, key, _, count = pid[:5]
        return self._load_storage(kind, key, count)


def _read(file):
    storages = {}

    def load_storage(kind, key, count):
        return storages.setdefault(key, {"dtype": _DTYPES[kind], "count": count})

    # The stream: a magic number, the protocol, system information, the state, keys, then raw data.
    magic, _, _, state, keys = (_Unpickler(file, load_storage).load() for _ in range(5))
    if magic != _MAGIC:
        raise pickle.UnpicklingError("its first number is not PyTorch's")
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(file.read(8), "little")
        if count != storage["count"]:
            raise pickle.UnpicklingError(f"storage {key} has {count} elements")
        dtype = np.dtype(storage["dtype"])
        storage["data"] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return state
