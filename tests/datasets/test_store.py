import gc
import logging
import os
import threading
import weakref

import filelock
import numpy as np
import pytest

from keras_uai.datasets import store as store_module
from keras_uai.datasets.folder import FolderSource
from keras_uai.datasets.sources import Preparation
from keras_uai.datasets.store import open_store
from tests.datasets.images import folder_of_noise, images, noise, save


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "images"


class Counting(FolderSource):
    """Counts the images it decodes."""

    decoded = 0

    def decode(self, job):
        type(self).decoded += len(job)
        return super().decode(job)


def count_decoded(source_class=Counting):
    count, source_class.decoded = source_class.decoded, 0
    return count


def open_counting(folder, wanted, cache=None, **preparation):
    return open_store(Counting(folder, Preparation(**preparation)), np.array(wanted), cache)


def test_two_data_sets_share_the_images_and_let_them_go(folder):
    folder_of_noise(folder, 5)
    count_decoded()
    one = open_counting(folder, [0, 1, 2])
    assert open_counting(folder, [0, 1, 2]) is one
    assert count_decoded() == 3
    assert open_counting(folder, [3, 4]) is not one
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None


def test_the_disk_remembers(folder, tmp_path):
    pixels = folder_of_noise(folder, 6)
    count_decoded()
    open_counting(folder, [0, 1, 2], tmp_path / "cache", image_size=(16, 16))
    gc.collect()
    assert count_decoded() == 3
    store = open_counting(folder, [1, 2, 3], tmp_path / "cache", image_size=(16, 16))
    assert count_decoded() == 1  # only what no earlier run decoded
    assert np.array_equal(images(store, [1, 2, 3]), pixels[1:4])
    kept = [name for name in os.listdir(tmp_path / "cache") if not name.endswith(".lock")]
    assert len(kept) == 1  # nothing temporary left


