"""Properties of every model: updates, gradient accumulation, logs, supervision, saving."""

import keras
import numpy as np
import pytest

from keras_uai import models
from keras_uai.measurements import Patch
from keras_uai.sampling import TwoStage
from keras_uai.values import ValueScaling
from tests.models.oracles import gan_losses
from tests.testing import array, images, observations, run_serialization_test, same_bits, tiny

ZOO = {
    "Paired": (("generator",), ("discriminator",)),
    "Unpaired": (("generator", "encoder"), ("discriminator",)),
    "MisGAN": (("generator", "data_generator"), ("discriminator", "imputer_discriminator")),
    "AmbientGAN": (("generator",), ("discriminator",)),
    "UAIR": (("generator",), ("discriminator",)),
    "Splitting": (("generator",), ()),
}
every_model = pytest.mark.parametrize("name", ZOO)


def made(name, rates=None, **compiled):
    keras.utils.set_random_seed(0)
    model = tiny(getattr(models, name))
    optimizers = [keras.optimizers.SGD(rate) for rate in rates or ()]
    model.compile(*optimizers, gan_loss="minimax", **compiled)
    return model


def batch(model, count=4):
    y, mask = observations(model.measurement, count)
    data = {"observation": y, "mask": mask, "clean": images(count)}
    return {**data, "unpaired": images(count, seed=1)}


def test_these_are_all_models():
    found = {n for n in models.__all__ if n not in ("InpaintingModel", "UAI")}
    assert found == set(ZOO)


# -- steps ----------------------------------------------------------------------------------------


def without_effect(model, name):
    """Returns the weights of G without effect at z = 0: gains of z, layers of the style."""
    if model.stochastic and name != "MisGAN":  # the imputer's noise is in its input
        return set()
    parts = ("style_", "/affine/kernel", "_noise/")
    return {
        id(v) for v in model.generator.trainable_variables if any(part in v.path for part in parts)
    }


@every_model
@pytest.mark.parametrize("side", [0, 1], ids=["generators", "discriminators"])
def test_each_loss_updates_its_networks_only(name, side):
    model = made(name, (1.0, 0.0) if side == 0 else (0.0, 1.0))
    before = {id(v): array(v) for v in model.trainable_variables}
    logs = model.train_step(batch(model))
    assert set(logs) <= {"loss", *model.log_names()}
    assert all(np.isfinite(v) for v in logs.values())
    moved = {id(v) for v in model.trainable_variables if (before[id(v)] != array(v)).any()}
    networks = [getattr(model, network) for network in ZOO[name][side]]
    expected = {id(v) for network in networks for v in network.trainable_variables}
    assert moved == expected - without_effect(model, name)


@every_model
def test_accumulated_gradients_are_those_of_the_full_batch(name):
    after = []
    for parts in (1, 2):
        model = made(name, (1.0, 1.0), gradient_accumulation_steps=parts)
        model.train_step(batch(model))
        after.append([array(v) for v in model.trainable_variables])
    for a, b in zip(*after, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1.0, np.abs(a).max()))


@every_model
def test_every_trainable_weight_has_exactly_one_optimizer(name):
    model = made(name)
    every = model.generator_networks(every=True), model.discriminator_networks(every=True)
    for networks, names in zip(every, ZOO[name], strict=True):
        assert {id(n) for n in networks} == {id(getattr(model, n)) for n in names}
    owned = [id(v) for networks in every for n in networks for v in n.trainable_variables]
    assert sorted(owned) == sorted(id(v) for v in model.trainable_variables)
    optimizers = model.optimizer, model.discriminator_optimizer
    for optimizer, networks in zip(optimizers, every, strict=True):
        # Adam keeps one velocity for each weight that it updates.
        slots = [v for v in optimizer.variables if v.path.endswith("velocity")]
        assert len(slots) == sum(len(n.trainable_variables) for n in networks)


