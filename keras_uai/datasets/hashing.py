"""Counter-based random numbers in NumPy: the data side of `keras_uai.random`.

Splits, orders, crops and drawn faces are functions of (seed, index), the same on every backend, in
every version of NumPy and for any part of a data set. NumPy's own generators promise neither.
"""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def bits(seed, *path):
    """Returns 64 random bits of a `seed`, followed along a `path` of integers or integer arrays.

    Each step is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014): the state so far plus (step + 1) times the golden ratio, finalised.

    Returns:
        uint64 array, of the shape the path broadcasts to.
    """
    z = np.full((), int(seed) % 2**64, dtype="uint64")
    with np.errstate(over="ignore"):
        for step in path:
            z = z + (np.asarray(step).astype("int64").astype("uint64") + np.uint64(1)) * _GOLDEN
            z = (z ^ (z >> np.uint64(30))) * _MIX_1
            z = (z ^ (z >> np.uint64(27))) * _MIX_2
            z = z ^ (z >> np.uint64(31))
    return z


def uniform(seed, *path):
    """Returns uniform float64 in [0, 1) from 53 of the `bits`."""
    return (bits(seed, *path) >> np.uint64(11)).astype("float64") * 2.0**-53
