"""Image files inside the graph: read as elsewhere, answered at their size, refused in time."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_uai import files
from tests.serving.photographs import decode, encode, pixels
from tests.testing import same_bits

tf = pytest.importorskip("tensorflow")

RGB, WHITE = pixels((9, 14), 3), encode(np.full((9, 14), 255, "uint8"))
PALETTE = Image.fromarray(RGB).quantize(16)
SOFT = np.random.default_rng(1).integers(0, 256, (9, 14, 4)).astype("uint8")
WIDE = np.random.default_rng(2).integers(0, 65536, (9, 14, 3)).astype("uint16")


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, depth=8, kind=2, *chunks):
    """A PNG of these header fields; without chunks it holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + b"".join(chunk(*c) for c in chunks) + chunk(b"IEND", b"")


def transparent_16_bits():
    """A 16-bit gray PNG, whose transparent value is told in a tRNS chunk."""
    array = np.full((9, 14), 40000, ">u2")
    array[4:6, 4:8] = 0x1234
    rows = b"".join(b"\0" + row.tobytes() for row in array)
    return png(14, 9, 16, 0, (b"tRNS", b"\x12\x34"), (b"IDAT", zlib.compress(rows)))


def fill(serve, images, masks=None, num_samples=1):
    count = len(images)
    return serve(
        "image_bytes", image_bytes=images, mask_bytes=masks or [b""] * count, seed=range(count),
        num_samples=[num_samples] * count,
    )  # fmt: skip


@pytest.mark.parametrize(
    "data",
    {
        "rgb": encode(RGB),
        "gray": encode(RGB[..., 0]),
        "one bit": encode(Image.fromarray(RGB[..., 0] > 99)),
        "palette": encode(PALETTE),
        "transparent palette": encode(PALETTE, transparency=3),
        "gray and alpha": encode(Image.fromarray(SOFT).convert("LA")),
        "16 bits, gray": encode(Image.fromarray(WIDE[..., 0])),
        "16 bits, colours": files.encode_image(WIDE),
        "16 bits, alpha": files.encode_image(WIDE, alpha=SOFT[..., 3]),
        "16 bits, tRNS": transparent_16_bits(),
        "jpeg": encode(RGB, "JPEG", quality=80),
        "gray jpeg": encode(RGB[..., 0], "JPEG"),
        "progressive jpeg": encode(RGB, "JPEG", progressive=True),
        "lossless webp": encode(RGB, "WEBP", lossless=True),
        "lossy webp": encode(RGB, "WEBP"),
        "webp and alpha": encode(SOFT, "WEBP", lossless=True, exact=True),
    }.items(),
    ids=lambda item: item[0],
)
def test_files_are_read_as_elsewhere(serve, data):
    wanted, alpha = files.decode_image(data[1])
    observed = np.ones((9, 14), bool) if alpha is None else alpha >= 128
    found = fill(serve, [data[1]], [b"" if alpha is not None else WHITE], 2)
    for answer in (found["mean_bytes"][0], found["samples_bytes"][0, 1]):
        got = files.decode_image(answer)[0]
        same_bits(got[observed], files.to_channels(wanted, 3)[observed])


def test_images_of_one_batch_may_differ_in_size_and_number_of_samples(serve):
    arrays = [pixels((16, 16)), pixels((30, 11)), pixels((16, 16), seed=1)]
    images = [encode(arrays[0]), encode(arrays[1], "WEBP", lossless=True, exact=True)]
    rows = {"mask_bytes": [b"", b""], "seed": [0, 1], "num_samples": [1, 2]}
    found = serve("image_bytes", image_bytes=images, **rows)
    assert found["samples_bytes"][0, 1] == b""  # not asked for
    for i, array in enumerate(arrays[:2]):
        observed = array[..., 3] >= 128
        for data in (*found["samples_bytes"][i, : i + 1], found["mean_bytes"][i]):
            same_bits(decode(data)[observed], array[..., :3][observed])
        std = files.decode_image(found["std_bytes"][i])[0]
        assert std.dtype == np.uint16
        assert not std[observed].any()
        assert std.any() == (i == 1)
    alone = fill(serve, images[:1])
    assert alone["samples_bytes"][0, 0] == found["samples_bytes"][0, 0]


