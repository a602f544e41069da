"""The client: every kind of image in, the model's own reconstructions out."""

import numpy as np
import pytest

from keras_uai import files
from keras_uai.measurements import Empirical
from keras_uai.serving import Client, RefusedError
from keras_uai.serving import client as client_module
from keras_uai.values import ValueScaling
from tests.serving.conftest import tiny_model
from tests.serving.photographs import batch, decode, encode, pixels
from tests.testing import same_bits


@pytest.fixture(scope="module")
def client(exported):
    with Client(exported) as client:
        yield client


def observed(image):
    return image[..., 3:] >= 128


def test_arrays_give_the_models_samples(tiny, client):
    y, mask = batch(3)
    wanted = tiny.inpaint(y, mask, 4, seed=5)
    found = client.inpaint(y, mask, 4, seed=5)
    np.testing.assert_allclose(found.samples, wanted, atol=1e-5)
    np.testing.assert_allclose(found.mean, tiny.predict_mean(y, mask), atol=1e-5)
    assert found.std.shape == (3, 20, 30, 3)
    assert found.samples.dtype == found.mean.dtype == found.std.dtype == "float32"
    # Without a mask (recovered), alone, and with an integer for each.
    one = client.inpaint(y[1], None, 4, seed=6)
    np.testing.assert_allclose(one.samples, wanted[1], atol=1e-5)
    assert one.std.shape == (20, 30, 3)
    each = client.inpaint(y, mask[..., 0], 2, seed=[7, 6, 5])
    np.testing.assert_allclose(each.samples[1], wanted[1, :2], atol=1e-5)


def test_missing_values_may_be_marked_in_many_ways(client):
    y, mask = batch(2)
    wanted = client.inpaint(y, mask, 2).samples
    missing = np.broadcast_to(mask < 0.5, y.shape)
    for image, given in (
        (np.where(missing, np.float32(np.nan), y), None),
        (np.where(missing, np.float32(np.nan), y), mask),
        (np.ma.array(y, mask=missing), None),
        (y, mask.astype(bool)),
        (y, (mask * 255).astype("uint16")),
    ):
        same_bits(client.inpaint(image, given, 2).samples, wanted)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
def test_dtype_units_and_bits_are_kept(client, tiny, dtype):
    y, mask = batch(3)
    scale = {"uint8": 127.5, "uint16": 32767.5}.get(dtype)
    images = (np.rint((y + 1) * scale) if scale else y * 0.999).astype(dtype)
    image = images[0]
    found = client.inpaint(image, mask[0], 4, seed=1)
    assert found.samples.dtype == found.mean.dtype == dtype
    seen = mask[0, ..., 0] > 0.5
    for sample in (*found.samples, found.mean):
        same_bits(sample[seen], image[seen])
    y = (images / scale - 1 if scale else images).astype("float32")
    wanted = tiny.inpaint(y, mask, 4, seed=1)
    std = wanted[0].std(0, ddof=1) * (scale or 1)
    np.testing.assert_allclose(found.std, std, rtol=1e-3, atol=0.01)
    samples = np.rint((wanted[0] + 1) * scale) if scale else wanted[0]
    assert np.abs(found.samples - samples.astype("float64")).max() <= (1 if scale else 1e-5)


def test_large_arrays_are_sent_in_parts(client, monkeypatch):
    y, mask = batch(5)
    whole = client.inpaint(y, mask, 2)
    monkeypatch.setattr(client_module, "BATCH", 2)
    parts = client.inpaint(y, mask, 2)
    np.testing.assert_allclose(parts.samples, whole.samples, atol=1e-6)


