"""Extractors resize as they say, never train, and change their provenance with their weights."""

import keras
import numpy as np
import pytest

from keras_uai.metrics import extractors
from keras_uai.metrics.extractors import Extractor, base


def images(shape=(3, 8, 8, 3), seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def flat(x):
    return np.asarray(x).reshape(len(x), -1)


def small_model(channels=3, size=8):
    inputs = keras.Input((size, size, channels))
    x = keras.layers.Conv2D(4, 3, name="convolution")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.9, name="dropout")(x)
    return keras.Model(inputs, x, name="small")


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
    with pytest.raises(ValueError, match=r"3 channels.*shape \(2, 8, 8, 4\).*from_model"):
        Extractor("e", flat, None)(images((2, 8, 8, 4)))


def test_spatial_features_are_averaged():
    found = Extractor("e", lambda x: x, None)(images())
    assert found == pytest.approx(images().mean(axis=(1, 2)), abs=1e-6)


def test_a_model_is_run_in_inference_mode_and_left_as_it_was():
    model = small_model()
    before = [np.array(w) for w in model.get_weights()]
    extractor = Extractor.from_model(model)
    first = extractor(images())
    assert np.array_equal(first, extractor(images()))  # no dropout
    assert first == pytest.approx(
        np.asarray(model(images(), training=False)).mean(axis=(1, 2)), abs=1e-6
    )
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_model_says_its_size_channels_and_weights():
    extractor = Extractor.from_model(small_model(channels=2, size=6), name="mine")
    assert (extractor.name, extractor.size, extractor.channels) == ("mine", 6, 2)
    assert extractor(images((2, 9, 9, 2))).shape == (2, 4)
    same, other = small_model(), small_model()
    same.set_weights(other.get_weights())
    assert Extractor.from_model(same).digest == Extractor.from_model(other).digest
    other.get_layer("convolution").bias.assign_add([0, 0, 0, 1e-6])
    assert Extractor.from_model(same).digest != Extractor.from_model(other).digest


def test_models_that_take_no_images_are_refused():
    inputs = keras.Input((5,))
    with pytest.raises(ValueError, match=r"one input of.*input_shape=\(None, 5\)"):
        Extractor.from_model(keras.Model(inputs, inputs))
    inputs = keras.Input((5, 6, 3))
    with pytest.raises(ValueError, match="square"):
        Extractor.from_model(keras.Model(inputs, inputs))


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


def test_get_takes_extractors_models_and_files(tmp_path):
    extractor, model = Extractor("e", flat, None), small_model()
    assert extractors.get(extractor) is extractor
    assert extractors.get(model).name == "small"
    model.save(tmp_path / "small.keras")
    loaded = extractors.get(tmp_path / "small.keras")
    assert np.array_equal(loaded(images()), extractors.get(model)(images()))
    assert loaded.digest == extractors.get(model).digest


@pytest.mark.parametrize("identifier", ["vgg", "none.keras", 3, "efficientnet_lite0:path"])
def test_unknown_extractors_are_named(identifier):
    with pytest.raises(ValueError, match="inception, efficientnet_lite0"):
        extractors.get(identifier)
