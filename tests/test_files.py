import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_uai import files
from tests.strategies import attempt, damaged, image_files


def noise(seed, height=16, width=16, channels=3, dtype="uint8"):
    high = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, high, (height, width, channels)).astype(dtype)


def encoded(image, **options):
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


# -- images ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_round_trip(tmp_path, extension, dtype, channels):
    pixels = noise(0, 9, 13, channels, dtype)
    path = tmp_path / f"image{extension}"
    if dtype == "uint16" and extension == ".bmp":
        with pytest.raises(ValueError, match="`pixels` must be uint8 or uint16"):
            files.write_image(path, pixels)
        return
    files.write_image(path, pixels)
    for found, alpha in (files.decode_image(path), files.decode_image(path.read_bytes())):
        assert found.dtype == np.dtype(dtype)
        assert np.array_equal(found, pixels)
        assert alpha is None


@pytest.mark.parametrize("extension", [".png", ".tif"])
@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint8", 3), ("uint16", 3)])
def test_alpha_round_trip(extension, dtype, channels):
    pixels, alpha = noise(0, 9, 13, channels, dtype), noise(1, 9, 13, 1)[..., 0]
    found = files.decode_image(files.encode_image(pixels, extension, alpha))
    assert np.array_equal(found[0], pixels)
    assert np.array_equal(found[1], alpha)


def test_floating_point_tiff():
    pixels = np.random.default_rng(0).normal(size=(5, 6, 1)).astype("float32")
    pixels[0, 0] = np.nan
    found, _ = files.decode_image(files.encode_image(pixels, ".tif"))
    assert np.array_equal(found, pixels, equal_nan=True)


def test_modes():
    gray = noise(1)[..., 0]
    found = files.decode_image(encoded(Image.fromarray(gray), format="WEBP", lossless=True))
    assert np.array_equal(found[0], np.dstack([gray] * 3))
    bits = Image.fromarray(gray > 100)
    found = files.decode_image(encoded(bits, format="PNG"))
    assert np.array_equal(found[0][..., 0], (gray > 100) * np.uint8(255))
    cmyk = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), format="JPEG")
    pixels, _ = files.decode_image(cmyk)
    assert pixels.shape == (8, 8, 3)
    assert pixels[0, 0, 0] > 200
    assert pixels[0, 0, 1:].max() < 60


def test_palettes_are_looked_up():
    index = (noise(0)[..., 0] % 3).astype("uint8")
    colors = np.array([[1, 2, 3], [200, 100, 0], [7, 255, 9]], "uint8")
    image = Image.new("P", (16, 16))
    image.putpalette(colors.flatten().tolist())
    image.putdata(index.flatten().tolist())
    pixels, alpha = files.decode_image(encoded(image, format="PNG"))
    assert np.array_equal(pixels, colors[index])
    assert alpha is None
    pixels, alpha = files.decode_image(encoded(image, format="PNG", transparency=1))
    assert np.array_equal(alpha, np.where(index == 1, 0, 255))


