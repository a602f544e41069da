"""Image files inside the graph: read as data sets read them, answered at their own sizes, refused before they hurt."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_uai.datasets import imagefile
from tests.testing import same_bits

tf = pytest.importorskip("tensorflow")


def pixels(height, width, channels=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype("uint8")


def file(array, kind="PNG", **options):
    """An array, or a Pillow image, as the bytes of a file."""
    image = array if isinstance(array, Image.Image) else Image.fromarray(np.squeeze(array))
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def fill(serve, images, masks=None, num_samples=1):
    count = len(images)
    return serve(
        "image_bytes",
        image_bytes=images,
        mask_bytes=masks or [b""] * count,
        seed=range(count),
        num_samples=[num_samples] * count,
    )


RGB, WHITE = pixels(9, 14, 3), file(np.full((9, 14), 255, "uint8"))
PALETTE = Image.fromarray(RGB).quantize(16)


@pytest.mark.parametrize(
    "data",
    {
        "rgb": file(RGB),
        "gray": file(RGB[..., 0]),
        "one bit": file(Image.fromarray(RGB[..., 0] > 99)),
        "palette": file(PALETTE),
        "transparent palette": file(PALETTE, transparency=3),
        "gray and alpha": file(Image.fromarray(pixels(9, 14)).convert("LA")),
        "jpeg": file(RGB, "JPEG", quality=80),
        "gray jpeg": file(RGB[..., 0], "JPEG"),
        "progressive jpeg": file(RGB, "JPEG", progressive=True),
        "lossless webp": file(RGB, "WEBP", lossless=True),
        "lossy webp": file(RGB, "WEBP"),
        "webp and alpha": file(pixels(9, 14), "WEBP", lossless=True, exact=True),
        "lossy webp and alpha": file(pixels(9, 14), "WEBP"),
    }.items(),
    ids=lambda item: item[0],
)
def test_files_are_read_as_data_sets_read_them(serve, data):
    wanted, alpha = imagefile.decode(data[1])
    wanted = imagefile.to_channels(wanted, 3)
    observed = np.ones((9, 14), bool) if alpha is None else alpha >= 128
    mask = b"" if alpha is not None else WHITE
    found = fill(serve, [data[1]], [mask], 2)
    for name, png in (("mean", found["mean_bytes"][0]), ("samples", found["samples_bytes"][0, 1])):
        got = np.asarray(Image.open(io.BytesIO(png)))
        same_bits(got[observed], wanted[observed]), name
    assert found["samples"].shape == (1, 2, 16, 16, 3)


def test_images_of_one_batch_may_differ_in_size(serve):
    arrays = [pixels(16, 16), pixels(30, 11), pixels(16, 16, seed=1)]
    files = [file(arrays[0]), file(arrays[1], "WEBP", lossless=True, exact=True), file(arrays[2])]
    together = fill(serve, files, num_samples=2)
    for i, array in enumerate(arrays):
        png = Image.open(io.BytesIO(together["samples_bytes"][i, 1]))
        assert png.size == array.shape[1::-1]
        observed = array[..., 3] >= 128
        same_bits(np.asarray(png)[observed], array[..., :3][observed])
        std = np.asarray(Image.open(io.BytesIO(together["std_bytes"][i])))
        assert std.shape == array.shape[:2]
        assert not std[observed].any()
    same_size = serve(  # at once, and not one by one
        "image_bytes", image_bytes=files[::2], mask_bytes=[b""] * 2, seed=[0, 2], num_samples=[2, 2]
    )
    assert same_size["samples_bytes"].tolist() == together["samples_bytes"][::2].tolist()
    np.testing.assert_allclose(same_size["samples"], together["samples"][::2], atol=1e-6)


def test_bytes_and_8_bits_agree(serve):
    array = pixels(20, 13)
    draws = {"seed": [7], "num_samples": [2]}
    encoded = serve("image_bytes", image_bytes=[file(array)], mask_bytes=[b""], **draws)
    mask = np.where(array[..., 3:] >= 128, 255, 0)
    plain = serve("uint8", image=array[None, ..., :3], mask=mask[None], **draws)
    png = np.asarray(Image.open(io.BytesIO(encoded["samples_bytes"][0, 1])))
    same_bits(png, plain["samples"][0, 1])
    same_bits(np.asarray(Image.open(io.BytesIO(encoded["mean_bytes"][0]))), plain["mean"][0])
    std = np.asarray(Image.open(io.BytesIO(encoded["std_bytes"][0])))
    np.testing.assert_array_equal(std, np.rint(plain["std"][0] * 255))


@pytest.mark.parametrize(
    ("mask", "observed"),
    [
        ([[0, 127, 128, 255]], [[0, 0, 1, 1]]),
        ([[0, 1, 1, 0]], [[0, 1, 1, 0]]),  # a file of zeros and ones
        ([[0, 0, 0, 0]], [[0, 0, 0, 0]]),
        ([[0, 1, 2, 200]], [[0, 0, 0, 1]]),
    ],
)
def test_white_is_observed(mask, observed):
    from keras_uai.serving import encoded

    found = encoded.observed(tf.constant(mask, "uint8")[None, ..., None])
    np.testing.assert_array_equal(found[0, ..., 0], np.array(observed, bool))


def test_an_explicit_mask_wins_over_alpha(serve):
    array = pixels(16, 16)
    found = fill(serve, [file(array)], [file(np.full((16, 16), 255, "uint8"))])
    same_bits(np.asarray(Image.open(io.BytesIO(found["mean_bytes"][0]))), array[..., :3])


# -- what is refused ------------------------------------------------------------------------------


def png_header(width, height, depth=8, kind=2):
    """A PNG that claims a size and holds nothing of it."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    return start + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IEND\xaeB`\x82"


