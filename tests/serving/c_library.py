"""Runs signatures of a SavedModel through TensorFlow's C library, as a model server does.

    python c_library.py LIBRARY... SAVED_MODEL REQUESTS ANSWERS

REQUESTS is a folder of files NAME.npz with the arrays to feed and the names of the tensors to fetch.
NAME.npz in the folder ANSWERS then holds what came back, or the error's code and message. (numpy has no
strings that end in zeros, and nothing is pickled: they travel as uint8 arrays with their lengths.)
"""

import ctypes
import pathlib
import sys

import numpy as np

_FLOAT, _INT32, _UINT8, _STRING, _INT64 = 1, 3, 4, 7, 9
_TYPES = {"float32": _FLOAT, "int32": _INT32, "uint8": _UINT8, "int64": _INT64}
_STRING_BYTES = 24  # of a TF_TString


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Library:
    """The functions this needs, from libtensorflow_framework and libtensorflow_cc."""

    def __init__(self, paths):
        self.parts = [ctypes.CDLL(path, ctypes.RTLD_GLOBAL) for path in paths]
        self.status = self("NewStatus", ctypes.c_void_p)()

    def __call__(self, name, result=None):
        for part in self.parts:
            try:
                function = getattr(part, f"TF_{name}")
            except AttributeError:
                continue
            function.restype = result
            return function
        raise AttributeError(f"TensorFlow's C library has no TF_{name}")

    def error(self):
        """`(code, message)`; code 0 is success."""
        code = self("GetCode", ctypes.c_int)(ctypes.c_void_p(self.status))
        return code, self("Message", ctypes.c_char_p)(ctypes.c_void_p(self.status)).decode()

    def check(self):
        code, message = self.error()
        if code:
            raise RuntimeError(f"{code}: {message}")

    # -- tensors ---------------------------------------------------------------------------------

    def tensor(self, value):
        """A TF_Tensor of a numpy array, or of a list of bytes."""
        strings = isinstance(value, list)
        shape = (len(value),) if strings else value.shape
        size = _STRING_BYTES * len(value) if strings else value.nbytes
        dims = (ctypes.c_int64 * len(shape))(*shape)
        tensor = self("AllocateTensor", ctypes.c_void_p)(
            _STRING if strings else _TYPES[value.dtype.name],
            dims,
            len(shape),
            ctypes.c_size_t(size),
        )
        data = self._data(tensor)
        if strings:
            for i, text in enumerate(value):
                at = ctypes.c_void_p(data + i * _STRING_BYTES)
                self("StringInit")(at)
                self("StringCopy")(at, text, ctypes.c_size_t(len(text)))
        else:
            ctypes.memmove(data, np.ascontiguousarray(value).ctypes.data, size)
        return tensor

    def array(self, tensor):
        """A TF_Tensor as a numpy array; of strings, an object array of bytes."""
        pointer = ctypes.c_void_p(tensor)
        rank = self("NumDims", ctypes.c_int)(pointer)
        shape = [self("Dim", ctypes.c_int64)(pointer, i) for i in range(rank)]
        kind, data = self("TensorType", ctypes.c_int)(pointer), self._data(tensor)
        if kind == _STRING:
            count = int(np.prod(shape, dtype="int64"))
            texts = np.empty(count, dtype=object)
            for i in range(count):
                at = ctypes.c_void_p(data + i * _STRING_BYTES)
                length = self("StringGetSize", ctypes.c_size_t)(at)
                start = self("StringGetDataPointer", ctypes.c_void_p)(at)
                texts[i] = ctypes.string_at(start, length)
            return texts.reshape(shape)
        dtype = next(name for name, number in _TYPES.items() if number == kind)
        size = self("TensorByteSize", ctypes.c_size_t)(pointer)
        return np.frombuffer(ctypes.string_at(data, size), dtype).reshape(shape)

    def _data(self, tensor):
        return self("TensorData", ctypes.c_void_p)(ctypes.c_void_p(tensor))

    # -- sessions --------------------------------------------------------------------------------

    def load(self, folder):
        """`(session, graph)` of a SavedModel with the tag "serve"."""
        options = self("NewSessionOptions", ctypes.c_void_p)()
        graph = self("NewGraph", ctypes.c_void_p)()
        session = self("LoadSessionFromSavedModel", ctypes.c_void_p)(
            ctypes.c_void_p(options), None, folder.encode(), (ctypes.c_char_p * 1)(b"serve"), 1,
            ctypes.c_void_p(graph), None, ctypes.c_void_p(self.status),
        )  # fmt: skip
        self.check()
        return session, graph

    def run(self, session, graph, feeds, fetches):
        """Arrays of the tensors named in `fetches`; see `error` where there are none."""
        inputs = (Output * len(feeds))(*(self._output(graph, name) for name in feeds))
        values = (ctypes.c_void_p * len(feeds))(*(self.tensor(v) for v in feeds.values()))
        outputs = (Output * len(fetches))(*(self._output(graph, name) for name in fetches))
        found = (ctypes.c_void_p * len(fetches))()
        self("SessionRun")(
            ctypes.c_void_p(session), None, inputs, values, len(feeds), outputs, found,
            len(fetches), None, 0, None, ctypes.c_void_p(self.status),
        )  # fmt: skip
        return None if self.error()[0] else [self.array(tensor) for tensor in found]

    def _output(self, graph, name):
        operation, _, index = name.partition(":")
        found = self("GraphOperationByName", ctypes.c_void_p)(
            ctypes.c_void_p(graph), operation.encode()
        )
        if not found:
            raise ValueError(f"The graph has no operation {operation!r}")
        return Output(found, int(index or 0))


