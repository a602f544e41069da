"""Inception from a SavedModel or TF-Hub's cache; what is said where it is missing.

The networks are stand-ins with the canonical one's names: the real weights need a network.
"""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from keras_uai import tfgan
from keras_uai.metrics import extractors
from keras_uai.metrics.extractors import inception


@pytest.fixture(autouse=True)
def _no_inception_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv(inception.PATH_VARIABLE, raising=False)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))


def images(size=20):
    return np.random.default_rng(0).uniform(-1, 1, (3, size, size, 3)).astype("float32")


def expected(x):
    """What the stand-ins compute: the mean colour after TF-GAN's resize, twice."""
    resized = tf.image.resize(x, (299, 299), "bilinear", antialias=False).numpy()
    colour = resized.mean(axis=(1, 2))
    return np.concatenate([colour, 2 * colour], axis=1)


class Stand(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 299, 299, 3))])
    def __call__(self, x):
        colour = tf.reduce_mean(x, (1, 2), keepdims=True)
        return {"pool_3": tf.concat([colour, 2 * colour], -1), "logits": colour}


def save_module(path, signature_only=False):
    module = Stand()
    if signature_only:
        outer = tf.Module()
        tf.saved_model.save(outer, str(path), signatures=module.__call__)
    else:
        tf.saved_model.save(module, str(path))
    return str(path)


@pytest.mark.parametrize("signature_only", [False, True])
def test_a_saved_model(tmp_path, signature_only):
    path = save_module(tmp_path / "module", signature_only)
    extractor = extractors.get(f"inception:{path}")
    assert extractor(images()) == pytest.approx(expected(images()), abs=1e-5)
    assert extractor.frechet_name == "fid"
    assert extractor.provenance()["resize"] == "bilinear-299"
    assert len(extractor.digest) == 12


def test_the_environment_and_tf_hubs_cache_are_found(tmp_path, monkeypatch):
    assert inception.local_path() is None
    name = hashlib.sha1(inception.HANDLE.encode()).hexdigest()
    cached = save_module(tmp_path / "hub" / name)
    assert inception.local_path() == cached
    assert extractors.get().name == "inception"
    other = str(tmp_path / "other")
    monkeypatch.setenv(inception.PATH_VARIABLE, other)
    assert inception.local_path() == other


def test_the_address_is_tf_gans():
    assert tfgan.eval.INCEPTION_TFHUB == inception.HANDLE


def test_without_a_network_one_message_says_how_to_get_it(monkeypatch):
    import tensorflow_hub

    def fail(handle):
        raise OSError("Name or service not known\nand more lines")

    monkeypatch.setattr(tensorflow_hub, "resolve", fail)
    with pytest.raises(FileNotFoundError) as found:
        extractors.get("inception")
    message = str(found.value)
    for part in (inception.HANDLE, inception.PATH_VARIABLE, "efficientnet_lite0"):
        assert part in message
    assert message.endswith("TF-Hub said: Name or service not known")


def test_wrong_places_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none', which is no folder"):
        extractors.get(f"inception:{tmp_path / 'none'}")


def test_a_module_without_the_features_is_refused(tmp_path):
    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 299, 299, 3))])
        def __call__(self, x):
            return {"logits": tf.reduce_mean(x, (1, 2))}

    tf.saved_model.save(Other(), str(tmp_path / "other"))
    extractor = extractors.get(f"inception:{tmp_path / 'other'}")
    with pytest.raises(ValueError, match=r"an output 'pool_3'.*outputs \['logits'\]"):
        extractor(images())
