"""A data set on disk: epochs are permutations, and what has to stay in memory does not grow with the images."""

import gc
import pathlib

import numpy as np
import pytest

from keras_uai.datasets.batches import Batches
from keras_uai.datasets.elements import Elements
from keras_uai.datasets.pipeline import make_dataset
from keras_uai.datasets.sources import Preparation, Source
from keras_uai.datasets.store import open_store
from keras_uai.measurements import DropPixel
from keras_uai.values import ValueScaling
from tests.testing import run_python

SIDE, BYTES = 64, 64 * 64 * 3
STATUS = pathlib.Path("/proc/self/status")


class Numbered(Source):
    """Images that hold their index: pixels of a `Source` without files."""

    name = "numbered"
    preparation = Preparation(image_size=SIDE, channels=3, dtype="uint8")

    def __init__(self, size):
        self.size = size

    def decode(self, job):
        found = []
        for index, _ in job:
            pixels = np.full((SIDE, SIDE, 3), 255, "uint8")
            pixels[..., :2] = divmod(index, 256)
            found.append((pixels, None))
        return found


def numbers(y):
    """The indices that observed images hold; the third channel is 1 where a pixel is observed."""
    y = np.asarray(y)
    rows = np.arange(len(y)), (y[..., 2] > 0.5).reshape(len(y), -1).argmax(1)
    pixels = np.rint((y.reshape(len(y), -1, 3)[rows] + 1) * 127.5).astype(int)
    return pixels[:, 0] * 256 + pixels[:, 1]


def anonymous():
    """Bytes of this process that no file backs: what cannot be dropped and read again."""
    gc.collect()
    lines = (line.split() for line in STATUS.read_text().splitlines())
    return next(int(words[1]) * 1024 for words in lines if words[0] == "RssAnon:")


def epochs(count, cache, make=Batches, number=2):
    """The indices of each of some epochs over `count` shuffled images, and the elements."""
    store = open_store(Numbered(count), np.arange(count), cache)
    elements = Elements(
        store, np.arange(count), DropPixel(0.5), ValueScaling(), batch_size=50, seed=3, shuffle=True
    )
    batches = make(elements)
    return [np.concatenate([numbers(y) for y in batches]) for _ in range(number)], batches


@pytest.mark.parametrize("make", [Batches, make_dataset], ids=["threads", "tf.data"])
def test_epochs_from_disk_are_permutations(tmp_path, make):
    """No reservoir: the first batches hold images of the whole data set."""
    found, _ = epochs(1000, tmp_path, make)
    for order in found:
        assert np.array_equal(np.sort(order), np.arange(1000))
        assert order[:100].min() < 100
        assert order[:100].max() >= 900
    assert not np.array_equal(*found)


@pytest.mark.skipif(
    not STATUS.exists(), reason="the system does not tell a process's memory in /proc"
)
def test_memory_does_not_grow_with_a_data_set_on_disk(tmp_path):
    """Images are on disk, and masks bits; the same images in memory are seen to grow it.

    In a process of its own: what other tests freed, or did not, would be in the numbers.
    """
    said = run_python(f"from {__name__} import growth\nprint(*growth({str(tmp_path)!r}))")
    on_disk, in_memory = map(int, said.split()[-2:])
    assert on_disk < 0.25 * 4000 * BYTES
    assert in_memory > 0.8 * 4000 * BYTES


def growth(folder):
    """By how many bytes epochs over 4,000 images grow the process: with the images in `folder`, and in memory."""
    epochs(200, folder)  # what is made once
    grown = []
    for cache in (folder, "memory"):
        before = anonymous()
        (order, _), batches = epochs(4000, cache)
        grown.append(anonymous() - before)
        assert len(order) == 4000
        assert (batches.elements.store.folder is not None) == (cache == folder)
        del batches
    return grown
