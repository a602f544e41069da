import io

import numpy as np
import pytest
from PIL import Image

from keras_uai.datasets import imagefile
from tests.datasets.images import noise, save


def encoded(image, **options):
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG"])
def test_lossless_files_come_back_exactly(tmp_path, suffix):
    pixels = noise(0, 9, 13)
    save(tmp_path / "x.png", pixels)
    path = tmp_path / f"image{suffix}"
    save(path, pixels)
    found, alpha = imagefile.decode(path)
    assert found.dtype == np.uint8
    assert alpha is None
    if suffix.lower() != ".webp":
        assert np.array_equal(found, pixels)
    assert np.array_equal(imagefile.decode(path.read_bytes())[0], found)


def test_webp_without_loss():
    pixels = noise(1, 8, 8)
    file = encoded(Image.fromarray(pixels), format="WEBP", lossless=True)
    assert np.array_equal(imagefile.decode(file)[0], pixels)


def test_modes():
    rgb, gray = noise(0), noise(1)[..., 0]
    alpha = noise(2)[..., 0]
    found = imagefile.decode(encoded(Image.fromarray(gray), format="PNG"))
    assert np.array_equal(found[0], gray[..., None])
    assert found[1] is None
    rgba = Image.fromarray(np.dstack([rgb, alpha]))
    found = imagefile.decode(encoded(rgba, format="PNG"))
    assert np.array_equal(found[0], rgb)
    assert np.array_equal(found[1], alpha)
    la = Image.fromarray(np.dstack([gray, alpha]))
    found = imagefile.decode(encoded(la, format="PNG"))
    assert np.array_equal(found[0], gray[..., None])
    assert np.array_equal(found[1], alpha)
    bits = Image.fromarray(gray > 100)
    found = imagefile.decode(encoded(bits, format="PNG"))
    assert np.array_equal(found[0][..., 0], (gray > 100) * np.uint8(255))


def test_palettes_are_looked_up():
    index = (noise(0)[..., 0] % 3).astype("uint8")
    colors = np.array([[1, 2, 3], [200, 100, 0], [7, 255, 9]], "uint8")
    image = Image.new("P", (16, 16))
    image.putpalette(colors.flatten().tolist())
    image.putdata(index.flatten().tolist())
    pixels, alpha = imagefile.decode(encoded(image, format="PNG"))
    assert np.array_equal(pixels, colors[index])
    assert alpha is None
    pixels, alpha = imagefile.decode(encoded(image, format="PNG", transparency=1))
    assert np.array_equal(alpha, np.where(index == 1, 0, 255))


def test_sixteen_bits_become_eight():
    wide = np.array([[0, 128, 257, 65535], [65407, 32896, 1000, 2]], "uint16")
    pixels, _ = imagefile.decode(encoded(Image.fromarray(wide), format="PNG"))
    assert pixels[..., 0].tolist() == [[0, 0, 1, 255], [255, 128, 4, 0]]


def test_cmyk_becomes_rgb():
    pixels, _ = imagefile.decode(
        encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), format="JPEG")
    )
    assert pixels.shape == (8, 8, 3)
    assert pixels[0, 0, 0] > 200
    assert pixels[0, 0, 1:].max() < 60


def test_orientation_of_the_camera_is_applied():
    pixels = noise(0, 6, 10)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned: show it turned by 90 degrees clockwise
    found, _ = imagefile.decode(encoded(image, format="PNG", exif=exif))
    assert np.array_equal(found, np.rot90(pixels, -1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an image"),
        (b"no image at all", "not an image"),
        (encoded(Image.fromarray(noise(0, 64, 64)), format="PNG")[:3000], "."),
        (encoded(Image.fromarray(noise(0, 64, 64)), format="JPEG")[:900], "truncated"),
        (encoded(Image.fromarray(noise(0, 64, 64)), format="WEBP")[:900], "."),
    ],
)
def test_files_that_cannot_be_read(content, reason):
    with pytest.raises(imagefile.UnreadableImageError, match=reason):
        imagefile.decode(content)


