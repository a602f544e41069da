"""Value scaling: the user's numbers to network units near [-1, 1], and back."""

import itertools

import keras
import numpy as np
from keras import ops

from keras_uai.configurable import Configurable

_MAX = {"uint8": 255, "uint16": 65535}


@keras.saving.register_keras_serializable("keras_uai")
class ValueScaling(Configurable):
    """Maps image values to network units and back. It belongs to a model and is saved with it.

    uint8 and uint16 images are scaled by their range: `y = v / (max / 2) - 1`. No integer maps to
    0, so that 0 can mark missing pixels. `decode` clips to [-1, 1] and rounds.

    All other values are scaled per channel: `y = (v - location) / scale`. `decode` does not clip
    floats. `fit` computes location and scale from the observed values.

    Args:
        dtype: string, the dtype of the images. Default: `"uint8"`.
        location: float or list of C floats, in the images' units. Default: 0, for dtypes other
            than uint8 and uint16.
        scale: float or list of C floats above 0, in the images' units. Default: 1.

    Example:

    >>> values = keras_uai.values.ValueScaling("uint8")
    >>> values.decode(values.encode(np.array([0, 7, 255], "uint8")))
    array([  0,   7, 255], dtype=uint8)
    """

    def __init__(self, dtype="uint8", location=None, scale=None):
        self.dtype = np.dtype(dtype).name
        if np.dtype(dtype).kind not in "iuf":
            raise ValueError(
                "ValueScaling: `dtype` must be an integer or float dtype. "
                f"Received: dtype={dtype!r}"
            )
        self.is_bounded = self.dtype in _MAX and location is None and scale is None
        self.location = None if self.is_bounded else _numbers("location", location, 0.0)
        self.scale = None if self.is_bounded else _numbers("scale", scale, 1.0)
        if not self.is_bounded and min(self.scale) <= 0:
            raise ValueError(f"ValueScaling: `scale` must be above 0. Received: scale={scale!r}")

    @classmethod
    def fit(cls, arrays, masks=None):
        """Computes the scaling of some images from their observed values.

        Args:
            arrays: array `(N, H, W, C)`, or an iterable of arrays `(H, W, C)` of any sizes.
                NaN, infinite and masked values are missing.
            masks: `(N, H, W, 1)` or `(N, H, W, C)`, or an iterable of `(H, W, 1)` or `(H, W, C)`;
                1 = observed. Default: everything that is finite.

        Returns:
            A `ValueScaling`: by range for uint8 and uint16. Otherwise `location` is the mean and
            `scale` two standard deviations of each channel's observed values; the scale of a
            constant channel is 1.

        Raises:
            ValueError: if a channel has no observed value.
        """
        masks = itertools.repeat(1.0) if masks is None else masks
        dtype, count, total, squares, shift = None, 0, 0.0, 0.0, None
        for array, mask in zip(arrays, masks, strict=False):
            dtype = array.dtype if dtype is None else np.promote_types(dtype, array.dtype)
            if dtype.name in _MAX:
                return cls(dtype.name)
            v = np.ma.getdata(array).astype("float64")
            seen = np.isfinite(v) & ~np.ma.getmaskarray(array) & (np.asarray(mask) > 0.5)
            if shift is None:  # keeps the sums of squares small
                shift = v[seen].mean() if seen.any() else 0.0
            v = np.where(seen, v - shift, 0.0)
            axes = tuple(range(v.ndim - 1))
            count = count + seen.sum(axis=axes)
            total, squares = total + v.sum(axis=axes), squares + (v**2).sum(axis=axes)
        if dtype is None:
            raise ValueError("ValueScaling.fit: `arrays` must not be empty. Received: no array")
        if not count.all():
            raise ValueError(
                "ValueScaling.fit: every channel must have observed values. "
                f"Received: none in channel {int(np.argmin(count))}"
            )
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        mean = mean + shift
        scale = np.where(deviation > 1e-6 * np.abs(mean), 2.0 * deviation, 1.0)
        return cls(dtype.name, mean.tolist(), scale.tolist())

    def encode(self, v):
        """Returns `v` `(..., C)` in network units, float32.

        NumPy arrays give NumPy arrays, tensors give tensors. NaN stays NaN.
        """
        tensor = _is_tensor(v)
        cast = ops.cast if tensor else np.asarray
        if self.is_bounded:
            return cast(v, "float32") / np.float32(_MAX[self.dtype] / 2.0) - np.float32(1.0)
        precision = "float32" if tensor else "float64"
        location, scale = np.array(self.location, precision), np.array(self.scale, precision)
        return cast((cast(v, precision) - location) / scale, "float32")

    def decode(self, y):
        """Returns network units `y` `(..., C)` as values of `dtype`; inverse of `encode`."""
        tensor = _is_tensor(y)
        cast, namespace = (ops.cast, ops) if tensor else (np.asarray, np)
        if self.is_bounded:
            y = namespace.clip(cast(y, "float32"), -1.0, 1.0)
            v = (y + np.float32(1.0)) * np.float32(_MAX[self.dtype] / 2.0)
            return cast(namespace.round(v), self.dtype)
        precision = "float32" if tensor else "float64"
        location, scale = np.array(self.location, precision), np.array(self.scale, precision)
        v = cast(y, precision) * scale + location
        if np.dtype(self.dtype).kind != "f":
            limits = np.iinfo(self.dtype)
            v = namespace.clip(namespace.round(v), limits.min, limits.max)
        return cast(v, self.dtype)

    def clip(self, y):
        """Clips network units to [-1, 1] where values are scaled by range; otherwise returns y."""
        if not self.is_bounded:
            return y
        return ops.clip(y, -1.0, 1.0) if _is_tensor(y) else np.clip(y, -1.0, 1.0)

    def of(self, dtype):
        """Returns the scaling for an array of `dtype` that is given to a model with this one.

        A model of 8-bit images takes 16-bit images by their own range, and the reverse.
        """
        name = np.dtype(dtype).name
        return ValueScaling(name) if self.is_bounded and name in _MAX else self

    def get_config(self):
        return {"dtype": self.dtype, "location": self.location, "scale": self.scale}


def get(identifier):
    """Returns a `ValueScaling` from one, its config, a dtype's name, or None (uint8)."""
    found = identifier
    if identifier is None or isinstance(identifier, str):
        found = ValueScaling(identifier or "uint8")
    elif isinstance(identifier, dict):
        found = keras.saving.deserialize_keras_object(identifier)
    if isinstance(found, ValueScaling):
        return found
    raise ValueError(
        "`values` must be a ValueScaling, its config, a dtype's name or None. "
        f"Received: values={identifier!r}"
    )


def _is_tensor(v):
    return keras.backend.is_keras_tensor(v) or ops.is_tensor(v)


def _numbers(name, value, default):
    found = [default] if value is None else np.atleast_1d(value).astype("float64").tolist()
    if not found or not np.isfinite(found).all():
        raise ValueError(
            f"ValueScaling: `{name}` must be a finite float or one a channel. "
            f"Received: {name}={value!r}"
        )
    return found
