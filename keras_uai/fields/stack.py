"""Stacks of frames: arrays and xarray objects as `fill` takes them, and back."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Stack:
    """Frames of one size, in order of time where they are of one place.

    Args:
        values: float32 `(T, H, W, C)`; 0 where not observed.
        observed: bool, of the shape of `values`.
        fillable: bool, of the shape of `values`: where a value is observed or to be filled.
        time: float64 `(T,)`, ascending.
        context: float32 `(T or 1, H, W, K)` without gaps, or None.
    """

    values: np.ndarray
    observed: np.ndarray
    fillable: np.ndarray
    time: np.ndarray
    context: np.ndarray | None = None

    @property
    def missing(self):
        """Where a value is to be filled, bool."""
        return self.fillable & ~self.observed