def test_a_broken_chunk_and_a_missing_file(tmp_path):
    file = bytearray(encoded(Image.fromarray(noise(0, 64, 64)), format="PNG"))
    file[100:400] = bytes(300)
    with pytest.raises(imagefile.UnreadableImageError):
        imagefile.decode(bytes(file))
    with pytest.raises(imagefile.UnreadableImageError, match="No such file"):
        imagefile.decode(tmp_path / "nothing.png")


def test_channels():
    rgb = noise(0)
    gray = imagefile.to_channels(rgb, 1)
    assert np.array_equal(gray[..., 0], np.asarray(Image.fromarray(rgb).convert("L")))
    assert np.array_equal(imagefile.to_channels(gray, 3), np.dstack([gray] * 3))
    assert imagefile.to_channels(rgb, 3) is rgb


def test_the_crop_is_centred():
    """The paper's crop of CelebA: 178 x 218 to 128 x 128 starts at column 25, row 45."""
    rows, columns = np.mgrid[0:218, 0:178]
    found = imagefile.center_crop(np.dstack([rows, columns]), 128)
    assert found.shape == (128, 128, 2)
    assert found[0, 0].tolist() == [45, 25]


@pytest.mark.parametrize("ratio", [2, 3, 5])
def test_whole_ratios_are_means_of_blocks(ratio):
    pixels = noise(0, 8 * ratio, 8 * ratio)
    blocks = pixels.reshape(8, ratio, 8, ratio, 3).mean(axis=(1, 3), dtype="float64")
    assert np.array_equal(imagefile.resize(pixels, 8), np.rint(blocks))


@pytest.mark.parametrize(("source", "size"), [(89, 32), (13, 5), (20, 19), (7, 1)])
def test_other_ratios_are_means_over_areas(source, size):
    """Oracle: enlarge by repetition to a common multiple, then take means of blocks."""
    pixels = noise(0, source, source)
    fine = np.repeat(np.repeat(pixels.astype("float64"), size, 0), size, 1)
    expected = fine.reshape(size, source, size, source, 3).mean(axis=(1, 3))
    assert np.abs(imagefile.resize(pixels, size) - expected).max() <= 0.5 + 1e-9
    observed = noise(1, source, source)[..., 0] > 10
    fine = np.repeat(np.repeat(observed, size, 0), size, 1)
    expected = fine.reshape(size, source, size, source).all(axis=(1, 3))
    assert np.array_equal(imagefile.resize_observed(observed, size), expected)


def test_shrinking_is_antialiased():
    stripes = np.tile(np.array([0, 255], "uint8")[:, None, None], (32, 64, 3))
    found = imagefile.resize(stripes, 32)
    assert set(np.unique(found)) <= {127, 128}


def test_enlarging_is_linear_and_keeps_constants():
    assert (imagefile.resize(np.full((5, 5, 3), 77, "uint8"), 13) == 77).all()
    ramp = np.broadcast_to(np.array([0, 100], "uint8")[None, :, None], (2, 2, 1))
    assert imagefile.resize(ramp, 4)[0, :, 0].tolist() == [0, 25, 75, 100]


@pytest.mark.parametrize("size", [5, 8, 13, 16, 24, 40])
def test_missing_pixels_never_bleed_into_observed_ones(size):
    """Whatever stands under the missing pixels, the observed ones come out the same."""
    observed = noise(3)[..., 0] > 12
    one = np.where(observed[..., None], noise(0), np.uint8(0))
    other = np.where(observed[..., None], noise(0), np.uint8(255))
    kept = imagefile.resize_observed(observed, size)
    assert kept.shape == (size, size)
    assert kept.any()
    assert not kept.all()
    assert np.array_equal(imagefile.resize(one, size)[kept], imagefile.resize(other, size)[kept])
    # ... and no more is given up than has to be: what is missing does depend on them.
    lost = np.abs(imagefile.resize(one, size).astype(int) - imagefile.resize(other, size))
    assert (lost[~kept].max(axis=-1) > 0).mean() > 0.9


def test_the_size_itself_is_left_alone():
    pixels = noise(0)
    assert imagefile.resize(pixels, 16) is pixels
    observed = pixels[..., 0] > 9
    assert imagefile.resize_observed(observed, 16) is observed
