"""Arrays as a source: NaN, masked arrays, masks of one or C channels, files, pixels never filled."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_uai.datasets import load, scan_values, splits
from keras_uai.datasets.arrays import ArraySource
from keras_uai.datasets.sources import Preparation
from keras_uai.measurements import DropPixel
from keras_uai.values import ValueScaling
from tests.datasets.images import noise, normalized, save
from tests.strategies import attempt, damaged, images_and_masks

COUNT = 20


def fields(seed=0, shape=(COUNT, 9, 12, 2), together=False):
    """Float fields with NaN, and where they are observed."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape) * [5.0, 300.0] + [280.0, -4000.0]
    seen = rng.random((*shape[:-1], 1 if together else shape[-1])) < 0.7
    return np.where(seen, values, np.nan).astype("float32"), seen


def collect(dataset):
    """All elements of parts in order, of one size, by name."""
    elements = [
        element if isinstance(element, dict) else {"observation": element} for element in dataset
    ]
    return {
        name: np.concatenate([np.asarray(element[name]) for element in elements])
        for name in elements[0]
    }


@pytest.mark.parametrize("together", [True, False])
def test_nan_is_missing(together):
    """One channel of masks where pixels miss whole, else one a channel. Oracle: the definition."""
    given, seen = fields(together=together)
    values = scan_values(given, "all")
    found = collect(load(given, "all", values=values, batch_size=6, index=True))
    assert found["index"].tolist() == list(range(COUNT))
    assert found["mask"].dtype == np.float32
    assert np.array_equal(found["mask"], seen)
    scaled = (given.astype("float64") - values.location) / values.scale
    expected = np.where(seen, scaled, 0.0).astype("float32")
    assert np.array_equal(found["observation"], expected)
    back = values.decode(found["observation"])
    np.testing.assert_allclose(back[np.isfinite(given)], given[np.isfinite(given)], rtol=1e-6)


@pytest.mark.parametrize("form", ["masked array", "list of masked arrays", "NHWC", "NHW1", "npy"])
def test_masks_in_every_form(form, tmp_path):
    pixels = np.stack([noise(i, 8, 6) for i in range(COUNT)])
    seen = np.stack([noise(i + 99, 8, 6, 1) > 90 for i in range(COUNT)])
    hidden = np.broadcast_to(~seen, pixels.shape)
    source, mask = pixels, None
    if form == "masked array":
        source = np.ma.masked_array(pixels, hidden)
    elif form == "list of masked arrays":
        source = [
            np.ma.masked_array(image, hide) for image, hide in zip(pixels, hidden, strict=True)
        ]
    elif form == "npy":
        np.save(tmp_path / "images.npy", pixels)
        np.save(tmp_path / "masks.npy", seen)
        source, mask = tmp_path / "images.npy", tmp_path / "masks.npy"
    else:
        mask = seen if form == "NHW1" else ~hidden
    found = collect(load(source, "all", mask_from=mask, batch_size=7))
    assert np.array_equal(found["mask"], seen)
    assert np.array_equal(found["observation"], np.where(seen, normalized(pixels), 0))


@pytest.mark.parametrize("several", [True, False])
def test_npz(tmp_path, several):
    given, seen = fields(together=True)
    arrays = {f"field_{i}": field for i, field in enumerate(given)} if several else {"sst": given}
    np.savez(tmp_path / "sst.npz", masks=np.ones((COUNT, 9, 12), "uint8") * 255, **arrays)
    found = collect(load(tmp_path / "sst.npz", "all", values="float32"))
    assert np.array_equal(found["mask"], seen)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_clean_integers_are_damaged_by_a_measurement(dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 6)).astype(dtype)
    found = collect(load(pixels, "all", measurement=DropPixel(0.5), clean=True, index=True, seed=3))
    clean = ValueScaling(dtype).encode(pixels[..., None])
    mask = np.asarray(DropPixel(0.5).masks(np.arange(COUNT), 8, 6, seed=3))
    assert "mask" not in found  # T(y) recovers it
    assert np.array_equal(found["clean"], clean)
    assert np.array_equal(found["observation"], np.where(mask > 0, clean, 0))


