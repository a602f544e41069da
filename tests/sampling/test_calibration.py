"""Spread calibration against generators whose right inflation is known, and its errors."""

import re
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_uai.sampling import TwoStage, calibration
from tests.testing import array, images, observations, run_on_jax, same_bits, tiny_uai

pytestmark = pytest.mark.filterwarnings("ignore:The spread calibration is uncertain")

MEAN = {"input_fill": "push_pull", "residual_conditioning": True, "predicts_mean": True}


class Known:
    """Generator that predicts y, and 0 where missing; samples have the deviation `near` or `far`.

    `far` is for images of which nothing is observed.
    """

    predicts_mean, stride, latent_dim, noise_channels, noise_strides = True, 1, 2, 3, [1]

    def __init__(self, near, far=None):
        self.near = near
        self.far = near if far is None else far
        self.calls = []

    def observe(self, y, mask, training=False):
        self.calls.append((array(y), array(mask)))
        seen = ops.max(mask, axis=(1, 2, 3), keepdims=True)
        return {"mean": y * mask, "deviation": ops.where(seen > 0, self.near, self.far)}

    def decode(self, features, style, noise, training=False, samples=1):
        mean, deviation = (ops.repeat(features[n], samples, axis=0) for n in ("mean", "deviation"))
        return mean + deviation * noise[1]


@pytest.fixture
def model():
    """A model with large weights at the end, so that samples differ."""
    keras.utils.set_random_seed(0)
    model = tiny_uai(generator=MEAN, sampler=TwoStage(4))
    for v in model.generator.weights:
        if v.path.endswith("head_image/kernel"):
            v.assign(v * 300.0)
    return model


@pytest.fixture
def known(model, monkeypatch):
    """Returns a function that gives the model a `Known` generator, whose samples are all seen."""

    def replace(*deviations):
        generator = Known(*deviations)
        monkeypatch.setattr(model, "generator", generator)
        model.sampler = TwoStage(1, 1.0)
        return generator

    def eager(name, function):
        return lambda *args: function(*map(ops.convert_to_tensor, args))

    monkeypatch.setattr(model.inference, "compiled", eager)
    return replace


def normal(count, size=16):
    """Images of independent normal values with a deviation of 0.2, never 0."""
    x = np.random.default_rng(0).normal(0, 0.2, (count, size, size, 3)).clip(-1, 1)
    return np.where(x == 0, 0.1, x).astype("float32")


def complete(x):
    return {"observation": x, "mask": np.ones((*x.shape[:3], 1), "float32")}


# -- the inflation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("inflation", [0.5, 2.0])
def test_the_right_inflation_is_found(model, known, inflation):
    """Samples have 1 / inflation times the deviation of the data."""
    x = normal(400)
    mask = array(model.measurement.masks(np.arange(400), 16, 16))
    batches = [x[i : i + 50] * mask[i : i + 50] for i in range(0, 400, 50)]
    known(0.2 / inflation)
    found = model.calibrate_spread(batches, images=220)
    assert model.sampler == TwoStage(1, found["inflation"])
    assert found["inflation"] == pytest.approx(inflation, rel=0.05)
    assert found["spread_skill"] == pytest.approx(1, abs=0.02)
    assert found["images"] == 220
    assert found["hidden_pixels"] == pytest.approx(0.1 * mask[:220].sum(), rel=0.1)
    half = model.calibrate_spread(batches, spread_skill=0.5)
    assert half["inflation"] < 0.7 * found["inflation"]
    assert half["spread_skill"] == pytest.approx(0.5, abs=0.02)