def jpeg_of(width, height):
    """A JPEG whose header claims another size."""
    data = bytearray(file(RGB, "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_of(kind, width, height):
    """A WebP whose header claims another size."""
    options = {b"VP8L": {"lossless": True}, b"VP8 ": {}, b"VP8X": {}}[kind]
    data = bytearray(file(pixels(9, 14) if kind == b"VP8X" else RGB, "WEBP", **options))
    assert data[12:16] == kind
    if kind == b"VP8 ":
        data[26:30] = struct.pack("<HH", width, height)
    elif kind == b"VP8L":
        data[21:25] = struct.pack("<I", width - 1 | (height - 1) << 14)
    else:
        data[24:30] = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return bytes(data)


PNG = file(pixels(9, 14))
MOVING = file(
    Image.fromarray(RGB), "WEBP", save_all=True, append_images=[Image.fromarray(255 - RGB)]
)

REFUSED = {
    "empty": (b"", b"", "must hold PNG, JPEG or WebP"),
    "text": (b"no image at all" * 9, b"", "must hold PNG, JPEG or WebP"),
    "gif": (file(RGB, "GIF"), b"", "must hold PNG, JPEG or WebP"),
    "truncated png": (PNG[:-30], b"", "PNG"),
    "truncated jpeg": (file(RGB, "JPEG")[:-40], WHITE, "JPEG"),
    "truncated webp": (file(RGB, "WEBP")[:-20], WHITE, ""),
    "magic only": (PNG[:8], b"", "4000 pixels at most"),
    "corrupt png": (PNG[:50] + bytes(20) + PNG[70:], b"", "PNG"),
    "no alpha, no mask": (file(RGB), b"", "needs a mask"),
    "jpeg, no mask": (file(RGB, "JPEG"), b"", "needs a mask"),
    "mask of another size": (PNG, file(np.zeros((9, 13), "uint8")), "must have the size of its image"),
    "mask that is none": (PNG, b"white", "`mask_bytes` must hold"),
    "bytes": (file(pixels(60, 60), compress_level=0) + bytes(9000), b"", "20000 bytes an image"),
    "pixels": (file(np.zeros((64, 63, 4), "uint8")), b"", "4000 pixels at most"),
    "png bomb": (png_header(2**31 - 1, 2**31 - 1), b"", "4000 pixels at most"),
    "negative png": (png_header(2**32 - 1, 2**32 - 1), b"", "4000 pixels at most"),
    "empty png": (png_header(0, 5), b"", "4000 pixels at most"),
    "hollow png": (png_header(9, 9), b"", "PNG"),
    "jpeg bomb": (jpeg_of(65000, 65000), WHITE, "4000 pixels at most"),
    "webp bomb": (webp_of(b"VP8 ", 16383, 16383), WHITE, "4000 pixels at most"),
    "lossless webp bomb": (webp_of(b"VP8L", 16384, 16384), WHITE, "4000 pixels at most"),
    "extended webp bomb": (webp_of(b"VP8X", 2**24, 2**24), WHITE, "4000 pixels at most"),
    "bomb as a mask": (PNG, png_header(60000, 60000), "4000 pixels at most"),
    "lying webp": (webp_of(b"VP8X", 5, 5), WHITE, ""),
    "moving webp": (MOVING, WHITE, "do not move"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(serve, name):
    image, mask, message = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        fill(serve, [PNG, image], [b"", mask])
    assert message in str(error.value)


def test_draws_are_checked(serve):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"num_samples` must lie in \[1, 4\]"):
        fill(serve, [PNG], num_samples=5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="40000 pixels at most"):
        fill(serve, [file(np.zeros((50, 50, 4), "uint8"))] * 5, num_samples=4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one encoded image"):
        serve("image_bytes", image_bytes=np.zeros(0, object), mask_bytes=np.zeros(0, object),
              seed=np.zeros(0, int), num_samples=np.zeros(0, int))  # fmt: skip
    with pytest.raises(tf.errors.InvalidArgumentError, match="`mask_bytes` must hold one value"):
        serve("image_bytes", image_bytes=[PNG], mask_bytes=[b"", b""], seed=[0], num_samples=[1])