def test_arrays_of_different_sizes_as_crops_and_whole():
    sizes = [(9, 20), (12, 7), (4, 11), (30, 8), (30, 8), (12, 12), (5, 5), (9, 9)]
    images = [noise(i, *size, 1)[..., 0].astype("float32") for i, size in enumerate(sizes)]
    for image in images:
        image[::3, ::2] = np.nan
    values = scan_values(images)
    train = load(images, crop_size=(6, 8), values=values, batch_size=3)
    batch = next(iter(train))
    assert batch["observation"].shape == batch["mask"].shape == (3, 6, 8, 1)
    whole = list(load(images, "all", crop_size=(6, 8), values=values, batch_size=3))
    shapes = [tuple(element["mask"].shape) for element in whole]
    assert shapes == [(2 if s == (30, 8) else 1, *s, 1) for s in dict.fromkeys(sizes)]
    masks = [mask[..., 0] > 0 for element in whole for mask in np.asarray(element["mask"])]
    for mask, image in zip(masks, images, strict=True):
        assert np.array_equal(mask, np.isfinite(image))
    with pytest.raises(ValueError, match=r"image \d of the arrays of .* Use crop_size=64"):
        load(images, values=values)


def test_values_are_scaled_by_those_of_the_training_part():
    """scan_values looks at the observed values of the split, and only there."""
    given, seen = fields()
    chosen = splits.indices(COUNT, "train", seed=4)
    found = scan_values(given, seed=4)
    for c in range(2):
        observed = given[chosen][..., c][seen[chosen][..., c]].astype("float64")
        np.testing.assert_allclose(found.location[c], observed.mean(), rtol=1e-9)
        np.testing.assert_allclose(found.scale[c], 2 * observed.std(), rtol=1e-9)
    assert scan_values(np.zeros((9, 4, 4), "uint16")) == ValueScaling("uint16")
    assert scan_values(given, values=ValueScaling("float32", 1.0, 2.0)).location == [1.0]


@pytest.mark.parametrize("form", ["array", "one an image", "npy", "png"])
def test_pixels_never_filled(form, tmp_path):
    """They are unobserved in crops and whole images, and named in parts in order."""
    given, seen = fields(together=True)
    land = noise(7, 9, 12, 1)[..., 0] < 60
    never = {
        "array": land,
        "one an image": [land] * COUNT,
        "npy": tmp_path / "land.npy",
        "png": tmp_path / "land.png",
    }[form]
    np.save(tmp_path / "land.npy", land)
    save(tmp_path / "land.png", land * np.uint8(255))
    arguments = {"values": "float32", "never_fill": never, "batch_size": 4}
    found = collect(load(given, "all", **arguments))
    assert np.array_equal(found["never_fill"][..., 0], np.broadcast_to(land, (COUNT, 9, 12)))
    assert np.array_equal(found["mask"][..., 0] > 0, seen[..., 0] & ~land)
    assert (found["observation"][:, land] == 0).all()
    train = collect(load(given, crop_size=(9, 12), **arguments))
    assert "never_fill" not in train
    assert not train["mask"][:, land].any()
    damaged = np.nan_to_num(given)
    found = collect(load(damaged, "all", measurement=DropPixel(0.5), **arguments))
    assert not found["mask"][:, land].any()


def test_never_fill_is_resized_with_the_images():
    land = np.zeros((8, 8), bool)
    land[1, 1] = True
    found = collect(
        load(
            np.zeros((COUNT, 8, 8, 1), "uint8"),
            "all",
            image_size=4,
            never_fill=land,
            measurement="DropPixel(0.5)",
        )
    )
    assert np.argwhere(found["never_fill"][0, ..., 0]).tolist() == [[0, 0]]
    with pytest.raises(ValueError, match=r"`never_fill` must have the images' height and width"):
        load(np.zeros((COUNT, 8, 8), "uint8"), measurement="DropPixel(0.5)", never_fill=land[:4])