def png(kind, pixels, *chunks):
    """A PNG of 16 bits and a colour type, with more chunks before its pixels; by the standard."""
    height, width = pixels.shape[:2]
    raw = b"".join(b"\0" + row.tobytes() for row in pixels.astype(">u2"))
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    made = b"\x89PNG\r\n\x1a\n"
    for name, data in (header, *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")):
        made += struct.pack(">I", len(data)) + name + data
        made += struct.pack(">I", zlib.crc32(name + data))
    return made


def test_transparency_of_16_bit_gray():
    pixels = np.full((4, 5), 40000)
    pixels[1:3, 2] = 0x1234
    found, alpha = files.decode_image(png(0, pixels, (b"tRNS", b"\x12\x34")))
    assert np.array_equal(found[..., 0], pixels)
    assert np.array_equal(alpha, np.where(pixels == 0x1234, 0, 255))


def test_16_bit_gray_with_alpha():
    both = noise(0, 4, 5, 2, "uint16")
    found = files.decode_image(png(4, both))
    assert np.array_equal(found[0], both[..., :1])
    assert np.array_equal(found[1], both[..., 1] >> 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_the_camera_is_applied(orientation):
    """Oracle: the definition of EXIF's eight orientations in flips and quarter turns."""
    pixels = noise(0, 6, 10)
    expected = {
        1: pixels,
        2: pixels[:, ::-1],
        3: np.rot90(pixels, 2),
        4: pixels[::-1],
        5: np.rot90(pixels[:, ::-1], 1),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels[:, ::-1], -1),
        8: np.rot90(pixels, 1),
    }[orientation]
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    data = encoded(image, format="PNG", exif=exif)
    assert np.array_equal(files.decode_image(data)[0], expected)
    assert np.array_equal(files.turn(pixels, orientation), expected)
    assert files.read_header(data) == (10, 6, "PNG", orientation)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an image"),
        (b"no image at all", "not an image"),
        (encoded(Image.fromarray(noise(0, 64, 64)), format="PNG")[:3000], "."),
        (encoded(Image.fromarray(noise(0, 64, 64)), format="JPEG")[:900], "truncated"),
        (encoded(Image.fromarray(noise(0, 64, 64)), format="WEBP")[:900], "."),
        (files.encode_image(noise(0, 64, 64, dtype="uint16"))[:3000], "."),
        (
            encoded(
                Image.fromarray(noise(0)),
                format="GIF",
                save_all=True,
                append_images=[Image.fromarray(noise(1))],
            ),
            "it holds 2 images",
        ),
    ],
)
def test_files_that_cannot_be_read(tmp_path, content, reason):
    with pytest.raises(files.UnreadableImageError, match=reason):
        files.decode_image(content)
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(files.UnreadableImageError, match=reason):
        files.decode_image(tmp_path / "x.png")


def test_a_broken_chunk_and_a_missing_file(tmp_path):
    file = bytearray(encoded(Image.fromarray(noise(0, 64, 64)), format="PNG"))
    file[100:400] = bytes(300)
    with pytest.raises(files.UnreadableImageError):
        files.decode_image(bytes(file))
    with pytest.raises(files.UnreadableImageError, match="No such file"):
        files.decode_image(tmp_path / "nothing.png")


def test_channels():
    rgb = noise(0)
    gray = files.to_channels(rgb, 1)
    assert np.array_equal(gray[..., 0], np.asarray(Image.fromarray(rgb).convert("L")))
    assert np.array_equal(files.to_channels(gray, 3), np.dstack([gray] * 3))
    assert files.to_channels(rgb, 3) is rgb
    wide = files.to_channels(rgb.astype("uint16") * 257, 1)
    assert np.abs(wide / 257 - gray).max() < 0.51
    with pytest.raises(ValueError, match="Only gray and RGB"):
        files.to_channels(noise(0, channels=4), 3)


# -- masks -----------------------------------------------------------------------------------------

SEEN = noise(0)[..., 0] > 100


def layer(gray, alpha):
    return np.dstack([gray, gray, gray, alpha]).astype("uint8")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (SEEN * np.uint8(255), SEEN),
        (SEEN * np.uint8(1), SEEN),
        (SEEN, SEEN),
        (np.dstack([SEEN * np.uint8(255)] * 3), SEEN),
        (SEEN * np.uint16(255), SEEN),
        (SEEN * np.uint16(65535), SEEN),
        (SEEN * np.uint16(1), SEEN),
        (np.array([[0, 1, 127, 128, 200, 255]], "uint8"), [[False] * 3 + [True] * 3]),
        (np.array([[0, 300, 32767, 32768, 65535]], "uint16"), [[False] * 3 + [True] * 2]),
        (np.zeros((4, 4), "uint8"), np.zeros((4, 4), bool)),
        (np.full((4, 4), 255, "uint8"), np.ones((4, 4), bool)),
        (layer(0 * SEEN, 255 * ~SEEN), SEEN),  # black strokes on a transparent layer
        (layer(255 + 0 * SEEN, 255 * SEEN), SEEN),  # white, erased where missing
        (layer(255 * SEEN, 255 + 0 * SEEN), SEEN),
    ],
)
def test_mask_files(tmp_path, image, expected):
    path = tmp_path / "mask.png"
    Image.fromarray(image).save(path)
    expected = np.asarray(expected)
    assert np.array_equal(files.read_mask(path, expected.shape), expected)