def test_images_beyond_the_limits_are_filled_by_tiles(client, tiny, monkeypatch):
    """The export takes 4,000 pixels. Scattered holes are filled as in one piece."""
    y, mask = batch(1, (101, 67))
    with pytest.raises(RefusedError, match=r"no room for tiles. Received: 101 x 67"):
        client.inpaint(y, mask, 2)
    monkeypatch.setattr(client_module, "ALIGNMENT", 8)
    found = client.inpaint(y, mask, 2, seed=3)
    np.testing.assert_allclose(found.samples, tiny.inpaint(y, mask, 2, 3), atol=1e-5)
    np.testing.assert_allclose(found.mean, tiny.predict_mean(y, mask), atol=1e-5)


def test_bytes_files_and_arrays_agree(client, tmp_path):
    image = pixels()
    found = client.inpaint(image, num_samples=3, seed=1)
    assert found.samples.shape == (3, 20, 30, 3)
    (tmp_path / "a.png").write_bytes(encode(image))
    (tmp_path / "m.png").write_bytes(encode(image[..., 3:]))
    rgb, alpha = encode(image[..., :3]), image[..., 3]
    for given, mask in (
        (encode(image), None),
        (tmp_path / "a.png", None),
        (str(tmp_path / "a.png"), None),
        (rgb, alpha),
        (rgb, observed(image)),
        (rgb, encode(image[..., 3:])),
        (rgb, tmp_path / "m.png"),
        (image[..., :3], observed(image)[..., 0]),
    ):
        again = client.inpaint(given, mask, num_samples=3, seed=1)
        same_bits(again.samples, found.samples)
        same_bits(again.std, found.std)


def test_gray_images_come_back_gray(client):
    """The model has three channels."""
    image = pixels((9, 12), 1)
    mask = pixels((9, 12), 2)[..., 1]
    for given in (image, encode(image)):
        found = client.inpaint(given, mask, num_samples=2)
        assert found.samples.shape == (2, 9, 12, 1)
        assert found.std.shape == (9, 12, 1)
        same_bits(found.mean[mask > 0], image[mask > 0])
    colours = client.inpaint(np.repeat(image, 3, axis=-1), mask, num_samples=2)
    same_bits(found.samples, files.to_channels(colours.samples, 1))


def test_several_files_are_mapped_in_order(client):
    files = [encode(pixels((8, 9), seed=2)), encode(pixels((20, 30), seed=3))]
    found = list(client.map(lambda file: client.inpaint(file, num_samples=2), files))
    assert [f.samples.shape for f in found] == [(2, 8, 9, 3), (2, 20, 30, 3)]


def test_a_turned_photograph_comes_back_upright(client):
    """EXIF orientation 6: shown turned by a quarter, with the mask drawn over what is shown."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(pixels((20, 30), 3), "JPEG", quality=95, exif=exif.tobytes())
    shown = np.ascontiguousarray(np.rot90(decode(data), -1))
    mask = pixels((30, 20), 4)[..., 3]
    found = client.inpaint(data, mask, num_samples=1)
    same_bits(found.samples, client.inpaint(shown, mask, num_samples=1).samples)


def test_a_fixed_layout_keeps_the_aspect(exported_fixed, fixed):
    """40 x 24 pixels of 2 x 2 blocks become 16 x 10 in the middle, and come back."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (1, 16, 10, 3)).astype("uint8")
    seen = rng.random((1, 16, 10, 1)) < 0.5
    image, mask = (np.kron(v, np.ones((1, 2, 2, 1), v.dtype)) for v in (small, seen))
    warned = pytest.warns(UserWarning, match=r"fixed layout of 16 x 16.*aspect")
    with Client(exported_fixed) as client, warned:
        found = client.inpaint(image, mask, 2)
    same_bits(found.mean[mask[..., 0]], image[mask[..., 0]])
    pads = ((0, 0), (0, 0), (3, 3), (0, 0))
    y = np.pad(small / np.float32(127.5) - 1, pads)
    wanted = fixed.inpaint(y, np.pad(seen, pads), 2)[..., 3:-3, :]
    centre = found.samples.reshape(1, 2, 16, 2, 10, 2, 3).mean((3, 5)) / 127.5 - 1
    missing = ~seen[0, ..., 0]
    assert np.corrcoef(centre[0, 0][missing].ravel(), wanted[0, 0][missing].ravel())[0, 1] > 0.9


