"""The cache computes once, names its files after everything, and trusts none that differ."""

import numpy as np
import pytest

from keras_uai.metrics import references, stamps
from tests.metrics.test_statistics import images, pixels

ASKED = {"dataset": "faces", "split": "withheld", "seed": 0}


def test_computed_once_and_found_again(tmp_path):
    calls = []
    first, path = references.reference(tmp_path, pixels(calls), lambda: [images()], **ASKED)
    second, again = references.reference(tmp_path, pixels(calls), lambda: [images()], **ASKED)
    assert sum(calls) == 10
    assert path == again == str(tmp_path / stamps.file_name(first.stamp))
    assert first.stamp == second.stamp
    assert np.array_equal(first.features, second.features)
    assert first.stamp["images"] == 10
    assert first.stamp["image_size"] == "4x4x3"


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"split": "train"}, {"dataset": "food"}, {"max_images": 9}]
)
def test_anything_else_has_a_file_of_its_own(tmp_path, change):
    references.reference(tmp_path, pixels(), lambda: [images()], **ASKED)
    references.reference(tmp_path, pixels(), lambda: [images()], **{**ASKED, **change})
    assert len(list(tmp_path.iterdir())) == 2


def test_other_images_under_the_same_name_are_noticed(tmp_path):
    references.reference(tmp_path, pixels(), lambda: [images()], **ASKED)
    other = images()
    other[3, 1, 2, 0] += 1 / 127.5
    found, _ = references.reference(tmp_path, pixels(), lambda: [other], **ASKED)
    assert np.array_equal(found.features, other.reshape(10, -1))


def test_a_renamed_file_is_rejected(tmp_path):
    _, path = references.reference(tmp_path, pixels(), lambda: [images()], **ASKED)
    (tmp_path / path).rename(path.replace("seed0", "seed1"))
    with pytest.raises(ValueError, match="seed is 0 and not 1"):
        references.reference(tmp_path, pixels(), lambda: [images()], **{**ASKED, "seed": 1})


def test_images_that_change_are_not_stored(tmp_path):
    portions = iter([images(10), images(9)])
    with pytest.raises(ValueError, match=r"without shuffling.*images is 9 and not 10"):
        references.reference(tmp_path, pixels(), lambda: [next(portions)], **ASKED)
    assert not list(tmp_path.iterdir())


def test_content_is_of_pixels_and_their_order():
    x = images()
    found = references.content([x])
    assert found == references.content([{"clean": x[:3]}, x[3:]])
    assert found == references.content([np.concatenate([x, x])], max_images=10)
    assert found["content"] != references.content([x[::-1]])["content"]
    assert references.content([x[:4]], 7)["images"] == 4
    with pytest.raises(ValueError, match="no image"):
        references.content([])
