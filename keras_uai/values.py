"""Value scaling: the user's numbers to network units near [-1, 1], and back."""

import keras
import numpy as np
from keras import ops

_MAX = {"uint8": 255, "uint16": 65535}


@keras.saving.register_keras_serializable("keras_uai")
class ValueScaling:
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
                NaN and infinite values are missing; so are the masked values of masked arrays.
            masks: `(N, H, W, 1)` or `(N, H, W, C)`, or an iterable of `(H, W, 1)` or `(H, W, C)`;
                1 = observed. Default: everything that is finite.

        Returns:
            A `ValueScaling`: by range for uint8 and uint16. Otherwise `location` is the mean and
            `scale` two standard deviations of each channel's observed values; the scale of a
            constant channel is 1.

        Raises:
            ValueError: if a channel has no observed value.
        """
        masks = iter(masks) if masks is not None else None
        dtype, total = None, None
        for array in arrays:
            mask = None if masks is None else np.asarray(next(masks)) > 0.5
            dtype = array.dtype if dtype is None else np.promote_types(dtype, array.dtype)
            if dtype.name in _MAX:
                return cls(dtype.name)
            total = _merge(total, _moments(array, mask))
        if dtype is None:
            raise ValueError("ValueScaling.fit: `arrays` must not be empty. Received: no array")
        count, mean, squares = total
        if not count.all():
            raise ValueError(
                "ValueScaling.fit: every channel must have observed values. "
                f"Received: none in channel {int(np.argmin(count))}"
            )
        deviation = np.sqrt(squares / count)
        scale = np.where(deviation > 1e-6 * np.abs(mean), 2.0 * deviation, 1.0)
        return cls(dtype.name, mean.tolist(), np.where(scale > 0, scale, 1.0).tolist())

    def encode(self, v):
        """Returns `v` `(..., C)` in network units, float32.

        NumPy arrays give NumPy arrays, tensors give tensors. NaN stays NaN.
        """
        if not _is_tensor(v):
            v = np.asarray(v)
            if self.is_bounded:
                half = np.float32(_MAX[self.dtype] / 2.0)
                return v.astype("float32") / half - np.float32(1.0)
            return ((v.astype("float64") - self.location) / self.scale).astype("float32")
        v = ops.cast(v, "float32")
        if self.is_bounded:
            return v / (_MAX[self.dtype] / 2.0) - 1.0
        return (v - np.float32(self.location)) / np.float32(self.scale)

    def decode(self, y):
        """Returns network units `y` `(..., C)` as values of `dtype`; inverse of `encode`."""
        if not _is_tensor(y):
            y = np.asarray(y)
            if self.is_bounded:
                half = np.float32(_MAX[self.dtype] / 2.0)
                v = (np.clip(y.astype("float32"), -1.0, 1.0) + np.float32(1.0)) * half
                return np.rint(v).astype(self.dtype)
            v = y.astype("float64") * self.scale + self.location
            return _to_integers(v, self.dtype, np.rint, np.clip).astype(self.dtype)
        y = ops.cast(y, "float32")
        if self.is_bounded:
            v = (ops.clip(y, -1.0, 1.0) + 1.0) * (_MAX[self.dtype] / 2.0)
            return ops.cast(ops.round(v), self.dtype)
        v = y * np.float32(self.scale) + np.float32(self.location)
        return ops.cast(_to_integers(v, self.dtype, ops.round, ops.clip), self.dtype)

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

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return isinstance(other, ValueScaling) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash(repr(self.get_config()))

    def __repr__(self):
        if self.is_bounded:
            return f"ValueScaling({self.dtype!r})"
        return f"ValueScaling({self.dtype!r}, location={self.location}, scale={self.scale})"


def get(identifier):
    """Returns a `ValueScaling` from one, its config, a dtype's name, or None (uint8).

    Raises:
        ValueError: if `identifier` is none of these.
    """
    if identifier is None:
        return ValueScaling()
    if isinstance(identifier, ValueScaling):
        return identifier
    if isinstance(identifier, str):
        return ValueScaling(identifier)
    if isinstance(identifier, dict):
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


def _to_integers(v, dtype, rounded, clip):
    if np.dtype(dtype).kind == "f":
        return v
    limits = np.iinfo(dtype)
    return clip(rounded(v), limits.min, limits.max)


def _moments(array, mask):
    """Count, mean and sum of squared deviations of each channel's observed values."""
    values = np.ma.getdata(array).astype("float64")
    seen = np.isfinite(values) & ~np.ma.getmaskarray(array)
    if mask is not None:
        seen = seen & mask
    axes = tuple(range(values.ndim - 1))
    count = seen.sum(axis=axes)
    mean = np.where(seen, values, 0.0).sum(axis=axes) / np.maximum(count, 1)
    squares = (np.where(seen, values - mean, 0.0) ** 2).sum(axis=axes)
    return count, mean, squares


def _merge(one, other):
    """The moments of two disjoint sets of values together (Chan, Golub and LeVeque, 1979)."""
    if one is None:
        return other
    (n, mean, squares), (m, other_mean, other_squares) = one, other
    count = n + m
    share = m / np.maximum(count, 1)
    step = other_mean - mean
    return count, mean + step * share, squares + other_squares + step**2 * n * share
