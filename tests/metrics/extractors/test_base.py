"""Extractors resize as they say, and change their provenance with their weights."""

import numpy as np
import pytest

from keras_uai.metrics import extractors
from keras_uai.metrics.extractors import Extractor, base


def images(shape=(3, 8, 8, 3), seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def flat(x):
    return np.asarray(x).reshape(len(x), -1)


def test_names_of_metrics():
    inception, other = Extractor("inception", flat, None), Extractor("small", flat, None)
    assert (inception.frechet_name, inception.kernel_name) == ("fid", "kid")
    assert (other.frechet_name, other.kernel_name) == ("frechet_small", "kernel_small")


def test_images_are_resized_as_the_provenance_says():
    import tensorflow as tf

    for size, antialias in ((16, True), (4, True), (4, False)):
        extractor = Extractor("e", flat, size, antialias)
        expected = tf.image.resize(images(), (size, size), "bilinear", antialias=antialias)
        assert extractor(images()) == pytest.approx(flat(expected), abs=1e-5)
        assert extractor.provenance()["resize"] == f"bilinear{'-antialias' * antialias}-{size}"
    assert np.array_equal(Extractor("e", flat, 8)(images()), flat(images()))
    assert Extractor("e", flat, None).provenance()["resize"] == "none"


def test_grey_images_are_repeated():
    grey = images((2, 8, 8, 1))
    assert np.array_equal(Extractor("e", flat, None)(grey), flat(np.repeat(grey, 3, axis=-1)))
    with pytest.raises(ValueError, match=r"3 channels.*shape \(2, 8, 8, 4\)"):
        Extractor("e", flat, None)(images((2, 8, 8, 4)))


def test_spatial_features_are_averaged():
    found = Extractor("e", lambda x: x, None)(images())
    assert found == pytest.approx(images().mean(axis=(1, 2)), abs=1e-6)


def test_nan_features_are_refused():
    with pytest.raises(ValueError, match="must return finite features"):
        Extractor("e", lambda x: flat(x) * np.nan, None)(images())
    with pytest.raises(ValueError, match=r"v / 127\.5 - 1"):
        Extractor("e", flat, None)(images() * 255)


def test_digests_change_with_every_bit(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text("1")
    before = base.file_digest(tmp_path / "a")
    (tmp_path / "a" / "one").rename(tmp_path / "a" / "two")
    assert base.file_digest(tmp_path / "a") != before
    assert len(base.file_digest(tmp_path / "a" / "two")) == 12


def test_get_takes_extractors_and_names():
    extractor = Extractor("e", flat, None)
    assert extractors.get(extractor) is extractor
    for identifier in ("vgg", "none.keras", 3, "efficientnet_lite0:path"):
        with pytest.raises(ValueError, match="one of inception, efficientnet_lite0"):
            extractors.get(identifier)