@pytest.mark.parametrize(
    "change", ["content", "mtime", "added", "removed", "size", "crop", "channels"]
)
def test_a_cache_of_anything_else_is_rejected(folder, tmp_path, change, caplog):
    folder_of_noise(folder, 6)
    wanted = [0, 1, 2, 3]
    open_counting(folder, wanted, tmp_path / "cache")
    gc.collect()
    preparation = {}
    if change == "content":
        save(folder / "0001.png", noise(77))
    elif change == "mtime":
        os.utime(folder / "0001.png", ns=(1, 1))
    elif change == "added":
        save(folder / "00005.png", noise(88))
    elif change == "removed":
        os.remove(folder / "0005.png")
    elif change == "size":
        preparation = {"image_size": 8}
    elif change == "crop":
        preparation = {"image_size": 16, "center_crop": 8}
    else:
        preparation = {"channels": 1}
    count_decoded()
    store = open_counting(folder, wanted, tmp_path / "cache", **preparation)
    assert count_decoded() == 4
    fresh = open_counting(folder, wanted, "memory", **preparation)
    assert np.array_equal(images(store, wanted), images(fresh, wanted))
    rejected = "does not fit the images" in caplog.text
    assert rejected == (not preparation)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("index.npy", lambda data: b"cut"),
        ("index.npy", lambda data: data[:-1]),
        ("index.npy", lambda data: data.replace(b"(3, 3)", b"(9,)  ")),
        ("records.bin", lambda data: data[:-1]),
        ("about.json", lambda data: b"[1]"),
    ],
)
def test_a_damaged_cache_is_made_anew(folder, tmp_path, caplog, name, damage):
    pixels = folder_of_noise(folder, 3)
    open_counting(folder, [0, 1, 2], tmp_path / "cache")
    gc.collect()
    (inside,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    (inside / name).write_bytes(damage((inside / name).read_bytes()))
    store = open_counting(folder, [0, 1, 2], tmp_path / "cache")
    assert np.array_equal(images(store, range(3)), pixels)
    assert "made anew" in caplog.text


def test_an_interrupted_run_goes_on(folder, tmp_path, monkeypatch):
    """Killed after some images: the cache has those, and the next run decodes the others."""
    pixels = folder_of_noise(folder, 200)
    monkeypatch.setattr(store_module, "_SAVE_EVERY", 40)
    monkeypatch.setattr(Counting, "chunk", 2)
    decode = Counting.decode

    def killed(self, job):
        if 150 in dict(job):
            raise KeyboardInterrupt
        return decode(self, job)

    monkeypatch.setattr(Counting, "decode", killed)
    with pytest.raises(KeyboardInterrupt):
        open_counting(folder, np.arange(200), tmp_path / "cache")
    gc.collect()
    monkeypatch.setattr(Counting, "decode", decode)
    count_decoded()
    store = open_counting(folder, np.arange(200), tmp_path / "cache")
    assert 0 < count_decoded() < 200
    assert np.array_equal(images(store, range(200)), pixels)


def test_processes_wait_for_one_another(folder, tmp_path):
    """While one holds the cache, another decodes nothing; then it finds the images there."""
    pixels = folder_of_noise(folder, 3)
    source = Counting(folder, Preparation())
    path = store_module.folder_of(source, tmp_path / "cache")
    os.makedirs(tmp_path / "cache")
    count_decoded()
    opened = []
    other = threading.Thread(
        target=lambda: opened.append(open_store(source, np.arange(3), tmp_path / "cache"))
    )
    with filelock.FileLock(f"{path}.lock"):
        other.start()
        other.join(0.3)
        assert other.is_alive()
        assert count_decoded() == 0
    other.join()
    assert np.array_equal(images(opened[0], range(3)), pixels)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_images_of_different_sizes(folder, tmp_path, where):
    shapes = [(5, 9), (17, 3), (8, 8)]
    for i, shape in enumerate(shapes):
        alpha = (noise(9 + i, *shape, 1) > 80) * np.uint8(255)
        save(folder / f"{i}.png", np.dstack([noise(i, *shape), alpha]))
    cache = "memory" if where == "memory" else tmp_path / "cache"
    source = FolderSource(folder, Preparation(mask_from="alpha"))
    store = open_store(source, np.arange(3), cache)
    assert store.sizes(np.arange(3)).tolist() == [list(shape) for shape in shapes]
    for i, shape in enumerate(shapes):
        mask = noise(9 + i, *shape, 1) > 80
        assert np.array_equal(store.mask(i), mask)
        assert np.array_equal(store.image(i), noise(i, *shape) * mask)


def test_unreadable_images_are_named_skipped_and_counted(folder, tmp_path, caplog):
    pixels = folder_of_noise(folder, 20)
    for i in (3, 11):
        (folder / f"{i:04d}.png").write_bytes(b"x")
    source = FolderSource(folder, Preparation())
    with caplog.at_level(logging.WARNING, logger="keras_uai"):
        store = open_store(source, np.arange(20), tmp_path / "cache")
    assert store.usable(np.arange(20)).tolist() == [i for i in range(20) if i not in (3, 11)]
    assert np.array_equal(images(store, [4, 12]), pixels[[4, 12]])
    assert "0003.png: not an image" in caplog.text
    assert "skipped 2 of 20 images" in caplog.text
    caplog.clear()
    del store
    gc.collect()
    open_store(source, np.arange(20), tmp_path / "cache")
    assert "skipped 2 of 20 images" in caplog.text  # told again
    for cache in (tmp_path / "cache", "memory"):
        with pytest.raises(ValueError, match=r"of 20 .* cannot be used.*0003\.png.*strict=False"):
            open_store(source, np.arange(20), cache, strict=True)


def test_images_without_an_observed_pixel(folder, caplog):
    clear, full = np.zeros((16, 16), "uint8"), np.full((16, 16), 255, "uint8")
    for i in range(3):
        save(folder / f"{i}.png", np.dstack([noise(i), clear if i == 1 else full]))
    source = FolderSource(folder, Preparation(mask_from="alpha"))
    store = open_store(source, np.arange(3))
    assert store.usable(np.arange(3)).tolist() == [0, 2]
    assert "1.png" in caplog.text
    assert "skipped 1 of 3 images" in caplog.text
    with pytest.raises(ValueError, match=r"1 of 1 images.*no observed pixel.*Check the masks"):
        open_store(source, np.array([1]))


def test_short_memory_means_disk(folder, tmp_path, monkeypatch, caplog):
    folder_of_noise(folder, 4)
    monkeypatch.setattr(store_module, "free_memory", lambda: 4 * 768 * 2 - 1)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    store = open_store(FolderSource(folder, Preparation()), np.arange(4))
    assert store.folder is not None
    assert os.listdir(tmp_path / "home") == ["keras_uai"]
    assert "they are kept in" in caplog.text
    monkeypatch.setattr(store_module, "free_memory", lambda: 4 * 768 * 2)
    store = open_store(FolderSource(folder, Preparation()), np.arange(4))
    assert store.folder is None
