"""PyTorch files are read exactly as PyTorch wrote them, and run nothing.

The files are written here with PyTorch's own pickles typed out, so that no test needs PyTorch.
"""

import collections
import io
import pickle
import struct

import numpy as np
import pytest

from keras_uai.metrics.extractors.torch_weights import _MAGIC, read_state_dict

VALUES = np.arange(24, dtype="<f4")


class _Global:
    """Pickles as the name of something importable, without importing it."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class _Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


class _Storage:
    def __init__(self, key, count, kind="FloatStorage"):
        self.key, self.count, self.kind = key, count, kind


class _Pickler(pickle._Pickler):
    def persistent_id(self, value):
        if isinstance(value, _Storage):
            return ("storage", _Global("torch", value.kind), value.key, "cpu", value.count, None)
        return None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, _Global):
            self.write(f"c{value.module}\n{value.name}\n".encode())
        elif isinstance(value, _Call):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(value, save_persistent_id)


def pickled(value):
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def tensor(storage, offset, shape, strides):
    rebuild = _Global("torch._utils", "_rebuild_tensor_v2")
    return _Call(rebuild, storage, offset, shape, strides, False, collections.OrderedDict())


def state():
    storage, scalar = _Storage("0", 24), _Storage("1", 1, "LongStorage")
    return collections.OrderedDict(
        plain=tensor(storage, 0, (2, 3, 4), (12, 4, 1)),
        channels_last=tensor(storage, 0, (2, 4, 3), (12, 1, 4)),
        part=tensor(storage, 20, (2, 2), (2, 1)),
        counter=tensor(scalar, 0, (), ()),
    )


def write(path):
    parts = [pickled(part) for part in (_MAGIC, 1001, {"little_endian": True}, state())]
    parts.append(pickled(["0", "1"]))
    parts += [struct.pack("<q", 24), VALUES.tobytes(), struct.pack("<qq", 1, 7)]
    path.write_bytes(b"".join(parts))


def test_values_and_strides(tmp_path):
    write(tmp_path / "weights.pth")
    found = read_state_dict(tmp_path / "weights.pth")
    assert np.array_equal(found["plain"], VALUES.reshape(2, 3, 4))
    assert np.array_equal(found["channels_last"], VALUES.reshape(2, 3, 4).transpose(0, 2, 1))
    assert np.array_equal(found["part"], [[20, 21], [22, 23]])
    assert found["counter"] == 7
    assert found["counter"].shape == ()
    assert found["plain"].dtype == np.float32


def test_a_file_that_would_run_something_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    harm = {"x": _Call(_Global("os", "mkdir"), str(tmp_path / "harm"))}
    path.write_bytes(pickled(harm))
    with pytest.raises(ValueError, match=r"tensors only.*it asks for os.mkdir"):
        read_state_dict(path)
    assert not (tmp_path / "harm").exists()


def test_other_files_are_refused(tmp_path):
    for content in (b"", b"no pickle", pickled(3) * 5):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ValueError, match="must be a PyTorch state dict"):
            read_state_dict(tmp_path / "file")
    write(tmp_path / "short.pth")
    (tmp_path / "short.pth").write_bytes((tmp_path / "short.pth").read_bytes()[:-100])
    with pytest.raises(ValueError, match="must be a PyTorch state dict"):
        read_state_dict(tmp_path / "short.pth")
