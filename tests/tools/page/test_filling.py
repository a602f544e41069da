"""The editor's value becomes an image with a hole, and this becomes pictures and a ZIP file."""

import io
import pathlib
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from page import filling
from tests.tools.page.toy import ToyClient, edited


def save_mask(path, mask):
    Image.fromarray(mask.astype("uint8") * 255).save(path)
    return str(path)


def test_painted_pixels_are_missing():
    given = edited()
    image, mask = filling.read(given)
    expected = np.ones((8, 8), "uint8")
    expected[2:4, 2:5] = 0
    assert np.array_equal(mask, expected)
    assert mask.dtype == image.dtype == np.uint8
    assert np.array_equal(image[mask == 1], given["background"][mask == 1][:, :3])
    assert not image[mask == 0].any()


def test_transparency_layers_and_a_mask_file_make_one_hole(tmp_path):
    given = edited()
    given["background"][0, 0, 3] = 0
    given["background"][0, 1, 3] = 254  # a soft edge: its colour is no longer the image's own
    given["layers"].append(np.zeros_like(given["background"]))
    given["layers"][1][7, 7] = 1
    loaded = np.ones((8, 8), bool)
    loaded[5] = False
    _, mask = filling.read(given, save_mask(tmp_path / "mask.png", loaded))
    expected = loaded.copy()
    expected[2:4, 2:5] = expected[0, :2] = expected[7, 7] = False
    assert np.array_equal(mask, expected)


def test_without_an_image_or_a_hole():
    for nothing in (None, {"background": None, "layers": [], "composite": None}):
        with pytest.raises(ValueError, match="Load an image first, or choose an example"):
            filling.read(nothing)
    with pytest.raises(ValueError, match="Nothing is missing: paint over"):
        filling.read(edited(painted=None))
    given = edited()
    given["layers"] = [np.zeros((4, 8, 4), "uint8")]
    with pytest.raises(ValueError, match="Received: 8 x 4 on 8 x 8"):
        filling.read(given)


def test_masks_that_do_not_fit(tmp_path):
    with pytest.raises(ValueError, match=r"size, 8 x 8 pixels .* of 9 x 8"):
        filling.read(edited(), save_mask(tmp_path / "m.png", np.ones((8, 9), bool)))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match="must hold an image that can be read"):
        filling.read(edited(), str(tmp_path / "text.png"))
    noise = np.random.default_rng(0).random((64, 64)) < 0.5
    whole = pathlib.Path(save_mask(tmp_path / "m.png", noise)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        filling.read(edited(), str(tmp_path / "cut.png"))


def bomb(width, height):
    """Returns a PNG of a few bytes whose header names a huge size."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("side", "message"),
    [(10_000, "at most 33 million pixels"), (60_000, "Received: more than 536,870,912 pixels")],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_not_decoded(side, message):
    with pytest.raises(ValueError, match=message):
        filling.check_file(bomb(side, side))


def test_files_that_are_too_long(monkeypatch):
    filling.check_file(bomb(64, 64))  # its pixels are checked when they are decoded
    monkeypatch.setattr(filling, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(ValueError, match=r"at most 1 MB\. Received: 2 MB"):
        filling.check_file(bytes(2 * 2**20))


def test_images_keep_their_size():
    given = edited(900, 470, (slice(10, 400), slice(20, 210)))
    client = ToyClient()
    filled = filling.fill(client, *filling.read(given), 1, 0)
    assert filled.samples.shape == (1, 900, 470, 3)
    assert np.array_equal(filled.mean[400:], given["background"][400:, :, :3])
    assert client.asked[0][0].dtype == np.uint8


def test_filled():
    client = ToyClient()
    image, mask = filling.read(edited())
    filled = filling.fill(client, image, mask, 3, 7.0)
    assert filled.samples.shape == (3, 8, 8, 3)
    assert [a[2:] for a in client.asked] == [(3, 7)]
    assert filled.summary.startswith(
        "3 reconstructions of 8 x 8 pixels, 9.4% missing; seed 7; 0.0 s. Largest"
    )
    uncertainty = filled.uncertainty()
    assert uncertainty.shape == (8, 8, 3)
    assert (uncertainty[mask == 1] == (0, 0, 3)).all()  # the colour of 0
    assert uncertainty[mask == 0].max() > 200
    again = filling.fill(client, image, mask, 3, 7)
    assert np.array_equal(again.samples, filled.samples)


def test_the_summary_has_the_warnings_of_the_model():
    class Fitting(ToyClient):
        def inpaint(self, *args, **kwargs):
            for _ in range(2):
                warnings.warn("This model has a fixed layout.", stacklevel=1)
            return super().inpaint(*args, **kwargs)

    filled = filling.fill(Fitting(), *filling.read(edited()), 1, 0)
    assert filled.summary.endswith("0.0 s. This model has a fixed layout.")


def test_one_sample_has_no_uncertainty():
    filled = filling.fill(ToyClient(), *filling.read(edited()), 1, 0)
    assert filled.std is filled.uncertainty() is None
    assert list(filled.pictures()) == ["sample_01.png", "mean.png"]
    assert filled.summary.endswith("seed 0; 0.0 s.")


@pytest.mark.parametrize("count", [0, 17, 2.5, None])
def test_number_of_samples(count):
    with pytest.raises(ValueError, match=f"must be a whole number from 1 to 16. Received: {count}"):
        filling.fill(ToyClient(), *filling.read(edited()), count, 0)


@pytest.mark.parametrize("seed", [-1, 2**31, 0.5, None])
def test_seed(seed):
    with pytest.raises(ValueError, match="The seed must be a whole number from 0 to 2147483647"):
        filling.fill(ToyClient(), *filling.read(edited()), 1, seed)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_zip_file_has_all_pictures(tmp_path, channels):
    image, mask = filling.read(edited())
    filled = filling.fill(ToyClient(channels), image, mask, 2, 0)
    assert filled.mean.shape == (8, 8, channels)
    filled.save_zip(tmp_path / "all.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["all.zip"]
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        names = archive.namelist()
        assert names == [
            "sample_01.png",
            "sample_02.png",
            "mean.png",
            "uncertainty.png",
            "summary.txt",
        ]
        for name, picture in filled.pictures().items():
            found = np.asarray(Image.open(io.BytesIO(archive.read(name))))
            assert np.array_equal(found.reshape(picture.shape), picture)
        assert archive.read("summary.txt").decode() == f"{filled.summary}\n"
