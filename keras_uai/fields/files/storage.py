"""The numbers of a file: what they stand for, which are missing, and the way back from values."""

import dataclasses

import numpy as np

from keras_uai import checks

#: Numbers that mark missing values in many files, and are hardly ever values.
USUAL_MARKS = (-9999.0, -999.0, -99999.0, -32768.0, -32767.0, 1e20, 1e36, 9.96921e36, -3.4028235e38)


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How stored numbers stand for values: `stored * scale + offset`.

    Args:
        dtype: of the stored numbers, integers or floats.
        scale: float. Default: 1.
        offset: float. Default: 0.
        marks: stored numbers that mark missing values, in any type. Those that `dtype` cannot hold
            mark nothing. Default: none. NaN always is missing.
        limits: `(lowest, highest)` stored numbers that are valid, None where there is no limit.

    >>> encoding = Encoding("int16", scale=0.5, marks=(-1,))
    >>> encoding.encode(np.array([0.4, -0.5, 1e9]))  # rounded, never a mark, clipped
    array([    1,     0, 32767], dtype=int16)
    """

    dtype: np.dtype
    scale: float = 1.0
    offset: float = 0.0
    marks: tuple = ()
    limits: tuple = (None, None)

    def __post_init__(self):
        dtype = np.dtype(self.dtype)
        if dtype.kind not in "iuf":
            raise ValueError(f"Values must be integers or floats. Received: {dtype}")
        if not (np.isfinite([self.scale, self.offset]).all() and self.scale):
            raise ValueError(
                "A scale must be finite and not 0, an offset finite. "
                f"Received: scale={self.scale}, offset={self.offset}"
            )
        marks = [m for m in self.marks if m is not None and not np.isnan(m)]
        if dtype.kind == "f":  # the lowest float32, rounded in a file's header, is below it
            held = np.finfo(dtype)
            marks = [m if np.isinf(m) else np.clip(m, held.min, held.max) for m in marks]
        else:
            held = np.iinfo(dtype)
            marks = [int(m) for m in marks if held.min <= m <= held.max and int(m) == m]
        marks = map(dtype.type, marks)
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "marks", tuple(dict.fromkeys(marks)))

    @property
    def is_packed(self):
        return (self.scale, self.offset) != (1, 0)

    def missing(self, stored):
        """Returns bool of the shape of `stored`: True where a value is missing or not valid."""
        found = np.isnan(stored) if self.dtype.kind == "f" else np.zeros(stored.shape, bool)
        for mark in self.marks:
            found |= stored == mark
        low, high = self.limits
        if low is not None:
            found |= stored < low
        if high is not None:
            found |= stored > high
        return found

    def decode(self, stored, missing, floats=False):
        """Returns values: floats with NaN where missing; of plain integers a masked array.

        Args:
            stored: array of `dtype`.
            missing: bool of the same shape.
            floats: bool; floats also of plain integers. Default: False.
        """
        if self.dtype.kind == "f" and not self.is_packed:
            return np.where(missing, self.dtype.type(np.nan), stored)
        if not (self.is_packed or floats):
            return np.ma.masked_array(stored, missing)
        values = stored * np.float64(self.scale) + self.offset
        return np.where(missing, np.nan, values).astype(
            "float32" if self.dtype.itemsize <= 2 else "float64"
        )

    def encode(self, values):
        """Returns values as stored numbers: rounded and clipped to what is valid, never a mark."""
        exact = (np.asarray(values, "float64") - self.offset) / self.scale
        low, high = (None if limit is None else float(limit) for limit in self.limits)
        integers = self.dtype.kind in "iu"
        held = np.iinfo(self.dtype) if integers else np.finfo(self.dtype)
        low = float(held.min) if low is None else max(low, float(held.min))
        high = float(held.max) if high is None else min(high, float(held.max))
        if integers and high > held.max:  # int64: the nearest float is one too many
            high = np.nextafter(high, 0.0)
        stored = np.clip(np.rint(exact) if integers else exact, low, high).astype(self.dtype)
        for mark in self.marks:
            up = (mark <= low) | ((mark < high) & (exact >= mark))
            if integers:
                other = np.where(up, int(mark) + 1, int(mark) - 1)
            else:
                other = np.nextafter(mark, np.where(up, np.inf, -np.inf), dtype=self.dtype)
            stored = np.where(stored == mark, other, stored).astype(self.dtype)
        return stored


class StoredArray:
    """An array of a file, with its gaps.

    Args:
        stored: array of integers or floats, as they are in the file.
        encoding: `Encoding`.
        missing: bool of its shape: True where a value is missing. Default: what `encoding` says.
        name: string for messages. Default: none.
    """

    def __init__(self, stored, encoding, missing=None, name=""):
        self.stored = stored
        self.encoding = encoding
        self.missing = encoding.missing(stored) if missing is None else missing
        self.never_fill = np.zeros(stored.shape, bool)
        self.name = name

    @property
    def gaps(self):
        """Bool: True where a value is missing and to be filled."""
        return self.missing & ~self.never_fill

    def decode(self, floats=False):
        """Returns the values that `fill` is given; see `Encoding.decode`."""
        return self.encoding.decode(self.stored, self.missing, floats)

    def check(self):
        """Warns of observed values that look like a mark; returns whether there are any values."""
        seen = self.stored[~self.missing]
        if not seen.size:
            return False
        low, high = (float(np.float32(v)) for v in (seen.min(), seen.max()))
        for mark in {low, high} & {float(np.float32(mark)) for mark in USUAL_MARKS}:
            checks.warn(
                f"{self.name} holds {mark:g}, which often marks missing values, as an observed "
                f"value. If it is none, pass --nodata={mark:g}."
            )
        return True

    def filled(self, values):
        """Returns the stored numbers with their gaps filled; all others are the same bits.

        Args:
            values: array of the same shape, in the values' units. Gaps where it is NaN (or masked)
                stay gaps.
        """
        where = self.gaps
        new = np.ma.filled(np.ma.asanyarray(values)[where].astype("float64"), np.nan)
        known = ~np.isnan(new)
        put = self.stored[where]
        put[known] = self.encoding.encode(new[known])
        if self.encoding.marks:
            put[~known] = self.encoding.marks[0]
        elif self.encoding.dtype.kind == "f":
            put[~known] = np.nan
        result = self.stored.copy()
        result[where] = put
        return result

    def error(self, std):
        """Returns standard deviations as float32 (float64 for float64), NaN where never filled."""
        dtype = "float64" if self.encoding.dtype == np.float64 else "float32"
        std = np.ma.filled(np.ma.asanyarray(std).astype(dtype), np.nan)
        return np.where(self.never_fill & self.missing, np.nan, std).astype(dtype)
