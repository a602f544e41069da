"""Image codec of served graphs: PNG and JPEG to pixels, and pixels to PNG.

Headers are read first, so that no request makes the server decode what it refuses. Pixels keep
their bit depth: they are int32 values up to 255 or 65535. The orientation that a camera stores
(EXIF) is not applied, so that an answer lies over its image.
"""

import tensorflow as tf

from keras_uai import checks
from keras_uai.graph_checks import require
from keras_uai.serving import assertions

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_LUMA = (19595, 38470, 7471)  # ITU-R 601, sum 2 ** 16


def header(data, name, index):
    """Reads the size that an encoded image claims, without decoding it.

    `name` of the input and `index` of the image are for messages.

    Returns:
        int32 `(3,)`: height, width, and the largest value of a channel, 255 or 65535.
    """
    is_png = _starts(data, _PNG)
    known = require(
        is_png | _starts(data, b"\xff\xd8\xff"),
        f"`{name}` must hold PNG or JPEG files.",
        "another file for image",
        index,
    )

    def png():
        size = tf.io.decode_raw(_part(data, 16, 8), "int32", little_endian=False)
        return tf.stack([size[1], size[0], tf.where(tf.equal(_png_depth(data), 16), 65535, 255)])

    def jpeg():
        return tf.concat([tf.io.extract_jpeg_shape(data)[:2], [255]], axis=0)

    with tf.control_dependencies([known]):
        return tf.cond(is_png, png, jpeg)


def decode(data, largest):
    """Decodes an image whose `header` was read to int32 RGBA `(h, w, 4)`."""

    def png():
        pixels = tf.cond(
            largest > 255,
            lambda: tf.cast(tf.io.decode_png(data, channels=4, dtype="uint16"), "int32"),
            lambda: tf.cast(tf.io.decode_png(data, channels=4), "int32"),
        )
        # TensorFlow fills in 2 ** depth - 1 where a PNG of less than 8 bits has no alpha.
        depth = _png_depth(data)
        opaque = tf.where(depth < 8, tf.bitwise.left_shift(1, depth) - 1, largest)
        filled = tf.reduce_all(tf.equal(pixels[..., 3], opaque))
        return tf.concat([pixels[..., :3], tf.where(filled, largest, pixels[..., 3:])], axis=-1)

    def jpeg():
        rgb = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.pad(tf.cast(rgb, "int32"), [[0, 0], [0, 0], [0, 1]], constant_values=255)

    return tf.ensure_shape(tf.cond(_starts(data, _PNG), png, jpeg), (None, None, 4))


def encode_png(pixels, largest):
    """Encodes int32 `(..., h, w, C)` as PNGs of 8 or 16 bits."""

    def encode(dtype):
        # Files are larger by a tenth than by default, and written several times faster.
        return tf.io.encode_png(tf.cast(pixels, dtype), compression=1)

    return tf.cond(largest > 255, lambda: encode("uint16"), lambda: encode("uint8"))


def to_channels(pixels, channels):
    """Returns int32 RGB `(..., 3)` as RGB, or as gray (ITU-R 601) if `channels` is 1."""
    if channels == 3:
        return pixels
    luma = tf.reduce_sum(tf.cast(pixels, "int64") * _LUMA, axis=-1, keepdims=True)
    return tf.cast((luma + 0x8000) // 2**16, "int32")


def observed(pixels, largest, index):
    """The observed pixels `(h, w, 1)` of an RGBA mask image; see `files.mask_from_pixels`."""
    gray, opaque = to_channels(pixels[..., :3], 1), pixels[..., 3:] > largest // 2
    high = tf.reduce_max(tf.where(opaque, gray, 0))
    white = 2 * gray > tf.where(high > 255, 65535, tf.where(high > 1, 255, 1))
    is_whole = tf.reduce_all(opaque)
    is_white, is_black = tf.reduce_all(white | ~opaque), ~tf.reduce_any(white & opaque)
    image = "as the largest gray value for image", index
    required = [
        require(tf.reduce_any(opaque), checks.MASK_IMAGE_OPAQUE, "image", index),
        require(~is_black | tf.equal(high, 0), checks.MASK_IMAGE, high, *image),
        require(is_whole | is_white | is_black, checks.MASK_IMAGE_LAYER, high, *image),
    ]
    found = tf.where(is_whole, white, tf.where(is_white, opaque, ~opaque))
    return assertions.after(required, found)[0]


def _starts(data, magic):
    return tf.equal(tf.strings.substr(data, 0, len(magic)), magic)


def _png_depth(data):
    """Bits a channel, as an int32."""
    return tf.cast(tf.io.decode_raw(_part(data, 24, 1), "uint8"), "int32")[0]


def _part(data, start, count):
    """Some bytes of a file; zeros where it ends before."""
    padded = tf.strings.join([tf.strings.substr(data, 0, 32), b"\0" * 32])
    return tf.strings.substr(padded, start, count)
