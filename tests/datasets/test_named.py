"""CelebA, LSUN and Recipe1M in folders of the form that people download, at small numbers."""

import dataclasses
import hashlib
import io
import sys
import zipfile

import lmdb
import numpy as np
import pytest
from PIL import Image

from keras_uai.datasets import load, named
from keras_uai.datasets.geometry import center_crop, resize
from keras_uai.datasets.sources import Preparation
from keras_uai.datasets.store import open_store
from keras_uai.files import decode_image
from tests.datasets.images import images, noise, save

tfds = pytest.importorskip("tensorflow_datasets")

# -- CelebA ----------------------------------------------------------------------------------------


def jpeg(seed):
    file = io.BytesIO()
    Image.fromarray(noise(seed, 218, 178)).save(file, format="JPEG")
    return file.getvalue()


def center(encoded):
    return decode_image(encoded)[0][45:173, 25:153]


def write_five_files(data_dir, count):
    """`count` faces in three parts, in files of the official form."""
    manual = data_dir / "downloads" / "manual"
    manual.mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(count)]
    with zipfile.ZipFile(manual / "img_align_celeba.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(f"img_align_celeba/{name}", jpeg(number))
    module = sys.modules[tfds.builder_cls("celeb_a").__module__]

    def table(headings):
        rows = [f"{name} " + " ".join(["1"] * len(headings)) for name in names]
        return "\n".join([str(count), " ".join(headings), *rows, ""])

    parts = [f"{name} {number % 3}" for number, name in enumerate(names)]
    (manual / "list_eval_partition.txt").write_text("\n".join([*parts, ""]))
    (manual / "list_attr_celeba.txt").write_text(table(module.ATTR_HEADINGS))
    (manual / "list_landmarks_align_celeba.txt").write_text(table(module.LANDMARK_HEADINGS))
    (manual / "identity_CelebA.txt").write_text("\n".join([*(f"{n} 1" for n in names), ""]))
    return manual


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The five files of 12 faces, prepared by the real builder of TensorFlow Datasets, offline."""
    folder = tmp_path_factory.mktemp("tfds")
    manual = write_five_files(folder, 12)
    cls = tfds.builder_cls("celeb_a")
    assert {info.filename for info in cls.url_infos.values()} == set(named.CELEBA_FILES)
    infos = {}  # the checksums that TensorFlow Datasets knows are those of the originals
    for url, info in cls.url_infos.items():
        content = (manual / info.filename).read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        infos[url] = dataclasses.replace(info, size=len(content), checksum=checksum)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(cls, "url_infos", infos)
        assert named.celeb_a(Preparation(), str(folder)).size == 12
    return folder


def test_celeb_a_prepared_by_tensorflow_datasets(prepared, monkeypatch):
    source = named.celeb_a(Preparation(), str(prepared))
    found = images(open_store(source, np.arange(12)), range(12))
    assert found.shape == (12, 128, 128, 3)
    expected = {center(jpeg(number)).tobytes() for number in range(12)}
    assert {image.tobytes() for image in found} == expected
    again = open_store(named.celeb_a(Preparation(), str(prepared)), np.array([2, 9]))
    assert np.array_equal(images(again, [2, 9]), found[[2, 9]])
    arguments = {"measurement": "DropPixel(0.9)", "clean": True, "data_dir": prepared}
    (element,) = load("celeb_a", "validation", image_size=64, **arguments)
    assert element["clean"].shape == (2, 64, 64, 3)
    assert source.label(4) == f"record 4 of {prepared / 'celeb_a' / '2.1.0'}"
    monkeypatch.setattr(named.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs the package tensorflow_datasets.*extract"):
        named.celeb_a(Preparation(), str(prepared))


@pytest.mark.parametrize("where", ["img_align_celeba", "celeb_a/img_align_celeba"])
def test_extracted_folder_of_celeb_a(tmp_path, where):
    (tmp_path / where).mkdir(parents=True)
    for number in range(3):
        (tmp_path / where / f"{number + 1:06d}.jpg").write_bytes(jpeg(number))
    store = open_store(named.celeb_a(Preparation(), str(tmp_path)), np.arange(3))
    assert np.array_equal(images(store, range(3)), [center(jpeg(number)) for number in range(3)])


def test_absent_celeb_a_says_which_files_go_where_and_downloads_only_when_asked(
    tmp_path, monkeypatch
):
    calls = []

    class Builder:
        def download_and_prepare(self, download_config):
            calls.append(str(download_config.manual_dir))

    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: Builder())
    monkeypatch.setattr(named, "TfdsSource", lambda folder, preparation: "prepared")
    manual = tmp_path / "downloads" / "manual"
    with pytest.raises(ValueError, match="CelebA is not there") as caught:
        load("celeb_a", measurement="DropPixel(0.9)", data_dir=tmp_path)
    for path in (*(manual / file for file in named.CELEBA_FILES), tmp_path / "img_align_celeba"):
        assert str(path) in str(caught.value)
    assert not calls
    manual.mkdir(parents=True)
    (manual / "list_attr_celeba.txt").write_text("x")
    with pytest.raises(ValueError, match=r"of the five files only list_attr_celeba\.txt"):
        named.celeb_a(Preparation(), str(tmp_path))
    assert named.celeb_a(Preparation(), str(tmp_path), download=True) == "prepared"
    assert calls == [str(manual)]


# -- LSUN ------------------------------------------------------------------------------------------


def write_lmdb(folder, values):
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as t:
        for number, value in enumerate(values):
            if not isinstance(value, bytes):
                file = io.BytesIO()
                Image.fromarray(value).save(file, format="WEBP", lossless=True)
                value = file.getvalue()
            t.put(f"{number:08x}".encode(), value)


@pytest.mark.parametrize("where", ["lsun/bedroom_train_lmdb", "bedroom_train_lmdb", ""])
def test_images_of_the_lmdb(tmp_path, where):
    pixels = [noise(i, 96, 130) for i in range(40)]
    write_lmdb(tmp_path / "data" / where, pixels)
    source = named.lsun_bedroom(Preparation(), str(tmp_path / "data"))
    assert source.size == 40
    wanted = np.array([0, 7, 33, 39])
    store = open_store(source, wanted)
    expected = np.stack([resize(center_crop(pixels[i], 96, 96), 64, 64) for i in wanted])
    assert np.array_equal(images(store, wanted), expected)
    arguments = {"measurement": "DropPixel(0.9)", "batch_size": 34, "data_dir": tmp_path / "data"}
    assert next(iter(load("lsun/bedroom", **arguments))).shape == (34, 64, 64, 3)
    validation = load("lsun/bedroom", "validation", **arguments)  # the same file, opened once
    assert next(iter(validation)).shape == (6, 64, 64, 3)


def test_a_cache_knows_the_lmdb_and_names_unreadable_records(tmp_path, caplog):
    write_lmdb(tmp_path / "bedroom_train_lmdb", [noise(0, 64, 64), b"nothing", noise(2, 64, 64)])
    write_lmdb(tmp_path / "other" / "bedroom_train_lmdb", [noise(1, 64, 64)])
    one = named.lsun_bedroom(Preparation(), str(tmp_path))
    other = named.lsun_bedroom(Preparation(), str(tmp_path / "other"))
    smaller = named.lsun_bedroom(Preparation(image_size=32), str(tmp_path))
    again = named.lsun_bedroom(Preparation(), str(tmp_path))
    assert one.fingerprint() == again.fingerprint()
    assert len({str(source.identity()) for source in (one, other, smaller)}) == 3
    assert open_store(one, np.arange(3)).usable(np.arange(3)).tolist() == [0, 2]
    assert "record 1 of " in caplog.text


def test_no_lmdb_and_no_records(tmp_path):
    with pytest.raises(ValueError, match=r"LSUN bedrooms are not there.*bedroom_train_lmdb\.zip"):
        load("lsun/bedroom", measurement="DropPixel(0.9)", data_dir=tmp_path)
    (tmp_path / "bedroom_train_lmdb").mkdir()
    (tmp_path / "bedroom_train_lmdb" / "data.mdb").write_bytes(b"x" * 9000)
    with pytest.raises(ValueError, match="LMDB must be readable"):
        named.lsun_bedroom(Preparation(), str(tmp_path))
    write_lmdb(tmp_path / "empty", [])
    with pytest.raises(ValueError, match="must hold records"):
        named.lsun_bedroom(Preparation(), str(tmp_path / "empty"))


# -- Recipe1M --------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["recipe1m", ""])
def test_the_tree_of_recipe1m(tmp_path, inside):
    root = tmp_path / "data" / inside
    for number, path in enumerate(("train/0/a/b/c/0abc.jpg", "val/f/0/0/0/f000.jpg")):
        save(root / path, noise(number, 256, 256))
    source = named.recipe1m(Preparation(), str(tmp_path / "data"))
    assert source.paths == ["train/0/a/b/c/0abc.jpg", "val/f/0/0/0/f000.jpg"]
    arguments = {"measurement": "Patch(2, 5)", "data_dir": tmp_path / "data", "clean": True}
    (element,) = load("recipe1m", "all", **arguments)
    assert element["clean"].shape == (2, 64, 64, 3)
    (element,) = load("recipe1m", "all", image_size=32, center_crop=128, channels=1, **arguments)
    assert element["clean"].shape == (2, 32, 32, 1)
    with pytest.raises(ValueError, match=r"Recipe1M is not there(.|\n)*recipe1m/train\n"):
        load("recipe1m", measurement="DropPixel(0.9)", data_dir=tmp_path / "nowhere")
