import io

import lmdb
import numpy as np
import pytest
from PIL import Image

from keras_uai.datasets import load, lsun
from keras_uai.datasets.geometry import center_crop, resize
from keras_uai.datasets.sources import Preparation
from keras_uai.datasets.store import open_store
from tests.datasets.images import images, noise


def write(folder, images):
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as t:
        for number, image in enumerate(images):
            if isinstance(image, bytes):
                value = image
            else:
                file = io.BytesIO()
                Image.fromarray(image).save(file, format="WEBP", lossless=True)
                value = file.getvalue()
            t.put(f"{number:08x}".encode(), value)


@pytest.mark.parametrize("where", ["lsun/bedroom_train_lmdb", "bedroom_train_lmdb", ""])
def test_images_of_the_lmdb(tmp_path, where):
    pixels = [noise(i, 96, 130) for i in range(40)]
    write(tmp_path / "data" / where, pixels)
    source = lsun.make_source(Preparation(), str(tmp_path / "data"))
    assert source.size == 40
    wanted = np.array([0, 7, 33, 39])
    store = open_store(source, wanted)
    expected = np.stack([resize(center_crop(pixels[i], 96, 96), 64, 64) for i in wanted])
    assert np.array_equal(images(store, wanted), expected)


def test_load(tmp_path):
    write(tmp_path / "bedroom_train_lmdb", [noise(i, 64, 64) for i in range(20)])
    arguments = {"measurement": "DropPixel(0.9)", "batch_size": 17, "data_dir": tmp_path}
    train = load("lsun/bedroom", **arguments)
    validation = load("lsun/bedroom", "validation", **arguments)  # the same file, opened once
    assert next(iter(train)).shape == (17, 64, 64, 3)
    assert next(iter(validation)).shape == (3, 64, 64, 3)


def test_unreadable_records_are_named_by_their_key(tmp_path, caplog):
    write(tmp_path / "bedroom_train_lmdb", [noise(0, 64, 64), b"nothing", noise(2, 64, 64)])
    source = lsun.make_source(Preparation(), str(tmp_path))
    store = open_store(source, np.arange(3))
    assert store.usable(np.arange(3)).tolist() == [0, 2]
    assert "record 1, key 00000001, of " in caplog.text


def test_a_cache_knows_the_file(tmp_path):
    write(tmp_path / "bedroom_train_lmdb", [noise(0, 64, 64)])
    write(tmp_path / "other" / "bedroom_train_lmdb", [noise(1, 64, 64)])
    one = lsun.make_source(Preparation(), str(tmp_path))
    other = lsun.make_source(Preparation(), str(tmp_path / "other"))
    smaller = lsun.make_source(Preparation(image_size=32), str(tmp_path))
    assert one.fingerprint() == lsun.make_source(Preparation(), str(tmp_path)).fingerprint()
    assert one.identity() != other.identity()
    assert one.identity() != smaller.identity()


def test_absent(tmp_path):
    with pytest.raises(ValueError, match=r"LSUN bedrooms are not there.*bedroom_train_lmdb\.zip"):
        load("lsun/bedroom", measurement="DropPixel(0.9)", data_dir=tmp_path)


def test_no_lmdb_and_no_records(tmp_path):
    (tmp_path / "bedroom_train_lmdb").mkdir()
    (tmp_path / "bedroom_train_lmdb" / "data.mdb").write_bytes(b"x" * 9000)
    with pytest.raises(ValueError, match="Not a readable LMDB"):
        lsun.make_source(Preparation(), str(tmp_path))
    write(tmp_path / "empty", [])
    with pytest.raises(ValueError, match="holds no records"):
        lsun.make_source(Preparation(), str(tmp_path / "empty"))
