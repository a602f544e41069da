"""MisGAN: its two adversarial pairs by hand, their updates, and the imputer's noise."""

import keras
import numpy as np
import pytest

from keras_uai.models import MisGAN
from tests.models.oracles import by_hand, compute_losses, constant, scored_by
from tests.testing import array, observations, same_bits, tiny

GENERATED = {"generator": constant(0.75), "data_generator": constant(-0.5)}
NETWORKS = ("generator", "data_generator", "discriminator", "imputer_discriminator")


def test_both_pairs_by_hand():
    """y: 0.25 in the upper half; y_tilde: -0.5 on the left; x_tilde: 0.25 above, 0.75 below."""
    model, data = by_hand(MisGAN, {"gan": 2.0, "imputer": 3.0}, **GENERATED)
    d_loss, g_loss, logs = compute_losses(model, data)
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
    (x, x_mask), (x_tilde, x_tilde_mask) = scored_by(model.imputer_discriminator, model, data)
    assert (x == -0.5).all()
    assert (x_tilde[:, :8] == 0.25).all()
    assert (x_tilde[:, 8:] == 0.75).all()
    assert (x_mask == 1).all()
    assert (x_tilde_mask == 1).all()


def stepped(weights):
    """Returns every network's weights before and after a step of gradient descent."""
    keras.utils.set_random_seed(0)
    model = tiny(MisGAN)
    model.compile(
        keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0), "minimax", loss_weights=weights
    )
    before = {n: getattr(model, n).get_weights() for n in NETWORKS}
    logs = model.train_step(observations(model.measurement, 4)[0])
    assert set(logs) <= {"loss", *model.log_names()}
    return before, {n: getattr(model, n).get_weights() for n in NETWORKS}


def moved(before, after):
    return {
        n for n in NETWORKS if any((a != b).any() for a, b in zip(before[n], after[n], strict=True))
    }


def test_each_pair_is_updated_by_its_own_losses():
    before, both = stepped({})
    assert moved(before, both) == set(NETWORKS)
    data_pair = stepped({"imputer": 0.0})[1]
    imputer_pair = stepped({"gan": 0.0})[1]
    assert moved(before, data_pair) == {"data_generator", "discriminator"}
    assert moved(before, imputer_pair) == {"generator", "imputer_discriminator"}
    for name in NETWORKS:  # the same update, whether or not the other pair is trained
        alone = (data_pair if name in ("data_generator", "discriminator") else imputer_pair)[name]
        for a, b in zip(both[name], alone, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_noise_takes_the_place_of_missing_pixels():
    model, _ = by_hand(MisGAN, **GENERATED)
    inputs = []
    model.generator.observe = lambda y, mask, training=False: inputs.append(array(y)) or {"y": y}
    y, mask = observations(model.measurement, 50, (16, 16, 1))
    model.inference.reconstruct(y, mask, array(model.step_keys(50))[:, None])
    image = inputs[-1]
    observed = mask == 1
    same_bits(image[observed], y[observed])
    omega = image[~observed]
    assert -1 <= omega.min() < -0.99
    assert 0.99 < omega.max() <= 1
    assert abs(omega.mean()) < 5 * np.sqrt(1 / 3 / omega.size)
    assert omega.var() == pytest.approx(1 / 3, rel=0.03)
    assert len(np.unique(omega)) > 0.99 * omega.size


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
        model.predict_mean(y)


def test_a_fill_would_cover_the_noise():
    with pytest.raises(ValueError, match="MisGAN needs a generator with input_fill=None"):
        tiny(MisGAN, generator={"input_fill": "push_pull"})


def test_presets_keep_both_generators(tmp_path):
    model = tiny(MisGAN)
    y, mask = observations(model.measurement, 2)
    model.save_to_preset(tmp_path / "misgan", serving=False, float16=False)
    keras.utils.set_random_seed(9)
    loaded = MisGAN.from_preset(tmp_path / "misgan")
    same_bits(loaded.inpaint(y, mask, 2), model.inpaint(y, mask, 2))
    same_bits(loaded.generate(2), model.generate(2))
