"""The client of a local model: every kind of image in, the model's own reconstructions out."""

import numpy as np
import pytest

from keras_uai.serving import Client, RefusedError
from tests.serving.conftest import LIMITS
from tests.serving.photographs import decode, encode, pixels
from tests.testing import observations, same_bits


@pytest.fixture(scope="module")
def client(exported):
    with Client(exported, limits=LIMITS) as client:
        yield client


def observed(image):
    return image[..., 3:] >= 128


def test_arrays_give_the_models_samples(tiny, client):
    y, mask = observations(tiny.measurement, 3)
    wanted = tiny.inpaint(y, mask, 4, seed=5)
    found = client.inpaint(y, mask, 4, seed=5)
    np.testing.assert_allclose(found.samples, wanted, atol=1e-5)
    np.testing.assert_allclose(found.mean, tiny.mean(y, mask), atol=1e-5)
    assert found.std.shape == (3, 16, 16)
    assert found.samples.dtype == found.mean.dtype == found.std.dtype == "float32"
    # Without a mask (recovered), alone, and with an integer for each.
    one = client.inpaint(y[1], None, 4, seed=6)
    np.testing.assert_allclose(one.samples, wanted[1], atol=1e-5)
    assert one.std.shape == (16, 16)
    each = client.inpaint(y, mask[..., 0], 2, seed=[7, 6, 5])
    np.testing.assert_allclose(each.samples[1], wanted[1, :2], atol=1e-5)


def test_many_images_travel_in_parts(client, monkeypatch, tiny):
    y, mask = observations(tiny.measurement, 5)
    whole = client.inpaint(y, mask, 2)
    monkeypatch.setattr("keras_uai.serving.client.BATCH", 2)
    parts = client.inpaint(y, mask, 2)
    np.testing.assert_allclose(parts.samples, whole.samples, atol=1e-6)


def test_bytes_files_and_uint8_arrays_agree(client, tmp_path):
    image = pixels()
    found = client.inpaint(image, num_samples=3, seed=1)
    assert found.samples.shape == (3, 20, 30, 3)
    assert found.samples.dtype == "uint8"
    for sample in (*found.samples, found.mean):
        seen = observed(image)[..., 0]
        same_bits(sample[seen], image[..., :3][seen])
    (tmp_path / "a.png").write_bytes(encode(image))
    (tmp_path / "m.png").write_bytes(encode(image[..., 3]))
    rgb = encode(image[..., :3])
    for given, mask in (
        (encode(image), None),
        (tmp_path / "a.png", None),
        (str(tmp_path / "a.png"), None),
        (rgb, image[..., 3]),
        (rgb, observed(image)),
        (rgb, encode(image[..., 3])),
        (rgb, tmp_path / "m.png"),
        (image[..., :3], observed(image)[..., 0]),
    ):
        again = client.inpaint(given, mask, num_samples=3, seed=1)
        assert np.abs(again.samples.astype(int) - found.samples).max() <= 1
        np.testing.assert_allclose(again.std, found.std, atol=0.5 / 255 + 1e-6)


def test_pngs_are_what_is_decoded(client):
    png = client.inpaint_encoded(encode(pixels()), num_samples=2, seed=1)
    assert len(png.samples) == 2
    found = png.decode()
    same_bits(found.samples[1], decode(png.samples[1]))
    same_bits(found.mean, decode(png.mean))
    assert decode(png.std).shape == (20, 30, 1)


def test_a_list_may_mix_kinds_and_sizes(client):
    images = [pixels((8, 9), seed=2), encode(pixels((20, 30), seed=3))]
    found = client.inpaint(images, num_samples=2, seed=4)
    assert [f.samples.shape for f in found] == [(2, 8, 9, 3), (2, 20, 30, 3)]
    same_bits(found[1].samples, client.inpaint(images[1], num_samples=2, seed=5).samples)
    with pytest.raises(ValueError, match=r"list of 2 images takes as many masks. Received: 1"):
        client.inpaint(images, [None])


