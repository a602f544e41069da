"""PyTorch files are read exactly as PyTorch wrote them, and run nothing.

The files are written here with PyTorch's own pickles typed out, so that no test needs PyTorch.
"""

import collections
import pickle
import struct

import numpy as np
import pytest

from keras_uai.metrics.extractors.torch_weights import _MAGIC, read_state_dict

VALUES = np.arange(24, dtype="<f4")


def dumped(value):
    """The pickle of a value, without its begin and end."""
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor(key, kind, offset, shape, strides):
    """The pickle of a call of `torch._utils._rebuild_tensor_v2`."""
    storage = b"(" + dumped("storage") + f"ctorch\n{kind}\n".encode() + dumped(key)
    storage += dumped("cpu") + dumped(24) + b"NtQ"
    arguments = storage + dumped(offset) + dumped(shape) + dumped(strides) + dumped(False)
    arguments += dumped(collections.OrderedDict())
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def write(path):
    tensors = {
        "plain": tensor("0", "FloatStorage", 0, (2, 3, 4), (12, 4, 1)),
        "channels_last": tensor("0", "FloatStorage", 0, (2, 4, 3), (12, 1, 4)),
        "part": tensor("0", "FloatStorage", 20, (2, 2), (2, 1)),
        "counter": tensor("1", "LongStorage", 0, (), ()),
    }
    items = b"".join(dumped(name) + value for name, value in tensors.items())
    state = b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."
    head = [pickle.dumps(part, protocol=2) for part in (_MAGIC, 1001, {"little_endian": True})]
    data = [struct.pack("<q", 24), VALUES.tobytes(), struct.pack("<qq", 1, 7)]
    path.write_bytes(b"".join([*head, state, pickle.dumps(["0", "1"], protocol=2), *data]))


def test_values_and_strides(tmp_path):
    write(tmp_path / "weights.pth")
    found = read_state_dict(tmp_path / "weights.pth")
    assert np.array_equal(found["plain"], VALUES.reshape(2, 3, 4))
    assert np.array_equal(found["channels_last"], VALUES.reshape(2, 3, 4).transpose(0, 2, 1))
    assert np.array_equal(found["part"], [[20, 21], [22, 23]])
    assert found["counter"] == 7
    assert found["counter"].shape == ()
    assert found["plain"].dtype == np.float32


def test_other_files_are_refused_and_run_nothing(tmp_path):
    path = tmp_path / "weights.pth"
    write(path)
    harm = b"\x80\x02cos\nmkdir\n(" + dumped(str(tmp_path / "harm")) + b"tR."
    for content in (harm, b"", b"no pickle", pickle.dumps(3) * 5, path.read_bytes()[:-100]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="must be a PyTorch state dict"):
            read_state_dict(path)
    assert not (tmp_path / "harm").exists()
