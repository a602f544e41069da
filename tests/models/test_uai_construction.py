"""UAI's arguments, the recommended configuration, and the distributions of its latent."""

import numpy as np
import pytest
import scipy.stats

from keras_uai.measurements import Patch
from keras_uai.models import UAI
from tests.testing import array, observations, run_serialization_test, same_bits, tiny_uai

# -- the latent's distributions ---------------------------------------------------------------------


def test_prior_is_standard_normal():
    model = tiny_uai()
    prior = model.prior
    assert prior.event_shape == (6,)
    point = np.linspace(-1, 1, 6).astype("float32")
    expected = scipy.stats.norm.logpdf(point).sum()
    assert float(prior.log_prob(point)) == pytest.approx(expected, rel=1e-5)
    draws = array(prior.sample(20_000, seed=1))
    assert np.abs(draws.mean(0)).max() < 5 / np.sqrt(20_000)
    assert np.abs(draws.var(0) - 1).max() < 5 * np.sqrt(2 / 20_000)


def test_posterior_is_what_e_predicts():
    model = tiny_uai()
    y, mask = observations(model.measurement, 4)
    layer = model.encoder.get_layer("log_variance")
    layer.bias.assign(np.linspace(-1, 0.5, 6))  # a fresh E has variance 1
    posterior = model.posterior(y)
    mean, log_variance = (array(v, "float64") for v in model.encoder.encode(y, mask))
    assert posterior.batch_shape == (4,)
    assert posterior.event_shape == (6,)
    np.testing.assert_allclose(posterior.mean(), mean, atol=1e-5)
    np.testing.assert_allclose(posterior.stddev(), np.exp(0.5 * log_variance), rtol=1e-5)
    point = np.ones((4, 6), "float32")
    expected = scipy.stats.norm.logpdf(point, mean, np.exp(0.5 * log_variance)).sum(1)
    np.testing.assert_allclose(posterior.log_prob(point), expected, rtol=1e-4)
    import tensorflow_probability as tfp

    divergence = tfp.distributions.kl_divergence(posterior, model.prior)
    closed = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)
    np.testing.assert_allclose(divergence, closed, rtol=1e-4)
    same_bits(model.posterior(y, mask).mean(), posterior.mean())


# -- construction -----------------------------------------------------------------------------------


def test_serialization():
    hidden = {
        n: lambda m, n=n: m.get_config()[n] for n in ("generator", "discriminator", "encoder")
    }
    model = run_serialization_test(
        UAI,
        {
            "image_shape": (16, 16, 1),
            "measurement": Patch(3, 5, border=1, tau=0.25),
            "latent_dim": 5,
            "average_decay": 0.9,
            "discriminate_y_hat": True,
            "hide": (0.2, 0.3),
            "hide_by_mask": 0.4,
            "hide_all": 0.1,
            "energy_scales": (None, 4),
            "energy_patches": (2,),
            "energy_spread": 1.2,
            "look_cell": 4,
            "look_gain": 1.5,
            "flip": True,
            "seed": 7,
            "generator": {
                "width": 8,
                "max_width": 16,
                "stem": 2,
                "fill": True,
                "predicts_mean": True,
            },
            "discriminator": {"width": 8, "max_width": 8, "sees_mask": True},
            "encoder": {"width": 8, "max_width": 8, "depth": 2},
            "name": "mine",
        },
        hidden,
    )
    assert (model.generator.width, model.generator.fill, model.generator.latent_dim) == (8, True, 5)
    assert model.discriminator.sees_mask
    assert (model.encoder.depth, model.encoder.latent_dim) == (2, 5)


def test_recommended_is_compiled_and_can_be_overridden():
    small = {"width": 8, "max_width": 16}
    model = UAI.recommended(
        (16, 16, 1),
        "DropPixel(0.5)",
        steps=1000,
        generator=small,
        discriminator=small,
        encoder=small,
        seed=3,
    )
    assert (model.generator.width, model.generator.fill, model.seed) == (8, True, 3)
    assert model.compiled
    assert model.loss_weights["energy"] > 0
    for optimizer in (model.optimizer, model.discriminator_optimizer):
        assert optimizer.beta_1 == (0.9 if optimizer is model.optimizer else 0.0)
    schedule = model.discriminator_optimizer._learning_rate
    assert float(schedule(101)) == pytest.approx(1e-3, rel=0.1)
    schedule = model.optimizer._learning_rate
    assert float(schedule(0)) == 0
    assert float(schedule(1000)) == pytest.approx(0, abs=1e-7)
    assert float(schedule(101)) == pytest.approx(1e-3, rel=0.1)
    logs = model.train_step(observations(model.measurement, 4, (16, 16, 1))[0])
    assert all(np.isfinite(v) for v in logs.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (20, 20, 3)}, "Received: image_shape="),
        ({"image_shape": 16}, "Received: image_shape=16"),
        ({"measurement": "Patch(3, 30)"}, "Received: k=30, border=4, image size 16 x 16"),
        ({"measurement": None}, "Received: None"),
        ({"average_decay": 1.0}, "Received: average_decay=1.0"),
        ({"hide": 0.3}, "Received: hide=0.3"),
        ({"hide": (0.5, 0.2)}, r"Received: hide=\(0.5, 0.2\)"),
        ({"hide": (0.0, 0.2)}, r"Received: hide=\(0.0, 0.2\)"),
        ({"hide_by_mask": 1.1}, "Received: hide_by_mask=1.1"),
        ({"energy_scales": (32,)}, r"Received: energy_scales=\(32,\)"),
        ({"energy_scales": (None, 2.5)}, r"Received: energy_scales=\(None, 2\.5\)"),
        ({"energy_patches": (None,)}, r"Received: energy_patches=\(None,\)"),
        ({"hide_all": -0.1}, "Received: hide_all=-0.1"),
        ({"energy_spread": 1.5}, "Received: energy_spread=1.5"),
        ({"energy_scales": ()}, "one of them at least. Received: energy_scales=()"),
        ({"energy_patches": (0,)}, r"Received: energy_patches=\(0,\)"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        UAI(**{"image_shape": (16, 16, 3), "measurement": "DropPixel(0.5)", **arguments})


def test_unknown_arguments_of_networks_are_refused():
    for network in ("generator", "discriminator", "encoder"):
        with pytest.raises(TypeError, match="widht"):
            UAI((16, 16, 3), "DropPixel(0.5)", **{network: {"widht": 8}})
