"""Image codec of served graphs: PNG, JPEG and WebP to pixels, and pixels to PNG.

Headers are read first, so that no request makes the server decode what it refuses. Pixels keep
their bit depth: they are int32 values up to 255 or 65535. The orientation that a camera stores
(EXIF) is not applied, so that an answer lies over its image.
"""

import tensorflow as tf

from keras_uai.serving import assertions

COMPRESSION = 1  # of PNG: files larger by a tenth, written several times faster

_HEADER = 32
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_LUMA = (19595, 38470, 7471)  # ITU-R 601, sum 2 ** 16


def header(data, name, index, limits, webp):
    """Reads the size of an encoded image, without decoding it.

    Args:
        data: scalar string.
        name: string, the input's name for messages.
        index: the image's index in the batch, for messages.
        limits: `Limits`; larger files and images are invalid arguments.
        webp: boolean, whether WebP is read.

    Returns:
        int32 `(3,)`: height, width, and the largest value of a channel, 255 or 65535.
    """
    small = assertions.require(
        tf.strings.length(data) <= limits.max_bytes,
        f"`{name}` must hold at most {limits.max_bytes} bytes an image.",
        tf.strings.length(data),
        "bytes. The image:",
        index,
    )
    with tf.control_dependencies([small]):
        head = _head(data)
    is_png, is_jpeg, is_webp = _kinds(head, webp)
    known = assertions.require(
        is_png | is_jpeg | is_webp,
        f"`{name}` must hold PNG{', JPEG or WebP' if webp else ' or JPEG'} files. The image:",
        index,
    )
    still = assertions.require(
        ~(is_webp & _starts(head[12:], b"VP8X") & tf.equal(head[20] // 2 % 2, 1)),
        f"`{name}` must not hold animations. The image:",
        index,
    )

    def jpeg_size():
        return tf.cast(tf.raw_ops.ExtractJpegShape(contents=data)[:2], "int64")

    with tf.control_dependencies([known, still]):
        size = tf.cond(
            is_jpeg, jpeg_size, lambda: tf.where(is_png, _png_size(head), _webp_size(head))
        )
    few = assertions.few_pixels(size[0], size[1], limits)
    with tf.control_dependencies([few]):
        largest = tf.where(is_png & tf.equal(head[24], 16), 65535, 255)
        return tf.concat([tf.cast(size, "int32"), [largest]], axis=0)


def decode(data, name, index, largest, webp):
    """Decodes an image whose `header` was read.

    Returns:
        `(pixels, has_alpha)`: int32 RGBA `(h, w, 4)` with values up to `largest`, and a boolean.
    """
    head = _head(data)
    is_png, is_jpeg, _ = _kinds(head, webp)

    def png():
        pixels = tf.cond(
            largest > 255,
            lambda: tf.cast(tf.io.decode_png(data, channels=4, dtype="uint16"), "int32"),
            lambda: tf.cast(tf.io.decode_png(data, channels=4), "int32"),
        )
        # TensorFlow fills in 2 ** depth - 1 where a PNG of less than 8 bits has no alpha.
        opaque = tf.where(head[24] < 8, tf.bitwise.left_shift(1, head[24]) - 1, largest)
        filled = tf.reduce_all(tf.equal(pixels[..., 3], opaque))
        alpha = tf.where(filled, largest, pixels[..., 3:])
        pixels = tf.concat([pixels[..., :3], alpha], axis=-1)
        declared = tf.equal(head[25], 4) | tf.equal(head[25], 6)
        return pixels, declared | tf.reduce_any(pixels[..., 3] < largest)

    def jpeg():
        rgb = tf.raw_ops.DecodeJpeg(contents=data, channels=3, dct_method="INTEGER_ACCURATE")
        return _opaque(rgb), False

    def webp_image():
        pixels = tf.raw_ops.DecodeWebP(contents=data, channels=0)[0]
        alpha = tf.equal(tf.shape(pixels)[-1], 4)
        return tf.cond(alpha, lambda: tf.cast(pixels, "int32"), lambda: _opaque(pixels)), alpha

    found, alpha = tf.cond(
        is_png, png, lambda: tf.cond(is_jpeg, jpeg, webp_image) if webp else jpeg()
    )
    return tf.ensure_shape(found, (None, None, 4)), alpha


def encode_png(pixels, largest):
    """Encodes int32 `(..., h, w, C)` as PNGs of 8 or 16 bits."""

    def encode(dtype):
        return tf.raw_ops.EncodePng(image=tf.cast(pixels, dtype), compression=COMPRESSION)

    return tf.cond(largest > 255, lambda: encode("uint16"), lambda: encode("uint8"))


def to_channels(pixels, channels):
    """Returns int32 RGB `(..., 3)` as RGB, or as gray (ITU-R 601) if `channels` is 1."""
    if channels == 3:
        return pixels
    luma = tf.reduce_sum(tf.cast(pixels, "int64") * _LUMA, axis=-1, keepdims=True)
    return tf.cast((luma + 0x8000) // 2**16, "int32")


def observed(pixels, largest, index):
    """Returns the observed pixels of a mask image, boolean `(h, w, 1)`.

    The rules are those of `keras_uai.files.mask_from_pixels`: white is observed, black is missing.

    Args:
        pixels: int32 RGBA `(h, w, 4)`.
        largest: 255 or 65535.
        index: the image's index in the batch, for messages.
    """
    gray = to_channels(pixels[..., :3], 1)
    opaque = pixels[..., 3:] > largest // 2
    high = tf.reduce_max(tf.where(opaque, gray, 0))
    full = tf.where(high <= 1, 1, tf.where(high > 255, 65535, 255))
    white = 2 * gray >= full + 1
    any_white = tf.reduce_any(white & opaque)
    all_white = tf.reduce_all(white | ~opaque)
    checks = [
        assertions.require(
            any_white | tf.equal(high, 0),
            "A mask image must be white where the image is observed and black where it is "
            "missing. Its largest value:",
            high,
            "The image:",
            index,
        ),
        assertions.require(
            tf.reduce_all(opaque) | (tf.reduce_any(opaque) & (all_white | ~any_white)),
            "A mask image with transparency must be either white with transparent holes or black "
            "strokes on transparent ground. The image:",
            index,
        ),
    ]
    layers = tf.where(all_white, opaque, ~opaque)
    return assertions.after(checks, tf.where(tf.reduce_all(opaque), white, layers))[0]


def _head(data):
    """The first bytes, int32; zeros where the file ends before."""
    padded = tf.strings.join([tf.strings.substr(data, 0, _HEADER), b"\0" * _HEADER])
    return tf.cast(tf.io.decode_raw(tf.strings.substr(padded, 0, _HEADER), "uint8"), "int32")


def _kinds(head, webp):
    """Whether a file is PNG, JPEG, WebP."""
    is_webp = _starts(head, b"RIFF") & _starts(head[8:], b"WEBP") & webp
    return _starts(head, _PNG), _starts(head, _JPEG), is_webp


def _starts(head, magic):
    return tf.reduce_all(tf.equal(head[: len(magic)], list(magic)))


def _opaque(rgb):
    rgb = tf.cast(rgb[..., :3], "int32")
    return tf.concat([rgb, tf.fill(tf.shape(rgb[..., :1]), 255)], axis=-1)


def _png_size(head):
    """Height and width in the header chunk, the first of the file; 0 if it is not there."""
    weights = tf.constant([2**24, 2**16, 2**8, 1], "int64")
    width, height = (
        tf.reduce_sum(tf.cast(head[at : at + 4], "int64") * weights) for at in (16, 20)
    )
    return tf.where(_starts(head[12:], b"IHDR"), tf.stack([height, width]), 0)


def _webp_size(head):
    """Height and width of a lossy, lossless or extended WebP; 0 if it is none of them."""

    def bits(at, count):
        weights = tf.constant([1, 2**8, 2**16, 2**24][:count], "int64")
        return tf.reduce_sum(tf.cast(head[at : at + count], "int64") * weights)

    lossless = bits(21, 4)
    sizes = {
        b"VP8 ": (bits(28, 2) % 2**14, bits(26, 2) % 2**14),
        b"VP8L": (lossless // 2**14 % 2**14 + 1, lossless % 2**14 + 1),
        b"VP8X": (bits(27, 3) + 1, bits(24, 3) + 1),
    }
    found = tf.zeros((2,), "int64")
    for kind, size in sizes.items():
        found = tf.where(_starts(head[12:], kind), tf.stack(size), found)
    return found
