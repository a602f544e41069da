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


def test_images_of_one_size_are_one_batch_and_each_is_answered_as_alone(serve):
    """Two sizes, two bit depths and three numbers of samples in one request."""
    images = [
        encode(SOFT),
        encode(pixels((30, 11))),
        files.encode_image(WIDE, alpha=SOFT[..., 3]),
        encode(SOFT[::-1]),
    ]
    rows = {"image_bytes": images, "mask_bytes": [b""] * 4}
    rows |= {"seed": [4, 0, 5, 6], "num_samples": [1, 2, 3, 2]}
    together = serve("image_bytes", **rows)
    assert [row.tolist().count(b"") for row in together["samples_bytes"]] == [2, 1, 0, 1]
    for i, data in enumerate(images):
        alone = serve("image_bytes", **{name: value[i : i + 1] for name, value in rows.items()})
        wanted, alpha = files.decode_image(data)
        for name, values in alone.items():
            for one, other in zip(np.ravel(values[0]), np.ravel(together[name][i]), strict=False):
                a, b = (files.decode_image(png)[0] for png in (one, other))
                assert a.dtype == b.dtype
                assert np.abs(a.astype(int) - b).max() <= 1
                seen = b[alpha >= 128]
                if name == "std_bytes":
                    assert (b.dtype, seen.any()) == (np.uint16, False)
                    assert b.any() == (i > 0)  # one sample has no deviation
                else:
                    same_bits(seen, wanted[alpha >= 128])


def test_files_and_floats_agree(serve):
    array = pixels((20, 13))
    rows = {"seed": [7], "num_samples": [2]}
    found = serve("image_bytes", image_bytes=[encode(array)], mask_bytes=[b""], **rows)
    y, mask = array[None, ..., :3] / np.float32(127.5) - 1, array[None, ..., 3:] > 0
    plain = serve("serving_default", y=y, mask=mask, **rows)
    for name, png in (("samples", found["samples_bytes"][0, 1]), ("mean", found["mean_bytes"][0])):
        value = plain[name][0] if name == "mean" else plain[name][0, 1]
        np.testing.assert_array_equal(decode(png), np.rint((value + 1) * 127.5))
    std = files.decode_image(found["std_bytes"][0])[0] / 32767.5
    np.testing.assert_allclose(std, plain["std"][0], atol=2e-5)


@pytest.mark.parametrize(
    ("mask", "observed"),
    [
        (np.uint8([[0, 127, 128, 255]]), [0, 0, 1, 1]),
        (np.uint8([[0, 0, 0, 0]]), [0, 0, 0, 0]),
        (np.uint16([[0, 65535, 200, 65535]]), [0, 1, 0, 1]),
        (np.uint16([[0, 255, 127, 255]]), [0, 1, 0, 1]),
        (np.uint8([[0, 1, 0, 1]]), [0, 1, 0, 1]),
        (np.uint8([[[0] * 4, [0] * 3 + [255]] * 2]), [1, 0, 1, 0]),
        (np.uint8([[[255] * 3 + [0], [255] * 4] * 2]), [0, 1, 0, 1]),
    ],
)
def test_masks_are_read_as_elsewhere(serve, mask, observed):
    """What is observed comes back; and it is what `files.mask_from_pixels` says."""
    data = encode(mask)
    observed = np.array([observed], bool)
    np.testing.assert_array_equal(files.mask_from_pixels(*files.decode_image(data)), observed)
    image = np.full((1, 4, 3), 250, "uint8")
    found = decode(fill(serve, [encode(image)], [data])["mean_bytes"][0])
    np.testing.assert_array_equal((found == 250).all(-1), observed)


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


PNG = encode(pixels((9, 14)))
KNOWN, PIXELS = "must hold PNG or JPEG", "1 to 4000 pixels"
MASK = "A mask image must be white where"
REFUSED = {
    "empty": (b"", b"", KNOWN),
    "text": (b"no image at all" * 9, b"", KNOWN),
    "gif": (encode(RGB, "GIF"), b"", KNOWN),
    "webp": (encode(RGB, "WEBP"), WHITE, KNOWN),
    "truncated png": (PNG[:-30], b"", "PNG"),
    "truncated jpeg": (encode(RGB, "JPEG")[:-40], WHITE, "JPEG"),
    "magic only": (PNG[:8], b"", KNOWN),
    "header cut": (PNG[:20], b"", PIXELS),
    "corrupt png": (PNG[:50] + bytes(20) + PNG[70:], b"", "PNG"),
    "no alpha, no mask": (encode(RGB), b"", "needs a mask"),
    "jpeg, no mask": (encode(RGB, "JPEG"), b"", "needs a mask"),
    "mask of another size": (PNG, encode(np.zeros((9, 13), "uint8")), "must have the size of its image"),
    "mask that is none": (PNG, b"white", "`mask_bytes` must hold"),
    "mask without white": (PNG, encode(np.full((9, 14), 100, "uint8")), MASK),
    "mask of 2": (PNG, encode(np.full((9, 14), 2, "uint8")), MASK),
    "transparent mask": (PNG, encode(SOFT), "white with transparent holes or black strokes"),
    "mask without pixels": (PNG, encode(np.zeros((9, 14, 4), "uint8")), "transparent everywhere"),
    "pixels": (encode(np.zeros((64, 63, 4), "uint8")), b"", PIXELS),
    "png bomb": (png(2**31 - 1, 2**31 - 1), b"", PIXELS),
    "negative png": (png(2**32 - 1, 2**32 - 1), b"", PIXELS),
    "empty png": (png(0, 5), b"", PIXELS),
    "hollow png": (png(9, 9), b"", "PNG"),
    "jpeg bomb": (jpeg_of(65000, 65000), WHITE, PIXELS),
    "bomb as a mask": (PNG, png(60000, 60000), "must have the size of its image"),
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
        ({"mask_bytes": [b"", b""]}, "`mask_bytes` must have the shape (N)"),
        ({"image_bytes": np.zeros(0, object)}, "without an axis of length 0"),
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