@pytest.mark.parametrize("gan_loss", ["hinge", "minimax", "least_squares"])
def test_adversarial_terms_by_hand(gan_loss):
    model = tiny(models.Paired)
    model.compile(gan_loss=gan_loss)
    real = np.array([-5, 1.4, 12.5, 2.7], "float32")
    fake = np.array([10, 4.4, -5.5, 3.6], "float32")
    d_loss, gan_loss, logs = model.adversarial_terms(real, fake, "x")
    assert (float(d_loss), float(gan_loss)) == pytest.approx(gan_losses(model.gan_loss, real, fake))
    assert float(logs["d_x"]) == pytest.approx(real.mean())
    assert float(logs["d_x_tilde"]) == pytest.approx(fake.mean())


# -- supervision ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "needed"), [("Paired", "clean"), ("Unpaired", "unpaired")])
def test_missing_supervision_is_an_error_before_training(name, needed):
    model = made(name)
    data = batch(model)
    lacking = {n: v for n, v in data.items() if n != needed}
    message = f"{name} is trained with supervision.*'{needed}'.*{needed}=True.*Received: .*observ"
    before = model.get_weights()
    for attempt in (lacking, data["observation"]):
        with pytest.raises(ValueError, match=message):
            model.fit(attempt, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        same_bits(a, b)
    assert int(model.step) == 0
    # Nothing but training needs it.
    assert model.inpaint(data["observation"], num_samples=1).shape == (4, 1, 16, 16, 3)
    assert "std" in model.test_step(lacking)


def test_models_without_supervision():
    for name in set(ZOO) - {"Paired", "Unpaired"}:
        assert not getattr(models, name).required_images


# -- saving ---------------------------------------------------------------------------------------


def state(model):
    optimizers = model.optimizer, model.discriminator_optimizer
    return [array(v) for v in (*model.variables, *(v for o in optimizers for v in o.variables))]


@every_model
@pytest.mark.usefixtures("eagerly")
def test_saved_loaded_and_resumed_is_bit_equal(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = tiny(getattr(models, name), ema_decay=0.9, networks={"normalization": "batch"})
    model.compile()
    data = batch(model)
    model.train_step(data)
    model.save(tmp_path / "m.keras")
    keras.utils.set_random_seed(9)
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.name == name.lower()
    for part in (model, loaded):
        part.train_step(data)
    found, expected = state(loaded), state(model)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        same_bits(a, b)
    y, mask = data["observation"], data["mask"]
    samples = model.inpaint(y, mask, num_samples=2)
    same_bits(loaded.inpaint(y, mask, num_samples=2), samples)
    observed = np.broadcast_to(mask[:, None] == 1, samples.shape)
    same_bits(samples[observed], np.broadcast_to(y[:, None], samples.shape)[observed])


@every_model
def test_every_argument_survives(name):
    cls = getattr(models, name)
    small = {"width": 8, "max_width": 8, "space_to_depth": 4}
    arguments = {
        "image_shape": (16, 16, 1),
        "measurement": Patch(3, 5, border=1, tau=0.25),
        "values": ValueScaling("float32", location=[1.0], scale=[2.0]),
        "latent_dim": 5,
        "ema_decay": 0.9,
        "seed": 7,
        "generator": {**small, "depth": 2},
        "name": "mine",
    }
    if name != "Splitting":
        arguments["discriminator"] = {**small, "mask_input": True}
    if name in ("Splitting", "Unpaired"):
        arguments |= {"split_ratio": (0.2, 0.3), "split_by_measurement": 0.4}
        arguments |= {"context_dropout": 0.1}
    if name == "Unpaired":
        arguments |= {"train_on_y_hat": True, "encoder": small, "energy_scales": (None, 4)}
        arguments |= {"sampler": TwoStage(stride=2, inflation=1.5), "sample_every": 2}
        arguments["generator"] |= {"predicts_mean": True}
    networks = {
        n: lambda m, n=n: m.get_config()[n] for n in ("generator", "discriminator", "encoder")
    }
    model = run_serialization_test(cls, arguments, networks)
    assert model.generator.depth == 2


def test_models_without_a_predicted_mean_refuse_one():
    for name in ("Paired", "UAIR", "Splitting"):
        with pytest.raises(ValueError, match=f"{name} needs a generator with predicts_mean=False"):
            tiny(getattr(models, name), generator={"predicts_mean": True})
