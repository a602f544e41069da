"""The cache computes once, names its files after everything, and trusts none that differ."""

import numpy as np
import pytest

from keras_uai.metrics import references, stamps
from tests.metrics.test_statistics import images, pixels

ASKED = {
    "image_size": (4, 4, 3), "images": 10, "dataset": "faces", "split": "withheld", "seed": 0,
}  # fmt: skip


def test_computed_once_and_found_again(tmp_path):
    calls = []

    def batches():
        calls.append(1)
        return [images()]

    first = references.reference(tmp_path, pixels(), batches, **ASKED)
    second = references.reference(tmp_path, pixels(), batches, **ASKED)
    assert len(calls) == 1
    assert first.stamp == second.stamp
    assert np.array_equal(first.features, second.features)
    assert [p.name for p in tmp_path.iterdir()] == [stamps.file_name(first.stamp)]
    references.reference(tmp_path, pixels(), batches, **{**ASKED, "seed": 1})
    assert len(calls) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_a_renamed_file_is_rejected(tmp_path):
    references.reference(tmp_path, pixels(), lambda: [images()], **ASKED)
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / path.name.replace("seed0", "seed1"))
    with pytest.raises(ValueError, match="seed is 0 and not 1"):
        references.reference(tmp_path, pixels(), lambda: [images()], **{**ASKED, "seed": 1})


def test_fewer_images_than_promised_are_not_stored(tmp_path):
    with pytest.raises(ValueError, match="images is 9 and not 10"):
        references.reference(tmp_path, pixels(), lambda: [images(9)], **ASKED)
    assert not list(tmp_path.iterdir())