def test_files_and_pixels_agree(serve):
    array = pixels((20, 13))
    rows = {"seed": [7], "num_samples": [2]}
    found = serve("image_bytes", image_bytes=[encode(array)], mask_bytes=[b""], **rows)
    plain = serve("pixels", pixels=array[None, ..., :3], mask=array[None, ..., 3:], **rows)
    same_bits(decode(found["samples_bytes"][0, 1]), plain["samples"][0, 1])
    same_bits(decode(found["mean_bytes"][0]), plain["mean"][0])
    std = files.decode_image(found["std_bytes"][0])[0] / 65535.0 * 127.5
    np.testing.assert_allclose(std, plain["std"][0], atol=2e-3)


STROKES = np.zeros((1, 4, 4), "uint8")
STROKES[0, 1, 3] = 255  # black on a transparent layer
HOLES = np.full((1, 4, 4), 255, "uint8")
HOLES[0, 1, 3] = 0


@pytest.mark.parametrize(
    ("mask", "observed"),
    {
        "gray": (np.uint8([[0, 127, 128, 255]]), [[0, 0, 1, 1]]),
        "zeros and ones": (np.uint8([[0, 1, 1, 0]]), [[0, 1, 1, 0]]),
        "all missing": (np.uint8([[0, 0, 0, 0]]), [[0, 0, 0, 0]]),
        "16 bits of 255": (np.uint16([[0, 255, 255, 0]]), [[0, 1, 1, 0]]),
        "16 bits": (np.uint16([[0, 65535, 200, 65535]]), [[0, 1, 0, 1]]),
        "strokes": (STROKES, [[1, 0, 1, 1]]),
        "holes": (HOLES, [[1, 0, 1, 1]]),
    }.values(),
)
def test_masks_are_read_as_elsewhere(serve, mask, observed):
    """What is observed comes back; and it is what `files.mask_from_pixels` says."""
    observed = np.array(observed, bool)
    data = encode(mask) if mask.ndim == 3 else files.encode_image(mask)
    np.testing.assert_array_equal(files.mask_from_pixels(*files.decode_image(data)), observed)
    image = np.full((1, 4, 3), 250, "uint8")
    found = decode(fill(serve, [encode(image)], [data])["mean_bytes"][0])
    np.testing.assert_array_equal((found == 250).all(-1) | (observed == 0), True)
    assert ((found == 250).all(-1) == observed).all() or not observed.any() or observed.all()


def test_a_mask_file_adds_to_transparency(serve):
    """Transparent pixels hold no image, whatever a mask says."""
    array = pixels((16, 16))
    array[..., :3] = 250
    white = encode(np.full((16, 16), 255, "uint8"))
    found = decode(fill(serve, [encode(array)], [white])["mean_bytes"][0])
    assert (found == 250).all(-1)[array[..., 3] > 0].all()
    assert not (found == 250).all(-1)[array[..., 3] == 0].any()


# -- refused --------------------------------------------------------------------------------------


