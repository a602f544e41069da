"""Paired: its terms by hand, pix2pix's conditional D, a single answer."""

import numpy as np
import pytest

from keras_uai.models import Paired
from tests.models.oracles import TOP, X, by_hand, compute_losses, constant, scored_by
from tests.testing import images, observations, same_bits, tiny


def test_its_terms_by_hand():
    """x = 0.25, and G answers 0.75: x_tilde is wrong by 0.5 in the lower half, 0.5 on average."""
    model, data = by_hand(Paired, generator=constant(0.75))
    d_loss, g_loss, logs = compute_losses(model, data)
    assert d_loss == pytest.approx((1 - 0.25) + (1 + 0.5))
    assert g_loss == pytest.approx(100 * 0.125 - 0.5)
    expected = {"mse": 0.125, "gan_loss": -0.5, "d_x": 0.25, "d_x_tilde": 0.5}
    assert logs == pytest.approx({**expected, "d_loss": d_loss, "g_loss": g_loss})


def test_regression_alone_has_no_discriminator():
    model, data = by_hand(Paired, {"gan": 0.0, "squared_error": 2.0}, generator=constant(0.75))
    assert model.discriminator_networks() == []
    d_loss, g_loss, logs = compute_losses(model, data)
    assert (d_loss, g_loss) == (0.0, pytest.approx(0.25))
    assert logs == pytest.approx({"mse": 0.125, "g_loss": 0.25})


def test_d_is_conditional_on_the_observation():
    """Both images come with the observation's mask: their pixels under it are y."""
    model, data = by_hand(Paired, generator=constant(0.75))
    scored = scored_by(model.discriminator, model, data)
    assert len(scored) == 2
    for image, mask in scored:
        same_bits(mask, np.repeat(TOP, 2, axis=0))
        assert (image[:, :8] == X).all()


def test_an_observation_has_a_single_answer():
    model = tiny(Paired)
    y, mask = observations(model.measurement, 3)
    samples = model.inpaint(y, mask, num_samples=3, seed=[1, 2, 3])
    for k in range(3):
        same_bits(samples[:, k], samples[:, 0])
    np.testing.assert_allclose(model.predict_mean(y, mask), samples[:, 0], atol=1e-6)
    np.testing.assert_allclose(model.inference.mean(y, mask), samples[:, 0], atol=1e-6)
    np.testing.assert_allclose(model.predict(y, verbose=0), samples[:, 0], atol=1e-6)
    model.compile()
    scores = model.evaluate({"observation": y, "clean": images(3)}, verbose=0, return_dict=True)
    assert scores["std"] < 1e-5
    assert scores["mse"] == pytest.approx(scores["mse_mean"])
    assert scores["mse"] == pytest.approx(((samples[:, 0] - images(3)) ** 2).mean(), rel=1e-4)
