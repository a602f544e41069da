import numpy as np
import pytest

from keras_uai.datasets import load, recipe1m
from keras_uai.datasets.sources import Preparation
from tests.datasets.images import noise, save


@pytest.mark.parametrize("inside", ["recipe1m", ""])
def test_the_tree(tmp_path, inside):
    root = tmp_path / "data" / inside
    for number, path in enumerate(("train/0/a/b/c/0abc.jpg", "val/f/0/0/0/f000.jpg")):
        save(root / path, noise(number, 256, 256))
    source = recipe1m.make_source(Preparation(), str(tmp_path / "data"))
    assert source.paths == ["train/0/a/b/c/0abc.jpg", "val/f/0/0/0/f000.jpg"]
    ds = load("recipe1m", "all", measurement="Patch(22, 5)", data_dir=tmp_path / "data")
    assert next(iter(ds)).shape == (2, 64, 64, 3)
    gray = recipe1m.make_source(Preparation(32, 128, 1), str(tmp_path / "data"))
    assert np.asarray(gray.decode([0])[0][0]).shape == (32, 32, 1)


def test_absent(tmp_path):
    with pytest.raises(ValueError, match=r"Recipe1M is not there(.|\n)*recipe1m/train\n"):
        load("recipe1m", measurement="DropPixel(0.9)", data_dir=tmp_path)
