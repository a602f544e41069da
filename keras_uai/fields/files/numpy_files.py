"""`.npy` and `.npz` files."""

import contextlib

import numpy as np

from keras_uai import files
from keras_uai.fields.files.base import FieldFile, check_memory
from keras_uai.fields.files.storage import Encoding, StoredArray


class NumpyFile(FieldFile):
    """A `.npy` file, or a `.npz` file with `data` and, if there is one, `mask` and `never_fill`.

    Writes NAME.npy, NAME_std.npy and NAME_samples.npy, or one NAME.npz with all arrays of the input
    and `std` and `samples`. Arrays are `(H, W)`, `(T, H, W)` or `(T, H, W, C)`.
    """

    OPTIONS = ("nodata", "variable")

    def __init__(self, path, nodata=None, variable=None):
        self.path = path
        found = files.read_arrays(path)
        self.is_archive = isinstance(found, dict)
        if variable and not self.is_archive:
            raise ValueError(f"`--variable` is for .npz files. Received: --variable={variable}")
        self.contents = found if self.is_archive else {}
        self.variable = variable or "data"
        if self.is_archive and self.variable not in found:
            raise ValueError(
                f"`--variable` must name an array of {path}: {', '.join(found) or 'it has none'}. "
                f"Received: --variable={self.variable}"
            )
        stored = found[self.variable] if self.is_archive else found
        check_memory(path, stored.nbytes)
        if not 2 <= stored.ndim <= 4 or 0 in stored.shape:
            raise ValueError(
                "Arrays must have shape (H, W), (T, H, W) or (T, H, W, C). "
                f"Received: {path} with shape {stored.shape}"
            )
        self.has_channels = stored.ndim == 4
        self.marked = stored.dtype.kind == "f" or nodata is not None
        encoding = Encoding(stored.dtype, marks=(nodata,))
        self.array = StoredArray(np.array(stored), encoding, name=path)

    def planes(self):
        return [name for name in self.contents if name != self.variable]

    def plane(self, name):
        return self.contents[name]

    def own_plane(self, flag):
        return flag if flag in self.planes() else None

    def outputs(self, out, save_samples):
        return [out] if self.is_archive else super().outputs(out, save_samples)

    def write(self, out, result, command, save_samples=False):
        """Writes the result; `command` is not recorded, as arrays have no history."""
        filled, std, samples = self.unpack(result, save_samples)
        more = {} if samples is None else {"samples": samples}
        if self.is_archive:
            contents = {**self.contents, self.variable: filled, "std": std, **more}
            files.atomic_write(out, lambda file: np.savez_compressed(file, **contents))
            return
        with contextlib.ExitStack() as all_files:
            paths = self.outputs(out, save_samples)
            for path, array in zip(paths, [filled, std, *more.values()], strict=True):
                temporary = all_files.enter_context(files.atomic_path(path))
                np.save(temporary, array)