def test_context_dropout_makes_far_pixels_count(model, known):
    """Near pixels ask for an inflation of 2, far ones for 1/2.

    Of two samples of variance v and an error of variance s, the spread-skill ratio is
    sqrt(1.5 v / (s + v / 2)). At an inflation of 1.19 both ratios have the product 1.
    """
    known(0.1, 0.4)
    batch = complete(normal(200))
    assert model.calibrate_spread([batch])["inflation"] == pytest.approx(2.0, rel=0.05)
    model.context_dropout = 0.25
    found = model.calibrate_spread([batch])
    assert found["inflation"] == pytest.approx(1.19, rel=0.05)
    assert found["hidden_pixels"] == pytest.approx(1.8 * 200 * 16 * 16, rel=0.05)


def test_hidden_pixels_and_clean_images_are_not_shown(model, known):
    x = images(20)
    mask = array(model.measurement.masks(np.arange(20), 16, 16))
    generator = known(0.3)
    batch = {"observation": x * mask, "mask": mask, "clean": np.full_like(x, np.nan)}
    model.calibrate_spread([batch], batch_size=200)
    y_seen, mask_seen = generator.calls[0]
    assert (mask_seen <= mask).all()
    assert 0.05 < 1 - mask_seen.sum() / mask.sum() < 0.15
    same_bits(y_seen, np.where(mask_seen == 1, x, np.float32(0)))


def test_a_calibration_is_repeatable(model):
    """It does not depend on batches, whatever inflation it starts from."""
    y, _ = observations(model.measurement, 30)
    first = model.calibrate_spread([y], spread_skill=0.2)
    model.sampler = TwoStage(4, 1.0)
    again = model.calibrate_spread([y[:10], y[10:]], spread_skill=0.2, batch_size=14)
    assert len(again.pop("warnings")) == len(first.pop("warnings")) == 3
    assert again == pytest.approx(first, rel=1e-3)


def test_images_of_any_size_in_parts_of_few_pixels(model, known, monkeypatch):
    """Sides that are no multiples of the stride are padded; padding is not hidden."""
    generator = known(0.1)
    generator.stride = 4
    monkeypatch.setattr(model, "image_shape", (None, None, 3))
    monkeypatch.setattr(calibration, "PIXELS", 5000)
    x = normal(40, 30)[:, :, :21]
    found = model.calibrate_spread([complete(x)])
    assert found["inflation"] == pytest.approx(2.0, rel=0.05)
    assert found["hidden_pixels"] == pytest.approx(0.1 * 40 * 30 * 21, rel=0.05)
    assert {y.shape for y, _ in generator.calls} == {
        (3, 32, 24, 3),
        (1, 32, 24, 3),
        (6, 32, 24, 3),
        (2, 32, 24, 3),
    }
    with pytest.raises(
        ValueError, match=r"images of one size.*Received: \(32, 24\) and \(16, 16\)"
    ):
        model.calibrate_spread([complete(x), complete(normal(4))])


# -- its uncertainty -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [20, 400])
def test_the_standard_error_of_white_noise(model, known, count):
    """Of P hidden values the logarithms of variance and squared error have the variance 2 / P."""
    known(0.2)
    found = model.calibrate_spread([complete(normal(count))])
    expected = found["spread_skill"] / np.sqrt(3 * found["hidden_pixels"])
    assert found["standard_error"] == pytest.approx(expected, rel=0.2 if count > 20 else 0.5)


def test_images_count_not_pixels(model, known):
    """Half of the images deviate by 0.05, half by 0.35, the samples by 0.2."""
    x = normal(200) * np.resize(np.float32([0.25, 1.75]), (200, 1, 1, 1))
    known(0.2)
    found = model.calibrate_spread([complete(x)], spread_skill=1.0)
    inflated = 0.2 * found["inflation"]
    errors = np.square([0.05, 0.35]) + inflated**2 / 2
    expected = 0.5 * errors.std() / errors.mean() / np.sqrt(200)
    assert found["standard_error"] == pytest.approx(expected, rel=0.1)
    model.context_dropout = 0.25  # the same images once more, all of whose pixels are hidden
    assert model.calibrate_spread([complete(x)])["standard_error"] == pytest.approx(
        expected, rel=0.2
    )


