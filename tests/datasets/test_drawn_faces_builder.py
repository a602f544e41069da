import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_uai.datasets import drawn_faces, drawn_faces_builder  # noqa: E402


def test_tensorflow_datasets_has_the_same_faces(tmp_path, monkeypatch):
    monkeypatch.setattr(drawn_faces, "COUNT", 60)
    dataset, info = tfds.load("drawn_faces/64", split="train", data_dir=tmp_path, with_info=True)
    assert info.splits["train"].num_examples == 60
    assert info.features["mouth"].names == ["smile", "neutral", "open"]
    examples = list(dataset.as_numpy_iterator())
    indices = np.array([example["index"] for example in examples])
    assert sorted(indices) == list(range(60))
    images = np.stack([example["image"] for example in examples])
    assert np.array_equal(images, drawn_faces.draw(indices, 64))
    for name, values in drawn_faces.factors(indices).items():
        assert np.array_equal([example[name] for example in examples], values), name


def test_sizes():
    builder = drawn_faces_builder.DrawnFaces
    assert {c.name: c.image_size for c in builder.BUILDER_CONFIGS} == {
        "32": 32,
        "64": 64,
        "128": 128,
    }
