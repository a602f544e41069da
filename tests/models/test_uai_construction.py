"""UAI's arguments, the recommended configuration, and the distributions of its style."""

import keras
import numpy as np
import pytest
import scipy.stats

from keras_uai.measurements import Patch
from keras_uai.models import UAI
from keras_uai.sampling import TwoStage
from keras_uai.values import ValueScaling
from tests.testing import array, observations, run_serialization_test, tiny_uai

# -- distributions of the style -------------------------------------------------------------------


def test_prior_is_standard_normal():
    model = tiny_uai()
    prior = model.prior()
    assert prior.event_shape == (6,)
    point = np.linspace(-1, 1, 6).astype("float32")
    expected = scipy.stats.norm.logpdf(point).sum()
    assert float(prior.log_prob(point)) == pytest.approx(expected, rel=1e-5)
    draws = array(prior.sample(20_000, seed=1))
    assert np.abs(draws.mean(0)).max() < 5 / np.sqrt(20_000)
    assert np.abs(draws.var(0) - 1).max() < 5 * np.sqrt(2 / 20_000)


def test_posterior_is_es_prediction():
    model = tiny_uai()
    y, mask = observations(model.measurement, 4)
    layer = model.encoder.get_layer("log_variance")
    layer.bias.assign(np.linspace(-1, 0.5, 6))  # a fresh E has variance 1
    posterior = model.posterior(y, mask)
    mean, log_variance = (array(v, "float64") for v in model.encoder.encode(y, mask))
    assert posterior.batch_shape == (4,)
    assert posterior.event_shape == (6,)
    np.testing.assert_allclose(posterior.mean(), mean, atol=1e-5)
    np.testing.assert_allclose(posterior.stddev(), np.exp(0.5 * log_variance), rtol=1e-5)
    point = np.ones((4, 6), "float32")
    expected = scipy.stats.norm.logpdf(point, mean, np.exp(0.5 * log_variance)).sum(1)
    np.testing.assert_allclose(posterior.log_prob(point), expected, rtol=1e-4)
    import tensorflow_probability as tfp

    divergence = tfp.distributions.kl_divergence(posterior, model.prior())
    closed = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)
    np.testing.assert_allclose(divergence, closed, rtol=1e-4)


# -- construction ---------------------------------------------------------------------------------


def test_every_argument_survives():
    networks = {
        n: lambda m, n=n: m.get_config()[n] for n in ("generator", "discriminator", "encoder")
    }
    model = run_serialization_test(
        UAI,
        {
            "image_shape": (None, None, 1),
            "measurement": Patch(3, 5, border=1, tau=0.25),
            "values": ValueScaling("float32", location=[1.0], scale=[2.0]),
            "latent_dim": 5,
            "ema_decay": 0.9,
            "sampler": TwoStage(stride=2, inflation=1.5),
            "train_on_y_hat": True,
            "split_ratio": (0.2, 0.3),
            "split_by_measurement": 0.4,
            "context_dropout": 0.1,
            "energy_scales": (None, 4),
            "sample_every": 2,
            "seed": 7,
            "generator": {"width": 8, "input_fill": "push_pull", "predicts_mean": True},
            "discriminator": {"width": 8, "max_width": 8, "mask_input": True},
            "encoder": {"width": 8, "max_width": 8, "depth": 2},
            "name": "mine",
        },
        networks,
    )
    assert (model.generator.width, model.generator.input_fill) == (8, "push_pull")
    assert model.generator.latent_dim == 5
    assert model.discriminator.mask_input
    assert (model.encoder.depth, model.encoder.latent_dim) == (2, 5)


SMALL = {"width": 8, "max_width": 16, "levels": 2}


def recommended(measurement="DropPixel(0.5)", **overrides):
    networks = dict.fromkeys(("generator", "discriminator", "encoder"), SMALL)
    return UAI.recommended((None, None, 1), measurement, **{**networks, **overrides})


def test_recommended_is_compiled_and_can_be_overridden():
    model = recommended(steps=1000, seed=3, sampler="TwoStage(2, 1.5)")
    assert (model.generator.width, model.generator.input_fill, model.seed) == (8, "push_pull", 3)
    assert model.sampler == TwoStage(2, 1.5)
    assert model.compiled
    assert {name for name, weight in model.loss_weights.items() if weight} == {
        "y_squared_error",
        "energy",
        "splitting",
    }
    for optimizer, beta_1 in ((model.optimizer, 0.9), (model.discriminator_optimizer, 0.0)):
        assert optimizer.beta_1 == beta_1
        schedule = optimizer.get_config()["learning_rate"]
        schedule = keras.saving.deserialize_keras_object(schedule)
        rates = [float(schedule(step)) for step in (0, 100, 550, 1000)]
        assert rates == pytest.approx([0, 1e-3, 5e-4, 0], abs=1e-7)  # warm-up, half a cosine
    logs = model.train_step(observations(model.measurement, 4, (16, 32, 1))[0])
    assert all(np.isfinite(v) for v in logs.values())


@pytest.mark.parametrize(
    ("measurement", "few", "sampler"),
    [
        ("DropPixel(0.9)", False, TwoStage(4, 1.8)),
        ("Patch(1, 10)", True, TwoStage(8, 1.7)),
        ("Patch(90, 10)", False, TwoStage(4, 2.2)),
    ],
)
def test_recommended_depends_on_the_measurement(measurement, few, sampler):
    """The marginal score and context dropout are for damage with little observed nearby."""
    model = recommended(measurement)
    assert (model.loss_weights["marginal"], model.context_dropout) == ((1, 0.25) if few else (0, 0))
    assert model.sampler == sampler
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)  # constant without `steps`


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (20, 20, 3), "generator": {"levels": 4}}, "Received: image_shape="),
        ({"image_shape": (None, 16, 3)}, r"Received: image_shape=\(None, 16, 3\)"),
        ({"image_shape": 16}, "Received: image_shape=16"),
        ({"measurement": "Patch(3, 30)"}, "Received: k=30, border=4"),
        ({"measurement": None}, "Received: None"),
        ({"latent_dim": 0}, "Received: latent_dim=0"),
        ({"seed": 0.5}, "Received: seed=0.5"),
        ({"ema_decay": 1.0}, "Received: ema_decay=1.0"),
        ({"split_ratio": 0.3}, "Received: split_ratio=0.3"),
        ({"split_ratio": (0.5, 0.2)}, r"Received: split_ratio=\(0.5, 0.2\)"),
        ({"split_ratio": (0.0, 0.2)}, r"Received: split_ratio=\(0.0, 0.2\)"),
        ({"split_by_measurement": 1.1}, "Received: split_by_measurement=1.1"),
        ({"context_dropout": -0.1}, "Received: context_dropout=-0.1"),
        ({"energy_scales": (None, 2.5)}, r"Received: energy_scales=\(None, 2\.5\)"),
        ({"energy_scales": ()}, r"at least one scale.*Received: energy_scales=\(\)"),
        ({"sampler": "TwoStage(4)"}, "need a generator with predicts_mean=True"),
        ({"generator": {"conditional": False}}, "needs a generator with conditional=True"),
    ],
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_uai(**{"image_shape": (16, 16, 3), "measurement": "DropPixel(0.5)", **arguments})


def test_unknown_arguments_of_networks_are_refused():
    for network in ("generator", "discriminator", "encoder"):
        with pytest.raises(TypeError, match="widht"):
            UAI((16, 16, 3), "DropPixel(0.5)", **{network: {"widht": 8}})
