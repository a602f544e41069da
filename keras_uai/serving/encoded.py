"""Encoded images inside a served graph: headers are read first, then pixels.

PNG, JPEG and WebP, as data sets read them (`keras_uai.datasets.imagefile`) but for two things: 16
bits are cut to 8, and the camera's orientation (EXIF) is left as it is, so that an answer lies over
its image.
"""

import tensorflow as tf

from keras_uai.serving import checks

COMPRESSION = 1  # of PNG: larger files by a tenth, several times faster
_HEADER = 32
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


def to_float(pixels):
    """uint8 as float32 in [-1, 1], as everywhere in this package."""
    return tf.cast(pixels, "float32") / 127.5 - 1.0


def to_uint8(image):
    """[-1, 1] as uint8; brings back what `to_float` was given."""
    return tf.cast(tf.round((tf.clip_by_value(image, -1.0, 1.0) + 1.0) * 127.5), "uint8")


def observed(mask):
    """uint8 masks `(N, h, w, 1)` as booleans: white (from 128) is observed; in one of zeros and ones, 1 is."""
    largest = tf.reduce_max(mask, axis=(1, 2, 3), keepdims=True)
    threshold = tf.where(tf.equal(largest, 1), tf.ones_like(largest), tf.cast(128, "uint8"))
    return mask >= threshold


def to_channels(pixels, channels):
    """uint8 `(h, w, 3)` as RGB, or as gray (ITU-R 601) for `channels=1`."""
    if channels == 3:
        return pixels
    luma = tf.reduce_sum(tf.cast(pixels, "int32") * [19595, 38470, 7471], axis=-1, keepdims=True)
    return tf.cast(tf.bitwise.right_shift(luma + 0x8000, 16), "uint8")


class Images:
    """A batch of encoded images, decoded: any sizes, observed or not a pixel.

    Args:
        image_bytes, mask_bytes: `(N,)` strings; an empty mask means the image's own alpha channel.
        channels: of the model.
        limits: `Limits`.
        webp: whether WebP is read.
    """

    def __init__(self, image_bytes, mask_bytes, channels, limits, webp):
        self.count, self.channels = tf.shape(image_bytes)[0], channels

        def one(i, pixels, heights, widths):
            found = _decode(image_bytes[i], mask_bytes[i], i, channels, limits, webp)
            shape = tf.shape(found)
            return (
                i + 1,
                pixels.write(i, found),
                heights.write(i, shape[0]),
                widths.write(i, shape[1]),
            )

        _, self.pixels, heights, widths = tf.while_loop(
            lambda i, *_: i < self.count,
            one,
            (
                tf.constant(0),
                tf.TensorArray(
                    "uint8", self.count, infer_shape=False, element_shape=(None, None, channels + 1)
                ),
                tf.TensorArray("int32", self.count, element_shape=()),
                tf.TensorArray("int32", self.count, element_shape=()),
            ),
            parallel_iterations=_PARALLEL,
        )
        self.heights, self.widths = heights.stack(), widths.stack()
        self.equal = tf.reduce_all(
            tf.equal(self.heights, self.heights[0]) & tf.equal(self.widths, self.widths[0])
        )

    def map(self, function, shapes, dtype, *tensors):
        """`function(image, mask, *tensors)` of all images, at once where their sizes are equal.

        Args:
            function: takes float images `(n, h, w, C)`, masks `(n, h, w, 1)` and n rows of each of
                `tensors`; returns a list of tensors with n rows.
            shapes: of a row of each of these.
            dtype: of these.
        """

        def split(pixels):
            return to_float(pixels[..., :-1]), tf.cast(pixels[..., -1:] >= 128, "float32")

        def at_once():
            pixels = self.pixels.stack()
            return list(function(*split(pixels), *tensors))

        def one(i, *arrays):
            rows = function(*split(self.pixels.read(i)[None]), *(t[i : i + 1] for t in tensors))
            return (i + 1, *(a.write(i, row[0]) for a, row in zip(arrays, rows, strict=True)))

        def one_by_one():
            arrays = [tf.TensorArray(dtype, self.count, element_shape=shape) for shape in shapes]
            found = tf.while_loop(
                lambda i, *_: i < self.count,
                one,
                (tf.constant(0), *arrays),
                parallel_iterations=_PARALLEL,
            )
            return [array.stack() for array in found[1:]]

        found = tf.cond(self.equal, at_once, one_by_one)
        return [tf.ensure_shape(f, (None, *s)) for f, s in zip(found, shapes, strict=True)]


_PARALLEL = 16