@pytest.mark.parametrize(
    "image",
    [
        SEEN * np.uint8(127),
        SEEN * np.uint8(2),
        layer(255 * SEEN, 255 * (noise(1)[..., 0] > 90)),
        layer(0 * SEEN, 0 * SEEN),
    ],
)
def test_images_that_are_no_masks(image):
    data = encoded(Image.fromarray(image), format="PNG")
    with pytest.raises(ValueError, match=r"mask image .*must.*Received:"):
        files.mask_from_pixels(*files.decode_image(data))


def save_turned(path, pixels):
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)


def test_a_mask_over_the_stored_pixels_is_turned_with_them(tmp_path):
    pixels = noise(0, 6, 10)
    save_turned(tmp_path / "image.png", pixels)
    stored = pixels[..., 0] > 90
    Image.fromarray(stored).save(tmp_path / "mask.png")
    found = files.read_mask(tmp_path / "mask.png", (10, 6), tmp_path / "image.png")
    assert np.array_equal(found, files.turn(pixels, 6)[..., 0] > 90)
    with pytest.raises(ValueError, match=r"6 x 10 pixels .* Received: .*mask.png of 10 x 6"):
        files.read_mask(tmp_path / "mask.png", (10, 6))


def test_a_square_mask_of_a_turned_image_warns(tmp_path):
    save_turned(tmp_path / "image.jpg", noise(0))
    Image.fromarray(SEEN).save(tmp_path / "mask.png")
    with pytest.warns(UserWarning, match="EXIF turns the image"):
        found = files.read_mask(tmp_path / "mask.png", (16, 16), tmp_path / "image.jpg")
    assert np.array_equal(found, SEEN)


# -- any bytes -------------------------------------------------------------------------------------


@given(image_files().flatmap(lambda file: st.tuples(st.just(file), damaged(st.just(file)))))
@pytest.mark.filterwarnings("ignore")  # Pillow's, on what it repairs
def test_a_damaged_file_is_read_as_pillow_reads_it_or_refused(pair):
    """Whole files are always read. Of 16 bits a channel, Pillow keeps the upper ones."""
    whole, file = pair
    pixels, alpha = attempt(files.decode_image, file, says=()) or (None, None)
    if pixels is None:
        assert file != whole
        return
    assert pixels.dtype in ("uint8", "uint16", "float32")
    image, shape = Image.open(io.BytesIO(file)), pixels.shape[:2]
    assert shape == image.size[::-1]
    assert alpha is None or (alpha.shape, alpha.dtype) == (shape, "uint8")
    wanted = np.asarray(image)
    if pixels.dtype == "uint8":
        wanted = np.asarray(image.convert("RGB"))
    elif wanted.ndim == 3:
        pixels, wanted = pixels >> 8, wanted[..., : pixels.shape[-1]]
    np.testing.assert_array_equal(
        np.broadcast_to(pixels, wanted.shape) if wanted.ndim == 3 else pixels[..., 0], wanted
    )
    observed = attempt(files.read_mask, file, shape)
    assert observed is None or observed.shape == shape


def test_absurd_sizes_are_refused_before_anything_is_decoded(monkeypatch):
    """A header claims a gigapixel; and the limit is Pillow's."""
    header = struct.pack(">IIBBBBB", 50000, 20000, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    message = r"more than 536,870,912 pixels. Cut it into parts, or raise PIL.Image.MAX"
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(files.UnreadableImageError, match=message),
    ):
        files.read_header(data + b"\0\0\0\0IDAT" * 2)
    whole = encoded(Image.fromarray(noise(0)), format="PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(files.UnreadableImageError, match="more than 100 pixels"):
        files.decode_image(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert np.array_equal(files.decode_image(whole)[0], noise(0))
