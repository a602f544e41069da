"""Spread calibration: generators whose right inflation is known."""

import numpy as np
import pytest
from keras import ops

from keras_uai.models import UAI
from keras_uai.sampling import OneStage, TwoStage
from tests.testing import array, images, observations, same_bits, tiny_uai


class Known:
    """Stands in for a generator: its mean is y, or 0; samples are `factor` times z around it."""

    predicts_mean, latent_dim, stride = True, 1, 1
    noise_channels, noise_strides = 3, [1]

    def __init__(self, factor):
        self.factor = factor
        self.calls = []

    def observe(self, y, mask, training=False):
        self.calls.append((array(y), array(mask)))
        return {"mean": ops.convert_to_tensor(y * mask), "factor": self.factor}

    def decode(self, features, style, noise, training=False, samples=1):
        mean = ops.repeat(features["mean"], samples, axis=0)
        return mean + features["factor"] * noise[1]


class FarAndNear(Known):
    """Samples of an image of which nothing is observed have a spread of their own."""

    def __init__(self, near, far):
        super().__init__(None)
        self.near = near
        self.far = far

    def observe(self, y, mask, training=False):
        self.factor = self.near if np.max(array(mask)) > 0 else self.far
        return super().observe(y, mask)


def eager(name, function):
    """Stands in for `Inference.compiled`, which makes tensors of arrays, too."""
    return lambda *arguments: function(*(ops.convert_to_tensor(v) for v in arguments))


@pytest.fixture
def use(monkeypatch):
    """Returns a function: a model with a stand-in for its generator, eager."""

    def made(generator, **kwargs):
        model = tiny_uai(generator={"predicts_mean": True}, sampler=TwoStage(1, 1.0), **kwargs)
        monkeypatch.setattr(UAI, "inference_generator", generator)
        monkeypatch.setattr(model.inference, "compiled", eager)
        return model

    return made


def gaussian(count, scale=0.2):
    x = np.random.default_rng(0).normal(0, scale, (count, 16, 16, 3))
    return np.where(x == 0, 0.1, np.clip(x, -1, 1)).astype("float32")


def everything(x):
    return {"observation": x, "mask": np.ones((*x.shape[:3], 1), "float32")}


@pytest.mark.parametrize("inflation", [0.5, 2.0])
def test_the_right_inflation_is_found(use, inflation):
    """All pixels are sampled, the mean is 0, samples have 1 / inflation times the data's spread."""
    model = use(Known(0.2 / inflation))
    x = gaussian(400)
    mask = array(model.measurement.masks(np.arange(400), 16, 16))
    batches = [x[i : i + 50] * mask[i : i + 50] for i in range(0, 400, 50)]
    found = model.calibrate_spread(batches, images=220)
    assert found["inflation"] == pytest.approx(inflation, rel=0.05)
    assert model.sampler == TwoStage(1, found["inflation"])
    assert found["spread_skill"] == pytest.approx(1, abs=0.02)
    assert found["images"] == 220
    assert found["hidden_pixels"] == pytest.approx(0.1 * mask[:220].sum(), rel=0.1)
    half = model.calibrate_spread(batches, spread_skill=0.5)
    assert half["spread_skill"] == pytest.approx(0.5, abs=0.02)
    assert half["inflation"] < 0.7 * found["inflation"]


def test_the_ratio_by_hand(use):
    """Of the pairs at the inflation found: spread and error on hidden pixels, in NumPy.

    Two samples a = f z_1 and b = f z_2 of a value x: the variance is (a - b)^2 / 2, and the mean's
    squared error has the factor 1 + 1/2 of calibrated samples. Their expectations are f^2 and
    0.04 + f^2 / 2.
    """
    model = use(Known(0.1))
    found = model.calibrate_spread([everything(gaussian(200))], ratio=0.5, spread_skill=0.8)
    f = 0.1 * found["inflation"]
    assert np.sqrt(1.5 * f**2 / (0.04 + f**2 / 2)) == pytest.approx(0.8, rel=0.03)