@pytest.mark.parametrize(
    ("count", "inflation", "steps", "found"),
    [
        (200, 2.3, 1000, []),
        (200, 3.0, 1000, ["An inflation of 2.9.* was needed, above 2.5"]),
        (3, 2.0, 1000, ["rests on [0-9]+ hidden pixels of 3 image.* is [0-9]%. Use at least 10"]),
        (1, 2.0, 1000, ["hidden pixels of 1 image.* is inf%"]),
        (200, 2.0, 999, ["trained for 999 updates, less than 1,000"]),
        (1, 9.0, 0, ["An inflation of", "rests on", "trained for 0 updates"]),
    ],
)
def test_what_makes_a_calibration_uncertain_is_told(model, known, count, inflation, steps, found):
    known(0.2 / inflation)
    model.step.assign(steps)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = model.calibrate_spread([complete(normal(count))])
    assert len(result["warnings"]) == len(found)
    for sentence, pattern in zip(result["warnings"], found, strict=True):
        assert re.search(pattern, sentence)
    texts = [str(warning.message) for warning in caught if warning.category is UserWarning]
    told = ["The spread calibration is uncertain. " + " ".join(result["warnings"])]
    assert texts == (told if found else [])


# -- errors ----------------------------------------------------------------------------------------


def test_calibrations_that_are_refused(model):
    y, mask = observations(model.measurement, 2)
    for arguments, message in (
        ({"ratio": 1.5}, r"\(0, 1\)\. Received: ratio=1\.5"),
        ({"ratio": 0}, "Received: ratio=0"),
        ({"spread_skill": -1.0}, r"positive\. Received: spread_skill=-1\.0"),
        ({"images": 0}, "Received: images=0"),
        ({"dataset": []}, r"`dataset` must not be empty\. Received: no batch"),
        (
            {"dataset": [{"observation": y, "mask": np.zeros_like(mask)}]},
            r"Nothing was hidden.*Received: 2 images, ratio=0\.1",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            model.calibrate_spread(**{"dataset": [y], **arguments})
        assert model.sampler == TwoStage(4)
    with pytest.raises(ValueError, match=r"predicts_mean=True.*Received: predicts_mean=False"):
        tiny_uai().calibrate_spread([y])


def test_samples_that_never_differ(model, known):
    """As after little training: the sampler stays as it was, and the message says why."""
    known(0.0)
    model.sampler = TwoStage(1, 1.5)
    with pytest.raises(
        ValueError, match=r"No inflation from 0\.1 to 10 .*Received: 0 times at .*10"
    ):
        model.calibrate_spread([complete(images(20))])
    assert model.sampler == TwoStage(1, 1.5)


# -- the other backend -----------------------------------------------------------------------------


@pytest.mark.usefixtures("eagerly")
def test_jax_calibrates_and_samples_the_same(model, tmp_path):
    pytest.importorskip("jax")
    y, _ = observations(model.measurement, 6)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "y.npy", y)
    code = f"""
import keras, numpy as np, keras_uai
model = keras.saving.load_model(r"{tmp_path / "model.keras"}")
y = np.load(r"{tmp_path / "y.npy"}")
np.save(r"{tmp_path / "before.npy"}", model.inpaint(y, num_samples=2))
print(model.calibrate_spread([y], spread_skill=0.2)["inflation"])
np.save(r"{tmp_path / "after.npy"}", model.inpaint(y, num_samples=2))
"""
    printed = run_on_jax(code)
    before, after = (np.load(tmp_path / f"{name}.npy") for name in ("before", "after"))
    np.testing.assert_allclose(before, model.inpaint(y, num_samples=2), atol=1e-4)
    inflation = model.calibrate_spread([y], spread_skill=0.2)["inflation"]
    assert float(printed.split()[-1]) == pytest.approx(inflation, rel=1e-3)
    np.testing.assert_allclose(after, model.inpaint(y, num_samples=2), atol=1e-3)
