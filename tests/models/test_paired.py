"""Paired: its terms by hand, pix2pix's conditional D, one answer."""

import numpy as np
import pytest

from keras_uai.models import Paired
from tests.models.oracles import TOP, by_hand, constant, objective
from tests.testing import images, observations, same_bits, tiny


def test_its_terms_by_hand():
    """x = 0.25; G says 0.75 in the lower half: x_tilde is 0.5 on average, wrong by 0.5 in one half."""
    model, data = by_hand(Paired, generator=constant(0.75))
    d_loss, g_loss, logs = objective(model, data)
    assert d_loss == pytest.approx((1 - 0.25) + (1 + 0.5))
    assert g_loss == pytest.approx(100 * 0.125 - 0.5)
    expected = {"mse": 0.125, "gan_loss": -0.5, "d_x": 0.25, "d_x_tilde": 0.5}
    assert logs == pytest.approx({**expected, "d_loss": d_loss, "g_loss": g_loss})


def test_regression_alone_has_no_discriminator():
    model, data = by_hand(Paired, {"gan": 0.0, "squared_error": 2.0}, generator=constant(0.75))
    assert model.discriminator_side() == []
    assert objective(model, data) == (
        0.0,
        pytest.approx(0.25),
        pytest.approx({"mse": 0.125, "g_loss": 0.25}),
    )


def test_a_d_that_sees_masks_is_conditional():
    """Both images come with the observation's mask: what is under it tells y."""
    model, data = by_hand(Paired, generator=constant(0.75))
    seen = []
    score = model.discriminator.score

    def spy(x, mask, training=False):
        seen.append(np.array(mask))
        return score(x, mask)

    model.discriminator.score = spy
    objective(model, data)
    assert len(seen) == 2
    for mask in seen:
        same_bits(mask, np.repeat(TOP, 2, axis=0))


def test_one_answer():
    model = tiny(Paired)
    y, mask = observations(model.measurement, 3)
    samples = model.inpaint(y, mask, num_samples=3, seed=[1, 2, 3])
    for k in range(3):
        same_bits(samples[:, k], samples[:, 0])
    np.testing.assert_allclose(model.mean(y, mask), samples[:, 0], atol=1e-6)
    np.testing.assert_allclose(model.predict(y, verbose=0), samples[:, 0], atol=1e-6)
    model.compile()
    scores = model.evaluate({"observation": y, "clean": images(3)}, verbose=0, return_dict=True)
    assert scores["std"] < 1e-5
    assert scores["mse"] == pytest.approx(scores["mse_mean"])
    assert scores["mse"] == pytest.approx(((samples[:, 0] - images(3)) ** 2).mean(), rel=1e-4)
