"""Counter-based random numbers: the same bits on every backend, device and day.

Masks and latents are pure functions of a key. Nothing has to be stored to resume a run bit-equal,
an image keeps its mask in any batch, and TensorFlow and JAX see the same numbers.

The generator is Threefry-2x32 with 20 rounds (Salmon et al., "Parallel Random Numbers: As Easy as
1, 2, 3", SC 2011), written in `keras.ops`. `keras.random` neither takes one key per image nor gives
the same stream on two backends.

A *key* is a uint32 array whose last axis has length 2. Leading axes are a batch of independent
keys. `keras_uai.rng_streams` names the constants that are folded into keys.
"""

import math

import numpy as np
from keras import ops

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_ROUND_GROUPS = 5  # 5 groups of 4 rounds = 20 rounds


def key(seed, *path):
    """Returns the key of an integer `seed`, with a `path` of integers folded in.

    A key that draws numbers should not be a step on the path to other keys: `fold_in(keys, i)`
    equals element i of `bits(keys, ...)`. Fold in a constant of `rng_streams` first.

    Args:
        seed: Python integer of up to 64 bits, or a 32-bit integer tensor of any shape, whose
            values become a batch of keys.
        *path: integers or integer tensors, folded in one after the other.

    Returns:
        uint32 tensor of shape `(..., 2)`.

    Raises:
        TypeError: if `seed` is a float.

    Example:

    >>> keys = keras_uai.random.key(0, np.arange(3))  # of images 0, 1 and 2
    >>> tuple(keras_uai.random.uniform(keys, (4, 4)).shape)
    (3, 4, 4)
    """
    if isinstance(seed, float):
        raise TypeError(f"`seed` must be an integer or an integer tensor. Received: seed={seed!r}")
    if isinstance(seed, (int, np.integer)):
        seed = int(seed) % 2**64
        keys = ops.convert_to_tensor(np.array([seed & 0xFFFFFFFF, seed >> 32], dtype="uint32"))
    else:
        low = ops.cast(seed, "uint32")
        keys = ops.stack([low, ops.zeros_like(low)], axis=-1)
    for data in path:
        keys = fold_in(keys, data)
    return keys


def fold_in(keys, data):
    """Returns new keys made from keys `(..., 2)` and 32-bit integers `data` `(...)`."""
    if isinstance(data, int) and not -(2**31) <= data < 2**32:
        raise ValueError(f"`data` must be an integer of 32 bits. Received: data={data!r}")
    data = ops.cast(data, "uint32")
    k0, k1 = keys[..., 0], keys[..., 1]
    shape_maker = ops.zeros_like(k0 + data)
    x0, x1 = _threefry(k0 + shape_maker, k1 + shape_maker, data + shape_maker, shape_maker)
    return ops.stack([x0, x1], axis=-1)


def bits(keys, shape):
    """Draws random bits, uint32 `(N, *shape)`, for keys `(N, 2)`."""
    size = math.prod(shape)
    half = (size + 1) // 2
    counter = ops.convert_to_tensor(np.arange(half, dtype="uint32")[None, :])
    x0, x1 = _threefry(keys[:, 0:1], keys[:, 1:2], counter, ops.zeros_like(counter))
    flat = ops.concatenate([x0, x1], axis=1)[:, :size]
    return ops.reshape(flat, (-1, *shape))


def uniform(keys, shape):
    """Draws uniform float32 in [0, 1), `(N, *shape)`, for keys `(N, 2)`; 24 random bits each."""
    return _to_unit(bits(keys, shape))


def normal(keys, shape):
    """Draws standard normal float32, `(N, *shape)`, for keys `(N, 2)` (Box-Muller)."""
    size = math.prod(shape)
    u = uniform(keys, (2, (size + 1) // 2))
    flat = ops.concatenate(_box_muller(u[:, 0], u[:, 1]), axis=1)[:, :size]
    return ops.reshape(flat, (-1, *shape))


def integers(keys, shape, bound):
    """Draws uniform int32 in [0, bound), `(N, *shape)`; `bound` is an integer up to 2**24."""
    if not 1 <= bound <= 2**24:
        raise ValueError(f"`bound` must be in [1, 2**24]. Received: bound={bound!r}")
    return ops.cast(ops.floor(uniform(keys, shape) * float(bound)), "int32")


def bits_at(keys, rows, columns):
    """Draws random bits at absolute positions: a crop's bits are a crop of the whole image's.

    Args:
        keys: uint32 tensor `(N, 2)`.
        rows: int32 tensor `(N or 1, H, 1)`, absolute row indices, which may be negative.
        columns: int32 tensor `(N or 1, 1, W)`, absolute column indices.

    Returns:
        Two independent uint32 tensors `(N, H, W)`.
    """
    rows, columns = ops.cast(rows, "uint32"), ops.cast(columns, "uint32")
    k0, k1 = (ops.reshape(keys[:, i], (-1, 1, 1)) for i in (0, 1))
    zero = ops.zeros_like(rows + columns + k0)
    k0, k1 = k0 + zero, k1 + zero
    return _threefry(k0, k1, rows + zero, columns + zero)


def normal_at(keys, rows, columns):
    """Draws two independent standard normal fields `(N, H, W)`; see `bits_at`."""
    first, second = bits_at(keys, rows, columns)
    return _box_muller(_to_unit(first), _to_unit(second))


def uniform_at(keys, rows, columns):
    """Draws uniform float32 in [0, 1), `(N, H, W)`; see `bits_at`."""
    return _to_unit(bits_at(keys, rows, columns)[0])


def _box_muller(first, second):
    radius = ops.sqrt(-2.0 * ops.log(1.0 - first))
    angle = (2.0 * math.pi) * second
    return radius * ops.cos(angle), radius * ops.sin(angle)


def _to_unit(x):
    return ops.cast(ops.right_shift(x, np.uint32(8)), "float32") * (2.0**-24)


def _rotate_left(x, by):
    return ops.bitwise_or(ops.left_shift(x, np.uint32(by)), ops.right_shift(x, np.uint32(32 - by)))


def _threefry(k0, k1, x0, x1):
    """Threefry-2x32-20 of counter `(x0, x1)` under key `(k0, k1)`; uint32 that broadcast."""
    parity = ops.convert_to_tensor(np.uint32(_PARITY))
    schedule = (k0, k1, ops.bitwise_xor(ops.bitwise_xor(k0, k1), parity))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for group in range(_ROUND_GROUPS):
        for by in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = ops.bitwise_xor(_rotate_left(x1, by), x0)
        step = group + 1
        x0 = x0 + schedule[step % 3]
        x1 = x1 + schedule[(step + 1) % 3] + ops.convert_to_tensor(np.uint32(step))
    return x0, x1
