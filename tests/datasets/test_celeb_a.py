import dataclasses
import hashlib
import io
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from keras_uai.datasets import celeb_a, load
from keras_uai.datasets.sources import Preparation
from keras_uai.datasets.store import open_store
from keras_uai.files import decode_image
from tests.datasets.images import images, noise

tfds = pytest.importorskip("tensorflow_datasets")


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


def expect_these(monkeypatch, manual):
    """The checksums that TensorFlow Datasets knows are those of the originals."""
    cls = tfds.builder_cls("celeb_a")
    infos = {}
    for url, info in cls.url_infos.items():
        content = (manual / info.filename).read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        infos[url] = dataclasses.replace(info, size=len(content), checksum=checksum)
    monkeypatch.setattr(cls, "url_infos", infos)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The five files of 12 faces, prepared by the real builder of TensorFlow Datasets, offline."""
    folder = tmp_path_factory.mktemp("tfds")
    manual = write_five_files(folder, 12)
    with pytest.MonkeyPatch.context() as monkeypatch:
        expect_these(monkeypatch, manual)
        assert celeb_a.make_source(Preparation(), str(folder)).size == 12
    return folder


def test_prepared_by_tensorflow_datasets(prepared):
    source = celeb_a.make_source(Preparation(), str(prepared))
    assert source.size == 12
    found = images(open_store(source, np.arange(12)), range(12))
    assert found.shape == (12, 128, 128, 3)
    expected = {center(jpeg(number)).tobytes() for number in range(12)}
    assert {image.tobytes() for image in found} == expected
    again = open_store(celeb_a.make_source(Preparation(), str(prepared)), np.array([2, 9]))
    assert np.array_equal(images(again, [2, 9]), found[[2, 9]])


def test_load(prepared):
    ds = load("celeb_a", measurement="Patch(90, 10)", batch_size=5, data_dir=prepared)
    assert next(iter(ds)).shape == (5, 128, 128, 3)
    ds = load(
        "celeb_a",
        "validation",
        image_size=64,
        measurement="DropPixel(0.9)",
        clean=True,
        data_dir=prepared,
    )
    (element,) = ds
    assert element["clean"].shape == (2, 64, 64, 3)


@pytest.mark.parametrize("where", ["img_align_celeba", "celeb_a/img_align_celeba"])
def test_extracted_folder(tmp_path, where):
    for number in range(3):
        path = tmp_path / where / f"{number + 1:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    source = celeb_a.make_source(Preparation(), str(tmp_path))
    found = [image for image, _ in source.decode([0, 1, 2])]
    assert np.array_equal(found, [center(jpeg(number)) for number in range(3)])


def test_absent_says_which_files_go_where_at_once(tmp_path, monkeypatch):
    def network(*args, **kwargs):
        raise AssertionError("nobody asked for a download")

    monkeypatch.setattr(tfds, "builder", network)
    with pytest.raises(ValueError, match="CelebA is not there") as caught:
        load("celeb_a", measurement="DropPixel(0.9)", data_dir=tmp_path)
    for file in celeb_a.FILES:
        assert str(tmp_path / "downloads" / "manual" / file) in str(caught.value)
    assert str(tmp_path / "img_align_celeba") in str(caught.value)
    assert "download=True" in str(caught.value)
    assert len(celeb_a.FILES) == 5
    (tmp_path / "downloads" / "manual").mkdir(parents=True)
    (tmp_path / "downloads" / "manual" / "list_attr_celeba.txt").write_text("x")
    with pytest.raises(ValueError, match=r"of the five files only list_attr_celeba\.txt"):
        load("celeb_a", measurement="DropPixel(0.9)", data_dir=tmp_path)


def test_the_five_files_are_those_of_tensorflow_datasets():
    infos = tfds.builder_cls("celeb_a").url_infos
    assert {info.filename for info in infos.values()} == set(celeb_a.FILES)


def test_download_is_left_to_tensorflow_datasets(tmp_path, monkeypatch):
    calls = []

    class Builder:
        def download_and_prepare(self, download_config):
            calls.append(str(download_config.manual_dir))

    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: Builder())
    monkeypatch.setattr(celeb_a, "_Prepared", lambda folder, preparation: "prepared")
    assert celeb_a.make_source(Preparation(), str(tmp_path), download=True) == "prepared"
    assert calls == [str(tmp_path / "downloads" / "manual")]


def test_without_tensorflow_datasets(prepared, monkeypatch):
    monkeypatch.setattr(celeb_a.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs the package tensorflow_datasets.*extract"):
        celeb_a.make_source(Preparation(), str(prepared))


def test_records_are_named(prepared):
    source = celeb_a.make_source(Preparation(), str(prepared))
    assert source.label(4) == f"record 4 of {prepared / 'celeb_a' / '2.1.0'}"