def jpeg_of(width, height):
    """A JPEG whose header claims another size."""
    data = bytearray(encode(RGB, "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_of(kind, width, height):
    """A WebP whose header claims another size."""
    options = {b"VP8L": {"lossless": True}, b"VP8 ": {}, b"VP8X": {}}[kind]
    data = bytearray(encode(SOFT if kind == b"VP8X" else RGB, "WEBP", **options))
    assert data[12:16] == kind
    if kind == b"VP8 ":
        data[26:30] = struct.pack("<HH", width, height)
    elif kind == b"VP8L":
        data[21:25] = struct.pack("<I", width - 1 | (height - 1) << 14)
    else:
        data[24:30] = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return bytes(data)


PNG = encode(pixels((9, 14)))
NOISE = np.random.default_rng(0).integers(0, 256, (60, 60, 4)).astype("uint8")
MOVING = encode(
    Image.fromarray(RGB), "WEBP", save_all=True, append_images=[Image.fromarray(255 - RGB)]
)
KNOWN, PIXELS = "must hold PNG, JPEG or WebP", "1 to 4000 pixels"
REFUSED = {
    "empty": (b"", b"", KNOWN),
    "text": (b"no image at all" * 9, b"", KNOWN),
    "gif": (encode(RGB, "GIF"), b"", KNOWN),
    "truncated png": (PNG[:-30], b"", "PNG"),
    "truncated jpeg": (encode(RGB, "JPEG")[:-40], WHITE, "JPEG"),
    "truncated webp": (encode(RGB, "WEBP")[:-20], WHITE, ""),
    "magic only": (PNG[:8], b"", PIXELS),
    "corrupt png": (PNG[:50] + bytes(20) + PNG[70:], b"", "PNG"),
    "no alpha, no mask": (encode(RGB), b"", "needs a mask"),
    "jpeg, no mask": (encode(RGB, "JPEG"), b"", "needs a mask"),
    "mask of another size": (PNG, encode(np.zeros((9, 13), "uint8")), "must have the size of its image"),
    "mask that is none": (PNG, b"white", "`mask_bytes` must hold"),
    "mask without white": (PNG, encode(np.full((9, 14), 100, "uint8")), "must be white where"),
    "mask of three layers": (PNG, encode(SOFT), "either white with transparent holes or black"),
    "bytes": (encode(NOISE, compress_level=0) + bytes(9000), b"", "at most 20000 bytes"),
    "pixels": (encode(np.zeros((64, 63, 4), "uint8")), b"", PIXELS),
    "png bomb": (png(2**31 - 1, 2**31 - 1), b"", PIXELS),
    "negative png": (png(2**32 - 1, 2**32 - 1), b"", PIXELS),
    "empty png": (png(0, 5), b"", PIXELS),
    "hollow png": (png(9, 9), b"", "PNG"),
    "jpeg bomb": (jpeg_of(65000, 65000), WHITE, PIXELS),
    "webp bomb": (webp_of(b"VP8 ", 16383, 16383), WHITE, PIXELS),
    "lossless webp bomb": (webp_of(b"VP8L", 16384, 16384), WHITE, PIXELS),
    "extended webp bomb": (webp_of(b"VP8X", 2**24, 2**24), WHITE, PIXELS),
    "bomb as a mask": (PNG, png(60000, 60000), PIXELS),
    "lying webp": (webp_of(b"VP8X", 5, 5), WHITE, ""),
    "moving webp": (MOVING, WHITE, "must not hold animations"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_files(serve, name):
    image, mask, message = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        fill(serve, [PNG, image], [b"", mask])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_samples": [5]}, "`num_samples` must lie in [1, 4]"),
        ({"mask_bytes": [b"", b""]}, "`mask_bytes` must have one row an image"),
        ({"image_bytes": np.zeros(0, object)}, "at least one encoded image"),
        ({"image_bytes": [encode(np.zeros((60, 60, 4), "uint8"))] * 3, "mask_bytes": [b""] * 3,
          "seed": [0] * 3, "num_samples": [4] * 3}, "at most 40000 pixels"),
    ],
)  # fmt: skip
def test_rows_are_checked(serve, change, message):
    rows = {"image_bytes": [PNG], "mask_bytes": [b""], "seed": [0], "num_samples": [1]}
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        serve("image_bytes", **rows | change)
    assert message in str(error.value)


def test_headers_are_checked_before_pixels(serve):
    """The second image has too many pixels, so that the broken first one is not decoded."""
    with pytest.raises(tf.errors.InvalidArgumentError, match="1 to 4000 pixels"):
        fill(serve, [png(9, 9), png(2**20, 9)], [WHITE] * 2)