def _decode(image, mask, index, channels, limits, webp):
    """uint8 `(h, w, channels + 1)`: pixels, and 255 where observed."""
    pixels, has_alpha = _pixels(image, "image_bytes", index, limits, webp)
    sent = tf.strings.length(mask) > 0
    check = checks.require(
        sent | has_alpha,
        "An image without alpha channel needs a mask: send one in `mask_bytes` (white = observed). "
        "The image:",
        index,
    )

    def from_mask():
        found, _ = _pixels(mask, "mask_bytes", index, limits, webp)
        same = checks.require(
            tf.reduce_all(tf.equal(tf.shape(found)[:2], tf.shape(pixels)[:2])),
            "A mask must have the size of its image.",
            tf.shape(found)[:2],
            "for an image of",
            tf.shape(pixels)[:2],
            "The image:",
            index,
        )
        with tf.control_dependencies([same]):
            return observed(to_channels(found[..., :3], 1)[None])[0]

    with tf.control_dependencies([check]):
        seen = tf.cond(sent, from_mask, lambda: pixels[..., 3:] >= 128)
    seen = tf.cast(seen, "uint8") * tf.cast(255, "uint8")
    return tf.concat([to_channels(pixels[..., :3], channels), seen], axis=-1)


def _pixels(data, name, index, limits, webp):
    """uint8 RGBA `(h, w, 4)`, and whether there is an alpha channel that says something."""
    formats = "PNG, JPEG or WebP" if webp else "PNG or JPEG"
    small = checks.require(
        tf.strings.length(data) <= limits.max_bytes,
        f"`{name}` may hold {limits.max_bytes} bytes an image at most: send a smaller one.",
        tf.strings.length(data),
        "bytes. The image:",
        index,
    )
    with tf.control_dependencies([small]):
        padded = tf.strings.join([tf.strings.substr(data, 0, _HEADER), b"\0" * _HEADER])
        head = tf.cast(tf.io.decode_raw(tf.strings.substr(padded, 0, _HEADER), "uint8"), "int32")
    is_png, is_jpeg = _starts(head, _PNG), _starts(head, _JPEG)
    is_webp = _starts(head, b"RIFF") & _starts(head[8:], b"WEBP") & webp
    known = checks.require(
        is_png | is_jpeg | is_webp,
        f"`{name}` must hold {formats} images. The image:",
        index,
        "begins with the bytes",
        head[:8],  # as numbers: messages travel as UTF-8
    )

    def png():
        with tf.control_dependencies([_small(_png_size(head), limits)]):
            pixels = tf.io.decode_png(data, channels=4)
        alpha = tf.equal(head[25], 4) | tf.equal(head[25], 6)
        return pixels, alpha | tf.reduce_any(pixels[..., 3] < 255)

    def jpeg():
        size = tf.raw_ops.ExtractJpegShape(contents=data)
        with tf.control_dependencies([_small(size, limits)]):
            rgb = tf.raw_ops.DecodeJpeg(contents=data, channels=3, dct_method="INTEGER_ACCURATE")
        return _opaque(rgb), False

    def webp_image():
        animated = checks.require(
            ~(_starts(head[12:], b"VP8X") & tf.equal(tf.bitwise.bitwise_and(head[20], 2), 2)),
            f"`{name}` must hold images that do not move. The image:",
            index,
        )
        with tf.control_dependencies([animated, _small(_webp_size(head), limits)]):
            pixels = tf.raw_ops.DecodeWebP(contents=data, channels=0)[0]
        alpha = tf.equal(tf.shape(pixels)[-1], 4)
        return tf.cond(alpha, lambda: pixels, lambda: _opaque(pixels)), alpha

    with tf.control_dependencies([known]):
        found, alpha = tf.cond(
            is_png, png, lambda: tf.cond(is_jpeg, jpeg, webp_image if webp else jpeg)
        )
    return tf.ensure_shape(found, (None, None, 4)), alpha


def _small(size, limits):
    return checks.few_pixels(size[0], size[1], limits)


def _opaque(rgb):
    return tf.concat([rgb[..., :3], tf.fill(tf.shape(rgb[..., :1]), tf.cast(255, "uint8"))], -1)


def _starts(head, magic):
    return tf.reduce_all(tf.equal(head[: len(magic)], list(magic)))


def _png_size(head):
    """Height and width in the header chunk, which the format wants first; 0 where it is not there."""
    weights = tf.constant([2**24, 2**16, 2**8, 1], "int64")
    width, height = (
        tf.reduce_sum(tf.cast(head[at : at + 4], "int64") * weights) for at in (16, 20)
    )
    return tf.where(_starts(head[12:], b"IHDR"), tf.stack([height, width]), 0)


def _webp_size(head):
    """Height and width of a lossy, lossless or extended WebP; 0 where it is none of them."""

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