def test_a_turned_photograph_comes_back_upright(client):
    """EXIF orientation 6: shown turned by a quarter, with the mask drawn over what is shown."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    image = pixels((20, 30), 3)
    data = encode(image, "JPEG", quality=95, exif=exif.tobytes())
    shown = np.rot90(decode(data), -1)
    mask = pixels((30, 20), 4)[..., 3:]
    found = client.inpaint(data, mask, num_samples=1)
    seen = mask[..., 0] >= 128
    assert found.samples.shape == (1, 30, 20, 3)
    assert np.abs(found.samples[0][seen].astype(int) - shown[seen]).max() <= 1
    upright = client.inpaint(np.ascontiguousarray(shown), mask, num_samples=1)
    assert np.abs(found.mean.astype(int) - upright.mean).mean() <= 1


def test_what_lies_under_the_mask_does_not_matter(client, tiny):
    y, mask = observations(tiny.measurement, 2)
    hidden = np.where(mask > 0.5, y, np.float32(np.nan))
    same_bits(client.inpaint(hidden, mask, 2).samples, client.inpaint(y, mask, 2).samples)


Y = np.full((16, 16, 3), 0.5, "float32")
MASK = np.arange(256).reshape(16, 16) % 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image": Y.astype("int32")}, r"floats in \[-1, 1\].*Received: an array of int32"),
        ({"image": Y[..., 0]}, r"shape \(h, w, C\) or \(N, h, w, C\). Received: \(16, 16\)"),
        ({"image": Y[:0]}, r"Received: \(0, 16, 3\)"),
        ({"image": Y, "mask": MASK[:8]}, r"of the image's size, \(16, 16\). Received: \(1, 8, 16, 1\)"),
        ({"image": Y, "mask": MASK * 0.5}, "holds 1 where a pixel is observed"),
        ({"image": Y, "mask": MASK * 0}, r"Nothing of this image is observed.*Received: image 0"),
        ({"image": Y, "mask": MASK * 0 + 1}, r"Nothing is missing"),
        ({"image": Y}, r"Nothing is missing"),
        ({"image": Y * 3, "mask": MASK}, r"must lie in \[-1, 1\].*Received: values from 0.0 to 1.5"),
        ({"image": Y * np.nan, "mask": MASK}, "must be finite. Received: NaN"),
        ({"image": Y, "mask": MASK, "num_samples": 0}, r"at least 1. Received: num_samples=0"),
        ({"image": Y, "mask": MASK, "seed": 0.5}, r"made of integers. Received: seed=0.5"),
        ({"image": Y, "mask": MASK, "seed": [1, 2]}, r"one an image \(1\). Received: shape \(2,\)"),
        ({"image": pixels(channels=3)}, r"need a mask.*image of 3 channels, and no mask"),
        ({"image": b""}, "This image cannot be read: it is empty"),
        ({"image": b"GIF89a"}, "cannot be read: no PNG, JPEG or WebP"),
        ({"image": encode(pixels(), "GIF")}, "cannot be read: no PNG, JPEG or WebP"),
        ({"image": encode(pixels())[:-200]}, "This image cannot be read"),
        ({"image": encode(pixels(channels=3))}, "without an alpha channel needs a mask"),
        ({"image": encode(pixels((70, 60)))}, r"4,000 are allowed. Received: 60 x 70"),
        ({"image": encode(pixels((100, 100)))}, "may have 20,000 bytes"),
        ({"image": encode(pixels()), "mask": MASK}, r"30 x 20 \(width x height\). Received: a mask of 16 x 16"),
        ({"image": encode(pixels()), "mask": b"no"}, "This mask cannot be read"),
        ({"image": encode(pixels()), "mask": np.zeros((20, 30), bool)}, "Nothing of this image"),
        ({"image": encode(pixels()), "mask": np.ones((20, 30), bool)}, "Nothing is missing"),
        ({"image": encode(pixels()), "mask": 5}, "holds 1|shape"),
        ({"image": "/nowhere/a.png"}, r"^/nowhere/a.png: This file cannot be read: No such file"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_it_is_sent(client, monkeypatch, given, message):
    monkeypatch.setattr(client, "call", None)
    with pytest.raises(ValueError, match=message):
        client.inpaint(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image": Y, "mask": MASK, "num_samples": 5}, r"lie in \[1, 4\]. Received: \[5\]$"),
        ({"image": Y[..., :1], "mask": MASK}, r"\(N, h, w, 3\).*Received: \[1 16 16 1\]$"),
        ({"image": encode(pixels(channels=3))[:-200], "mask": pixels()[..., 3]}, "^Invalid PNG"),
    ],
)
def test_what_the_model_refuses_says_so(client, given, message):
    with pytest.raises(RefusedError, match=message):
        client.inpaint(**given)


def test_errors_name_the_image(client, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"broken")
    good = encode(pixels())
    with pytest.raises(ValueError, match=r"broken.png: This image cannot be read"):
        client.inpaint([good, tmp_path / "broken.png"], num_samples=1)
    with pytest.raises(ValueError, match=r"image 1: This image cannot be read"):
        client.inpaint([good, b"broken"], num_samples=1)
    with pytest.raises(RefusedError, match=r"image 0: `num_samples` must lie in"):
        client.inpaint([good], num_samples=9)
