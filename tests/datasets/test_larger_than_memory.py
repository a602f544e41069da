"""A data set on disk: what has to stay in memory does not grow with the images."""

import gc
import pathlib

import numpy as np
import pytest

from keras_uai.datasets.elements import Elements
from keras_uai.datasets.engines import Batches
from keras_uai.datasets.sources import Preparation, Source
from keras_uai.datasets.store import open_store
from keras_uai.measurements import DropPixel
from keras_uai.values import ValueScaling
from tests.testing import run_python

SIDE, BYTES = 64, 64 * 64 * 3
STATUS = pathlib.Path("/proc/self/status")


class Grey(Source):
    """Images of one colour: a `Source` without files."""

    preparation = Preparation(image_size=SIDE, channels=3, dtype="uint8")

    def __init__(self, size):
        self.size = size

    def decode(self, job):
        return [(np.full((SIDE, SIDE, 3), index % 256, "uint8"), None) for index, _ in job]


def anonymous():
    """Bytes of this process that no file backs: what cannot be dropped and read again."""
    gc.collect()
    lines = (line.split() for line in STATUS.read_text().splitlines())
    return next(int(words[1]) * 1024 for words in lines if words[0] == "RssAnon:")


def two_epochs(count, cache):
    """Goes twice over `count` shuffled images; returns their batches."""
    store = open_store(Grey(count), np.arange(count), cache)
    arguments = {"batch_size": 50, "seed": 3, "shuffle": True}
    batches = Batches(
        Elements(store, np.arange(count), DropPixel(0.5), ValueScaling(), **arguments)
    )
    assert sum(len(y) for _ in range(2) for y in batches) == 2 * count
    return batches


def growth(folder):
    """Bytes by which epochs over 4,000 images grow the process: on disk, and in memory."""
    two_epochs(200, folder)  # what is made once
    grown = []
    for cache in (folder, "memory"):
        before = anonymous()
        batches = two_epochs(4000, cache)
        grown.append(anonymous() - before)
        assert (batches.elements.store.folder is not None) == (cache == folder)
        del batches
    return grown


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
