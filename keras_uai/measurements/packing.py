"""A bank of masks as bits in memory, and as text in a config."""

import base64
import zlib

import numpy as np

#: First number of a packed header since 0.2. In 0.1 it is the number of masks, thus positive.
_FORMAT = -1


def to_bits(masks):
    """Packs masks of any sizes into one bit per value.

    Args:
        masks: list of arrays `(h, w, channels)` that hold 0 and 1.

    Returns:
        `(sizes, channels, bits)`: int64 `(M, 2)`, an integer, and a uint8 vector of all values in
        order, 8 a byte, the highest bit first.
    """
    sizes = np.array([mask.shape[:2] for mask in masks], dtype="int64")
    bits = np.packbits(np.concatenate([mask.astype(bool).ravel() for mask in masks]))
    return sizes, masks[0].shape[-1], bits


def from_bits(sizes, channels, bits):
    """Returns the list of masks, uint8 `(h, w, channels)`, that `to_bits` packed."""
    counts = sizes.prod(axis=1) * channels
    values = np.unpackbits(bits, count=int(counts.sum()))
    parts = np.split(values, np.cumsum(counts)[:-1])
    return [part.reshape(*size, channels) for part, size in zip(parts, sizes, strict=True)]


def pack(sizes, channels, bits):
    """Returns the result of `to_bits` as text for a config."""
    header = np.array([_FORMAT, channels, len(sizes), *sizes.ravel()], dtype="<i8").tobytes()
    return base64.b85encode(zlib.compress(header + bits.tobytes(), 9)).decode("ascii")


def unpack(text):
    """Returns `(sizes, channels, bits)` of a packed text, of 0.1 also.

    Raises:
        ValueError: if `text` is no packed bank.
    """
    try:
        raw = zlib.decompress(base64.b85decode(text))
        first, second, third = (int(n) for n in np.frombuffer(raw[:24], dtype="<i8"))
        if first == _FORMAT:
            channels, end = second, 24 + 16 * third
            sizes = np.frombuffer(raw[24:end], dtype="<i8").reshape(third, 2)
        else:
            channels, end = 1, 24
            sizes = np.tile(np.array([[second, third]]), (first, 1))
        bits = np.frombuffer(raw[end:], dtype="uint8")
        if not len(sizes) or len(bits) != -(-int(sizes.prod(axis=1).sum()) * channels // 8):
            raise ValueError("The sizes and the number of bits differ.")
    except (ValueError, zlib.error) as error:
        raise ValueError(
            f"Empirical: `masks` is no packed bank of masks. Received: {text[:40]!r}..."
        ) from error
    return sizes.astype("int64"), channels, bits
