import gc
import logging
import os
import threading
import types
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


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_images_come_back(folder, tmp_path, where):
    pixels = folder_of_noise(folder, 70)
    cache = "memory" if where == "memory" else tmp_path / "cache"
    wanted = np.array([1, 5, 33, 64, 69])
    store = open_store(FolderSource(folder, Preparation()), wanted, cache)
    assert np.array_equal(images(store, wanted), pixels[wanted])
    assert store.sizes(wanted).tolist() == [[16, 16]] * 5
    assert store.usable(wanted).tolist() == wanted.tolist()


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_masks_come_back(folder, tmp_path, where):
    observed = np.stack([noise(i, 9, 9)[..., 0] > 80 for i in range(4)])
    for i in range(4):
        alpha = observed[i] * np.uint8(255)
        save(folder / f"{i}.png", np.dstack([noise(i, 9, 9), alpha]))
    source = FolderSource(folder, Preparation(mask_from="alpha"))
    cache = "memory" if where == "memory" else tmp_path / "cache"
    store = open_store(source, np.arange(4), cache)
    for index in (2, 0):
        mask = store.mask(index)
        assert (mask.dtype, mask.shape) == (bool, (9, 9, 1))
        assert np.array_equal(mask[..., 0], observed[index])
        assert np.array_equal(store.mask(index, slice(3, 20))[..., 0], observed[index, 3:])
        assert np.array_equal(store.mask(index, slice(2, 5))[..., 0], observed[index, 2:5])


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
    open_counting(folder, [0, 1, 2], tmp_path / "cache")
    gc.collect()
    assert count_decoded() == 3
    store = open_counting(folder, [1, 2, 3], tmp_path / "cache")
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
    rejected = "does not fit the images any more (files" in caplog.text
    assert rejected == (not preparation)


def test_a_damaged_cache_is_made_anew(folder, tmp_path, caplog):
    pixels = folder_of_noise(folder, 3)
    open_counting(folder, [0, 1, 2], tmp_path / "cache")
    gc.collect()
    (inside,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    (inside / "index.npy").write_bytes(b"cut")
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
        if 150 in job:
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
    assert "skipped 2 of 20 images: unreadable" in caplog.text
    caplog.clear()
    del store
    gc.collect()
    open_store(source, np.arange(20), tmp_path / "cache")
    assert "skipped 2 of 20 images" in caplog.text  # told again though nothing was decoded
    with pytest.raises(ValueError, match=r"2 of 20 images of .* are unreadable.*0003\.png"):
        open_store(source, np.arange(20), tmp_path / "cache", strict=True)
    with pytest.raises(ValueError, match=r"cannot be read. Received: .*0003\.png.*strict=False"):
        open_store(source, np.arange(20), "memory", strict=True)


def test_only_so_many_are_named(folder, caplog):
    folder_of_noise(folder, 40)
    for i in range(30):
        (folder / f"{i:04d}.png").write_bytes(b"x")
    open_store(FolderSource(folder, Preparation()), np.arange(40))
    assert caplog.text.count("skipped, unreadable") == 10
    assert "skipped 30 of 40" in caplog.text


def test_images_without_an_observed_pixel(folder, caplog):
    clear, full = np.zeros((16, 16), "uint8"), np.full((16, 16), 255, "uint8")
    for i in range(3):
        save(folder / f"{i}.png", np.dstack([noise(i), clear if i == 1 else full]))
    source = FolderSource(folder, Preparation(mask_from="alpha"))
    store = open_store(source, np.arange(3))
    assert store.usable(np.arange(3)).tolist() == [0, 2]
    assert "1.png" in caplog.text
    assert "skipped 1 of 3 images: without an observed pixel" in caplog.text
    with pytest.raises(ValueError, match=r"1 of 1 images.*without an observed.*Check the masks"):
        open_store(source, np.array([1]))


def test_enlarging_is_told(folder, caplog):
    folder_of_noise(folder, 2)
    open_store(FolderSource(folder, Preparation(image_size=24)), np.arange(2))
    assert "image_size=(24, 24) were enlarged, such as" in caplog.text


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


def test_a_full_disk_is_told_before(folder, tmp_path, monkeypatch):
    folder_of_noise(folder, 4)
    usage = types.SimpleNamespace(free=100)
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match=r"disk is too small.*Use cache="):
        open_store(FolderSource(folder, Preparation()), np.arange(4), tmp_path / "cache")


@pytest.mark.parametrize("cache", [True, False, 3])
def test_cache_argument(folder, cache):
    folder_of_noise(folder, 2)
    with pytest.raises(ValueError, match=f"Received: cache={cache}"):
        open_store(FolderSource(folder, Preparation()), np.arange(2), cache)


def test_free_memory_is_a_number_of_bytes():
    assert store_module.free_memory() > 10**6