def test_far_pixels_count_after_context_dropout(use):
    """Near pixels ask for an inflation of 2, far ones for 1/2.

    Samples of variance v around an error of variance s have the ratio sqrt(1.5 v / (s + v / 2)). At
    1.19 the product of both ratios is 1.
    """
    x = gaussian(200)
    model = use(FarAndNear(0.1, 0.4))
    assert model.calibrate_spread([everything(x)])["inflation"] == pytest.approx(2.0, rel=0.05)
    model = use(FarAndNear(0.1, 0.4), context_dropout=0.25)
    found = model.calibrate_spread([everything(x)])
    assert found["inflation"] == pytest.approx(1.19, rel=0.05)
    assert found["hidden_pixels"] == pytest.approx(1.8 * 200 * 16 * 16, rel=0.05)


def test_neither_hidden_nor_clean_values_are_used(use):
    x = images(20)
    known = Known(0.3)
    model = use(known)
    mask = array(model.measurement.masks(np.arange(20), 16, 16))
    batch = {"observation": x * mask, "mask": mask, "clean": np.full_like(x, np.nan)}
    model.calibrate_spread([batch], batch_size=200)
    y_seen, mask_seen = known.calls[0]
    assert (mask_seen <= mask).all()
    assert 0.05 < 1 - mask_seen.sum() / mask.sum() < 0.15
    same_bits(y_seen, np.where(mask_seen == 1, x, np.float32(0)))


@pytest.fixture(scope="module")
def model():
    """A generator of its own, with samples that differ, of images of any size."""
    model = tiny_uai(
        image_shape=(None, None, 3),
        generator={"input_fill": "push_pull", "predicts_mean": True, "levels": 1},
        discriminator={"levels": 1},
        encoder={"levels": 1},
    )
    for v in model.generator.trainable_variables:
        if "head_image/kernel" in v.path:
            v.assign(v * 10.0)
    return model


def test_repeatable_whatever_the_batches(model):
    y, _ = observations(model.measurement, 30, (16, 24, 3))
    found = []
    for batches, size in (([y], 64), ([y[:10], y[10:]], 14)):
        model.sampler = TwoStage(4, 1.0)
        found.append(model.calibrate_spread(batches, spread_skill=0.2, batch_size=size))
    assert found[1] == pytest.approx(found[0], rel=1e-3)


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        ("none", {}, "must not be empty. Received: no batch"),
        ("hidden", {}, r"Nothing was hidden.*Received: 2 images, ratio=0\.1"),
        ("some", {"spread_skill": -1.0}, "Received: spread_skill=-1"),
        ("some", {"images": 0}, "Received: images=0"),
        ("some", {"ratio": 1.5}, "Received: ratio=1.5"),
        ("some", {"ratio": 0.0}, "Received: ratio=0.0"),
    ],
)
def test_errors(model, data, arguments, message):
    y, mask = observations(model.measurement, 2)
    model.sampler = TwoStage(4, 1.5)
    hidden = {"observation": y, "mask": np.zeros_like(mask)}
    dataset = {"none": [], "hidden": [hidden], "some": [y]}[data]
    with pytest.raises(ValueError, match=message):
        model.calibrate_spread(dataset, **arguments)
    assert model.sampler == TwoStage(4, 1.5)


def test_one_stage_has_nothing_to_fit(model):
    y, _ = observations(model.measurement, 2)
    model.sampler = OneStage()
    with pytest.raises(
        ValueError, match=r"two-stage sampler.*Received: model.sampler=OneStage\(\)"
    ):
        model.calibrate_spread([y])


def test_samples_that_never_differ(use):
    """As after little training: the sampler stays as it was, and the message says why."""
    model = use(Known(0.0))
    model.sampler = TwoStage(1, 1.5)
    with pytest.raises(ValueError, match=r"No inflation from 0\.1 to 10.*Received: 0 times at"):
        model.calibrate_spread([everything(images(20))])
    assert model.sampler == TwoStage(1, 1.5)