def test_holes_that_vanish_in_a_fixed_layout_are_told(exported_fixed):
    """Scattered pixels are averaged away. Their std is not 0, and a warning counts them."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype("uint8")
    mask = np.random.default_rng(1).random((64, 64)) < 0.8
    warned = pytest.warns(UserWarning, match="827 of 827 missing pixels vanish in the fixed layout")
    with (
        Client(exported_fixed) as client,
        warned,
        pytest.warns(UserWarning, match="fixed layout of"),
    ):
        found = client.inpaint(image, mask, 2)
    assert (found.std[~mask] > 0).all()
    assert found.std[~mask].mean() == pytest.approx(image.std(), rel=0.1)


Y = np.full((16, 16, 3), 0.5, "float32")
MASK = np.arange(256).reshape(16, 16) % 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image": Y.astype("int32"), "mask": MASK}, r"uint8 or uint16.*Received: an array of int32"),
        ({"image": Y[..., 0]}, r"shape \(N, H, W, 3\). Received: shape \(1, 16, 16|Received: shape"),
        ({"image": Y[:0]}, r"Received: shape \(1, 0, 16, 3\)"),
        ({"image": np.moveaxis(Y, -1, 0), "mask": MASK}, "channels must come last"),
        ({"image": Y[..., :1], "mask": MASK}, r"must have shape \(N, H, W, 3\)"),
        ({"image": Y, "mask": MASK[:8]}, r"`mask` must have shape.*Received: shape \(8, 16\)"),
        ({"image": Y, "mask": MASK * 0.5}, "must hold 1 where a value is observed"),
        ({"image": Y, "mask": MASK * 127}, "must hold 1 where a value is observed"),
        ({"image": Y, "mask": MASK * 0}, r"Nothing of this image is observed.*Received: image 0"),
        ({"image": Y, "mask": MASK * 0 + 1}, "Nothing is missing"),
        ({"image": Y}, "Nothing is missing"),
        ({"image": Y * 3, "mask": MASK}, r"must lie in \[-1, 1\].*Received: values from"),
        ({"image": Y * np.inf, "mask": MASK}, "must be finite. Received: infinite"),
        ({"image": Y, "mask": MASK, "num_samples": 0}, r"at least 1. Received: num_samples=0"),
        ({"image": Y, "mask": MASK, "seed": 0.5}, r"`seed` must be an integer.*Received: seed=0.5"),
        ({"image": Y, "mask": MASK, "seed": [1, 2]}, r"one an image \(1\). Received"),
        ({"image": pixels(channels=3)}, r"need a mask.*image of 3 channels, and no mask"),
        ({"image": b""}, "not an image that Pillow can identify"),
        ({"image": encode(pixels())[:-200]}, "image file is truncated|broken PNG"),
        ({"image": encode(pixels(channels=3))}, "no alpha channel and no mask"),
        ({"image": encode(pixels()), "mask": MASK}, r"`mask` must have shape"),
        ({"image": encode(pixels()), "mask": b"no"}, "encoded image: not an image"),
        ({"image": encode(pixels()), "mask": np.zeros((20, 30), bool)}, "Nothing of this image"),
        ({"image": encode(pixels(channels=3)), "mask": np.ones((20, 30), bool)}, "Nothing is missing"),
        ({"image": encode(pixels()), "mask": 5}, "must have shape"),
        ({"image": "/nowhere/a.png"}, r"^/nowhere/a.png: .*No such file"),
        ({"image": None}, "`image` must"),
    ],
)  # fmt: skip
def test_wrong_images_are_refused_before_they_are_sent(client, monkeypatch, given, message):
    assert client.contract  # known
    monkeypatch.setattr(client, "call", None)
    with pytest.raises(ValueError, match=message):
        client.inpaint(**given)


def test_floats_of_another_scale_are_warned_of(client):
    """Floats in [0, 1] are the commonest scale, and not this package's."""
    image = np.random.default_rng(0).uniform(0.35, 0.65, (48, 48, 3))
    mask = np.ones((48, 48), bool)
    mask[16:24, 12:24] = False
    with pytest.warns(UserWarning, match=r"lie in \[0, 1\].*2 \* image - 1"):
        client.inpaint(image, mask, num_samples=1)


