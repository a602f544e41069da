"""MisGAN: its two games by hand, who learns from which, and its imputer's noise."""

import keras
import numpy as np
import pytest

from keras_uai.models import MisGAN
from tests.models.oracles import by_hand, constant, masks_shown, objective
from tests.testing import observations, same_bits, tiny

GENERATED = {"generator": constant(0.75), "data_generator": constant(-0.5)}
NETWORKS = ("generator", "data_generator", "discriminator", "imputer_discriminator")


def test_two_games_by_hand():
    """y: 0.25 in the upper half; y_tilde: -0.5 in the left half; x_tilde: 0.25 above, 0.75 below."""
    model, data = by_hand(MisGAN, {"gan": 2.0, "imputer": 3.0}, **GENERATED)
    d_loss, g_loss, logs = objective(model, data)
    first, second = (1 - 0.125) + (1 - 0.25), (1 + 0.5) + (1 + 0.5)
    expected = {
        "d_loss": first + second,
        "gan_loss": 0.25,
        "d_y": 0.125,
        "d_y_tilde": -0.25,
        "imputer_d_loss": second,
        "imputer_gan_loss": -0.5,
        "imputer_d_x": -0.5,
        "imputer_d_x_tilde": 0.5,
        "g_loss": 2 * 0.25 - 3 * 0.5,
    }
    std = logs.pop("std")
    assert std == pytest.approx(0, abs=1e-5)
    assert logs == pytest.approx(expected)
    assert (d_loss, g_loss) == pytest.approx((expected["d_loss"], expected["g_loss"]))


def test_the_critic_of_the_imputer_sees_whole_images():
    model, data = by_hand(MisGAN, **GENERATED)
    seen = masks_shown(model, "imputer_discriminator", data)
    assert len(seen) == 2
    assert all((mask == 1).all() for mask in seen)


def stepped(weights):
    """Weights of every network after a step of gradient descent, and before it."""
    keras.utils.set_random_seed(0)
    model = tiny(MisGAN)
    model.compile(
        keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0), "minimax", loss_weights=weights
    )
    before = {n: getattr(model, n).get_weights() for n in NETWORKS}
    logs = model.train_step(observations(model.measurement, 4)[0])
    assert set(logs) <= set(model.log_names())
    return before, {n: getattr(model, n).get_weights() for n in NETWORKS}


def moved(before, after):
    return {
        n for n in NETWORKS if any((a != b).any() for a, b in zip(before[n], after[n], strict=True))
    }


def test_each_game_moves_its_players_and_they_do_not_mix():
    before, both = stepped({})
    assert moved(before, both) == set(NETWORKS)
    data_game, imputer_game = stepped({"imputer": 0.0})[1], stepped({"gan": 0.0})[1]
    assert moved(before, data_game) == {"data_generator", "discriminator"}
    assert moved(before, imputer_game) == {"generator", "imputer_discriminator"}
    for name in NETWORKS:  # what a game does to its players, it does whether or not the other is on
        alone = (data_game if name in ("data_generator", "discriminator") else imputer_game)[name]
        for a, b in zip(both[name], alone, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_noise_takes_the_place_of_missing_pixels():
    model, _ = by_hand(MisGAN, **GENERATED)
    shown = []
    model.generator.observe = lambda y, mask, training=False: shown.append(np.array(y)) or [y]
    y, mask = observations(model.measurement, 50, (16, 16, 1))
    model.reconstruct(y, mask, model.step_keys(50))
    (shown,) = shown
    observed = mask == 1
    same_bits(shown[observed], y[observed])
    omega = shown[~observed]
    assert -1 <= omega.min() < -0.99
    assert 0.99 < omega.max() <= 1
    assert abs(omega.mean()) < 5 * np.sqrt(1 / 3 / omega.size)
    assert omega.var() == pytest.approx(1 / 3, rel=0.03)
    assert len(np.unique(omega)) > 0.99 * omega.size


def test_antithetic_noise():
    model, _ = by_hand(MisGAN, **GENERATED)
    shown = []
    model.generator.observe = lambda y, mask, training=False: shown.append(np.array(y)) or [y]
    y, mask = observations(model.measurement, 3, (16, 16, 1))
    keys = np.repeat(np.array(model.step_keys(3)), 2, axis=0)
    model.reconstruct(y, mask, keys, count=2, antithetic=True)
    first, second = shown[0][::2], shown[0][1::2]
    same_bits(second, np.where(mask == 1, y, -first))


def test_samples_differ_by_the_noise_alone():
    model = tiny(MisGAN)
    y, mask = observations(model.measurement, 3)
    samples = model.inpaint(y, mask, num_samples=3, seed=1)
    missing = np.broadcast_to(mask == 0, y.shape)
    assert (samples[:, 0] != samples[:, 1])[missing].mean() > 0.9
    np.testing.assert_allclose(
        model.inpaint(y[1:2], mask[1:2], 3, seed=2)[0], samples[1], atol=1e-6
    )
    assert not np.array_equal(model.generate(2)[0], model.generate(2)[1])
    with pytest.raises(ValueError, match="predicts no mean"):
        model.mean(y)


def test_a_fill_would_cover_the_noise():
    with pytest.raises(ValueError, match="MisGAN needs a generator with fill=False"):
        tiny(MisGAN, generator={"fill": True})


def test_presets_keep_both_generators(tmp_path):
    model = tiny(MisGAN)
    y, mask = observations(model.measurement, 2)
    model.save_to_preset(tmp_path / "misgan", serving=False, float16=False)
    keras.utils.set_random_seed(9)
    loaded = MisGAN.from_preset(tmp_path / "misgan")
    same_bits(loaded.inpaint(y, mask, 2), model.inpaint(y, mask, 2))
    same_bits(loaded.generate(2), model.generate(2))
