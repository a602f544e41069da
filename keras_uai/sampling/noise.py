"""Latents as functions of a key and of absolute positions."""

import numpy as np
from keras import ops

from keras_uai import random, rng_streams


def noise_field(keys, stride, height, width, channels, origin=None):
    """Draws a standard normal field of one decoder level.

    The value of a cell depends on its key, the level and the cell's absolute row and column alone.
    The noise of a tile is therefore a crop of the whole image's noise.

    Args:
        keys: uint32 `(N, 2)`, one per sample.
        stride: Pixels per cell, an int.
        height, width: Numbers of cells, ints or scalar tensors.
        channels: Number of channels, an int.
        origin: int32 `(N, 2)`, row and column of the upper left pixel in the whole image, multiples
            of `stride`. `None`: (0, 0).

    Returns:
        float32 `(N, height, width, channels)`.

    Example:

    >>> keys = keras_uai.random.key(0, np.arange(2))
    >>> whole = noise_field(keys, 8, 6, 6, 4)
    >>> tile = noise_field(keys, 8, 3, 4, 4, origin=np.array([[16, 8], [16, 8]]))
    >>> bool(np.all(whole[:, 2:5, 1:5] == tile))
    True
    """
    rows, columns = _cells(stride, height, width, origin)
    keys = random.fold_in(keys, stride)
    fields = []
    for pair in range((channels + 1) // 2):
        fields += random.normal_at(random.fold_in(keys, pair), rows, columns)
    return ops.stack(fields[:channels], axis=-1)


def stratified_mask(keys, stride, height, width, origin=None):
    """Draws a mask with one observed pixel in each cell of `stride x stride` pixels.

    Args:
        keys: uint32 `(N, 2)`, one per sample.
        stride: Side of the cells in pixels, an int.
        height, width: Sides of the image in pixels, ints or scalar tensors.
        origin: As in `noise_field`.

    Returns:
        float32 `(N, height, width, 1)`. Each pixel of a cell is equally likely.
    """
    cells = (-(-height // stride), -(-width // stride))
    rows, columns = _cells(stride, *cells, origin)
    u = random.uniform_at(random.fold_in(keys, rng_streams.STRATIFIED_MASK), rows, columns)
    chosen = ops.cast(ops.floor(u * (stride * stride)), "int32")
    place = np.arange(stride * stride, dtype="int32").reshape(stride, 1, stride)
    mask = ops.cast(chosen[:, :, None, :, None] == place, "float32")
    mask = ops.reshape(mask, (-1, cells[0] * stride, cells[1] * stride, 1))
    return mask[:, :height, :width]


def draw_latents(generator, keys, height, width, origin=None):
    """Draws z for a generator.

    Args:
        generator: A `networks.Generator`.
        keys: uint32 `(N, 2)`, one per sample.
        height, width: Sides of the image in pixels, multiples of `generator.stride`.
        origin: As in `noise_field`.

    Returns:
        `(style, noise)`: `(N, latent_dim)`, and a dict of a field per stride.
    """
    noise = {
        stride: noise_field(
            random.fold_in(keys, rng_streams.NOISE),
            stride,
            height // stride,
            width // stride,
            generator.noise_channels,
            origin,
        )
        for stride in generator.noise_strides
    }
    style = random.normal(random.fold_in(keys, rng_streams.STYLE), (generator.latent_dim,))
    return style, noise


def zero_latents(generator, keys, height, width, origin=None):
    """Returns z = 0 in the shapes of `draw_latents`, for models with a single answer."""
    del origin
    count = ops.shape(keys)[0]
    noise = {
        s: ops.zeros((count, height // s, width // s, generator.noise_channels))
        for s in generator.noise_strides
    }
    return ops.zeros((count, generator.latent_dim)), noise


def _cells(stride, height, width, origin):
    """Absolute indices of the cells' rows `(N or 1, H, 1)` and columns `(N or 1, 1, W)`."""
    rows = ops.arange(height, dtype="int32")[None, :, None]
    columns = ops.arange(width, dtype="int32")[None, None, :]
    if origin is not None:
        first = ops.cast(origin, "int32") // stride
        rows, columns = rows + first[:, 0, None, None], columns + first[:, 1, None, None]
    return rows, columns