def test_arrays_are_resized_and_missing_values_do_not_bleed():
    given, seen = fields(shape=(COUNT, 8, 12, 2))
    found = collect(load(given, "all", image_size=(4, 6), values="float32"))
    blocks = seen.reshape(COUNT, 4, 2, 6, 2, 2).all(axis=(2, 4))
    assert np.array_equal(found["mask"] > 0, blocks)
    means = given.reshape(COUNT, 4, 2, 6, 2, 2).astype("float64").mean(axis=(2, 4))
    np.testing.assert_allclose(found["observation"][blocks], means[blocks], rtol=1e-6)


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        (np.zeros((4, 8, 8)), {}, "a measurement that damages them"),
        (fields()[0], {}, r"float32 need a scaling .*scan_values"),
        (fields()[0], {"measurement": "DropPixel(0.5)", "values": "float32"}, "have their masks"),
        (fields()[0], {"clean": True, "values": "float32"}, "clean=True"),
        (np.full((4, 8, 8), np.inf), {"measurement": "DropPixel(0.5)"}, "must be finite"),
        (np.zeros((4, 8, 8), "int16"), {"measurement": "DropPixel(0.5)"}, "int16 need a scaling"),
        (np.zeros((4, 8, 8), bool), {"measurement": "DropPixel(0.5)"}, "must hold numbers"),
        ([], {}, "There must be images"),
        (np.zeros(5), {}, r"`images` must be an array \(N, H, W, C\)"),
        ([np.zeros((8, 8, 1)), np.zeros((8, 8, 2))], {}, "with the same C"),
        (np.zeros((4, 8, 8), "uint8"), {"mask_from": np.ones((3, 8, 8))}, "one mask an image"),
        (np.zeros((4, 8, 8), "uint8"), {"mask_from": np.ones((4, 8, 9))}, "A mask must have"),
        (np.zeros((4, 8, 8), "uint8"), {"mask_from": np.full((4, 8, 8), 0.5)}, "must hold 1"),
        (np.zeros((4, 8, 8), "uint8"), {"mask_from": np.ones((4, 8, 8))}, "No pixel of 4"),
        (
            np.zeros((4, 8, 8), "uint8"),
            {"measurement": "DropPixel(0.5)", "values": "uint16"},
            "must fit",
        ),
        (
            np.zeros((4, 8, 8), "uint8"),
            {"measurement": "DropPixel(0.5)", "channels": 3},
            "channels=3",
        ),
    ],
)
def test_errors(source, arguments, message):
    with pytest.raises(ValueError, match=message):
        load(source, "all", **arguments)


def test_files_that_hold_no_arrays(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"nothing")
    np.savez(tmp_path / "y.npz", masks=np.ones((2, 4, 4)))
    for name, message in (("x.npy", "must hold arrays"), ("y.npz", "no array but masks")):
        with pytest.raises(ValueError, match=message):
            load(tmp_path / name)
    with pytest.raises(ValueError, match="must hold arrays"):
        load(tmp_path / "missing.npy")


def check_source(images, masks=None):
    """The images of a source are those given and miss what they miss, or it says what is wrong."""

    def read():
        source = ArraySource(images, Preparation(mask_from=masks))
        return source, source.decode([(index, None) for index in range(source.size)])

    source, found = attempt(read) or (None, None)
    if source is None:
        return
    assert len(found) == source.size == len(source.images) > 0
    for given_, (values, seen) in zip(source.images, found, strict=True):
        assert values.shape == given_.shape
        kept = np.ones(values.shape, bool) if seen is None else np.broadcast_to(seen, values.shape)
        assert not np.ma.getmaskarray(given_)[kept].any()
        np.testing.assert_array_equal(
            values[kept], np.ma.getdata(given_)[kept].astype(values.dtype)
        )
        assert values.dtype.kind != "f" or np.isfinite(values[kept]).all()


@given(images_and_masks(), st.booleans())
def test_any_arrays_are_images_or_say_why_not(pair, listed):
    images, masks = pair
    check_source(list(images) if listed and images.ndim else images, masks)


def saved(images, compressed, name):
    file = io.BytesIO()
    if name.endswith("npy"):
        np.save(file, images)
    else:
        (np.savez_compressed if compressed else np.savez)(file, images, masks=images > 0)
    return file.getvalue()


GOOD = [
    saved(np.random.default_rng(0).normal(size=(2, 3, 4)).astype(dtype), compressed, name)
    for name in ("x.npy", "x.npz")
    for dtype in ("uint8", "float32")
    for compressed in (False, True)
]


@given(damaged(st.sampled_from(GOOD)), st.sampled_from(("npy", "npz")))
def test_any_bytes_as_a_file_of_arrays(tmp_path_factory, data, extension):
    path = tmp_path_factory.getbasetemp() / f"any.{extension}"
    path.write_bytes(data)
    check_source(path)
    assert path.read_bytes() == data


def test_absurd_shapes_of_files_are_refused_before_they_are_read(tmp_path, monkeypatch):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999, 9999999, 3)}"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(ValueError, match=r"must hold arrays.*x\.npy: "):
        load(tmp_path / "x.npy")
    np.savez_compressed(tmp_path / "x.npz", np.zeros((9, 64, 64)))
    monkeypatch.setattr("keras_uai.atomic.free_memory", lambda: 200_000)
    with pytest.raises(ValueError, match=r"x\.npz: 0\.0 GB, with 0\.0 GB of memory free"):
        load(tmp_path / "x.npz")