def test_a_closed_client_says_so(exported):
    with Client(exported) as client:
        assert client.contract
    with pytest.raises(ValueError, match=r"before `close\(\)`.*Received: .* closed client of"):
        client.inpaint(Y, MASK, num_samples=1)


def test_errors_name_the_files(client, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"broken")
    (tmp_path / "good.png").write_bytes(encode(pixels()))
    with pytest.raises(ValueError, match=r"broken.png: not an image"):
        client.inpaint(tmp_path / "broken.png", num_samples=1)
    with pytest.raises(ValueError, match=r"good.png and its mask .*broken.png: not an image"):
        client.inpaint(tmp_path / "good.png", tmp_path / "broken.png")


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """`(model, {way: target})` of two variables in units of their own, missing independently."""
    masks = np.random.default_rng(0).random((4, 16, 16, 2)) < 0.5
    values = ValueScaling("float32", location=[290.0, -30.0], scale=[20.0, 5.0])
    model = tiny_model((None, None, 2), measurement=Empirical(masks), values=values)
    folder = tmp_path_factory.mktemp("fields")
    model.save(folder / "fields.keras")
    model.export(folder / "1")
    return model, {"keras": folder / "fields.keras", "SavedModel": folder}


@pytest.mark.parametrize("way", ["keras", "SavedModel"])
def test_fields_keep_units_and_missing_channels(fields, way):
    """Missing values are NaN, or told by a mask."""
    model, targets = fields
    y, mask = batch(2, (21, 13), channels=2, mask_channels=2)
    seen = mask > 0.5
    with Client(targets[way]) as client:
        for dtype, tolerance in (("float32", 1e-3), ("float64", 1e-3), ("int16", 0.51)):
            field = model.values.decode(y).astype(dtype)
            given, told = (
                (field, mask) if dtype == "int16" else (np.where(seen, field, np.nan), None)
            )
            found = client.inpaint(given.astype(dtype), told, 3, seed=2)
            network = np.where(seen, model.values.encode(field.astype("float32")), 0)
            samples = model.inpaint(network.astype("float32"), mask, 3, seed=2)
            wanted = model.values.decode(samples)
            assert found.samples.dtype == dtype
            same_bits(found.mean[seen], field[seen])
            np.testing.assert_allclose(found.samples, wanted, atol=tolerance)
            std = np.where(seen, 0, wanted.std(1, ddof=1))
            np.testing.assert_allclose(found.std, std, atol=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_notebook_shows_samples_and_mean(dtype):
    """The picture has the samples and the mean side by side; integers keep their brightness."""
    rng = np.random.default_rng(0)
    samples = rng.uniform(0, 200, (2, 5, 4, 3)).astype(dtype)
    found = client_module.Reconstruction(samples, samples[0], np.zeros((5, 4, 3), "float32"))
    shown = decode(found._repr_png_())
    assert shown.shape == (5, 12, 3)
    if dtype == "uint8":
        same_bits(shown, np.concatenate([*samples, samples[0]], axis=1))
    assert repr(found) == (
        f"Reconstruction(samples: {dtype} (2, 5, 4, 3), mean: {dtype} (5, 4, 3), "
        "std: float32 (5, 4, 3))"
    )
    batch = client_module.Reconstruction(samples[None], samples[:1], samples[:1])
    assert batch._repr_png_() is None