def pack(arrays):
    """Arrays and lists of bytes as arrays that `np.savez` writes without pickling."""
    packed = {}
    for name, value in arrays.items():
        if isinstance(value, list) or value.dtype == object:
            texts = list(np.asarray(value, dtype=object).reshape(-1))
            packed[f"bytes|{name}"] = np.frombuffer(b"".join(texts), "uint8")
            packed[f"lengths|{name}"] = np.array([len(text) for text in texts], "int64")
            packed[f"shape|{name}"] = np.array(np.shape(np.asarray(value, dtype=object)), "int64")
        else:
            packed[f"array|{name}"] = value
    return packed


def unpack(packed):
    """What `pack` was given; strings as object arrays."""
    arrays = {}
    for key in packed:
        kind, _, name = key.partition("|")
        if kind == "array":
            arrays[name] = packed[key]
        elif kind == "lengths":
            ends = np.cumsum(packed[key])
            whole = packed[f"bytes|{name}"].tobytes()
            texts = np.empty(len(ends), dtype=object)
            texts[:] = [whole[e - n : e] for e, n in zip(ends, packed[key], strict=True)]
            arrays[name] = texts.reshape(packed[f"shape|{name}"])
    return arrays


def main(*arguments):
    *libraries, folder, requests, answers = arguments
    library = Library(libraries)
    session, graph = library.load(folder)
    for request in sorted(pathlib.Path(requests).glob("*.npz")):
        with np.load(request) as file:
            arrays = unpack(file)
        fetches = {
            n.removeprefix("fetch "): str(v) for n, v in arrays.items() if n.startswith("fetch ")
        }
        feeds = {
            n.removeprefix("feed "): list(v) if v.dtype == object else v
            for n, v in arrays.items()
            if n.startswith("feed ")
        }
        found = library.run(session, graph, feeds, list(fetches.values()))
        if found is None:
            code, message = library.error()
            found, fetches = [np.array(code), np.array(message)], ("code", "message")
        answer = pathlib.Path(answers) / request.name
        np.savez(answer, **pack(dict(zip(fetches, found, strict=True))))
    if "tensorflow" in sys.modules or "keras" in sys.modules:
        raise RuntimeError("This process was to do without Python's TensorFlow.")


if __name__ == "__main__":
    main(*sys.argv[1:])
