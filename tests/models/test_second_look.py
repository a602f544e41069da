"""The second look: by hand, with a generator whose answers are known, and a gain that is known too."""

import keras
import numpy as np
import pytest

from keras_uai import random
from keras_uai.models.second_look import places
from tests.testing import array, images, observations, run_on_jax, same_bits, tiny_uai

LOOKING = {"fill": True, "anchor": True, "predicts_mean": True}


@pytest.fixture
def model():
    """With large weights at the end, so that samples differ."""
    keras.utils.set_random_seed(0)
    model = tiny_uai(generator=LOOKING)
    for name, head in (("decoder", "head_image"), ("observer", "mean_head_image")):
        kernel = model.generator.get_layer(name).get_layer(head).kernel
        kernel.assign(kernel * 10.0)
    return model


class Known:
    """Stands in for a generator: its mean is y, or 0; draws are `factor` times z around it."""

    predicts_mean, z_dim = True, 16 * 16 * 3

    def __init__(self, factor):
        self.factor, self.calls = factor, []

    def observe(self, y, mask, training=False):
        self.calls.append((array(y), array(mask)))
        return [y * mask]

    def decode(self, features, z, training=False):
        return features[-1] + self.factor * keras.ops.reshape(z, (-1, 16, 16, 3))


# -- which pixels are read ----------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [1, 2, 4, 16])
def test_one_pixel_of_each_cell(cell):
    found = array(places(random.key(0, np.arange(3)), 16, cell))
    assert found.shape == (3, 16, 16, 1)
    cells = found.reshape(3, 16 // cell, cell, 16 // cell, cell).sum((2, 4))
    np.testing.assert_array_equal(cells, np.ones_like(cells))


def test_places_are_uniform_and_independent_of_the_batch():
    found = array(places(random.key(5, np.arange(2000)), 8, 4))
    share = found.mean(0)[..., 0]
    assert np.abs(share - 1 / 16).max() < 5 * np.sqrt(15 / 256 / 2000)
    together = (found[:, :4, :4] * found[:, :4, 4:]).mean(0)
    assert together.max() < 1 / 256 + 5 * np.sqrt(1 / 256 / 2000)
    same_bits(places(random.key(5, np.arange(7, 9)), 8, 4), found[7:9])


# -- a sample -----------------------------------------------------------------------------------------


def test_a_sample_is_the_mean_of_y_and_of_what_is_read(model):
    """By hand: the drawing of one look, read where `places` says, and `observe` again."""
    y, mask = observations(model.measurement, 4)
    keys = random.key(3, np.arange(4))
    generator = model.generator
    features = generator.observe(y, mask)
    mean, image = array(features[-1]), array(generator.decode(features, model.latent(keys)))
    np.testing.assert_allclose(mean * mask, y * mask, atol=1e-6)  # anchored
    model.set_look(4, 1.5)
    read = np.maximum(mask, array(places(keys, 16, 4)))
    values = np.where(read == 1, mean + 1.5 * (image - mean), 0).astype("float32")
    wanted = np.clip(array(generator.observe(np.where(mask == 1, y, values), read)[-1]), -1, 1)
    np.testing.assert_allclose(array(model.reconstruct(y, mask, keys)), wanted, atol=1e-5)
    assert np.abs(wanted - np.clip(image, -1, 1)).max() > 0.1


def test_observed_pixels_samples_and_pairs(model):
    y, mask = observations(model.measurement, 4)
    model.set_look(4, 1.5)
    samples = model.inpaint(y, num_samples=3, seed=1)
    seen = np.broadcast_to(mask[:, None] == 1, samples.shape)
    same_bits(samples[seen], np.broadcast_to(y[:, None], samples.shape)[seen])
    assert samples.std(axis=1)[np.broadcast_to(mask == 0, y.shape)].mean() > 0.01
    np.testing.assert_allclose(
        model.inpaint(y[2:3], num_samples=3, seed=3), samples[2:3], atol=1e-5
    )
    pair = model.inpaint(y, num_samples=2, seed=1, antithetic=True)
    np.testing.assert_allclose(pair[:, 0], samples[:, 0], atol=1e-6)


def test_nothing_is_read_into_the_mean(model):
    """The single best answer has nothing to do with looks."""
    y, _ = observations(model.measurement, 3)
    before = model.mean(y)
    model.set_look(4, 2.0)
    same_bits(model.mean(y), before)


def test_another_look_counts_at_once(model):
    """Also for what was compiled before it was set."""
    y, _ = observations(model.measurement, 4)
    found = []
    for look in ((None, 1.0), (4, 1.0), (4, 3.0), (2, 3.0), (None, 1.0)):
        model.set_look(*look)
        found.append((model.inpaint(y, num_samples=1), model.predict(y, verbose=0)))
    for kind in range(2):
        same_bits(found[0][kind], found[4][kind])
        for i in range(1, 4):
            assert not np.allclose(found[i][kind], found[i - 1][kind])


def test_a_look_is_saved(model, tmp_path):
    y, _ = observations(model.measurement, 2)
    model.set_look(8, 1.25)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.look_cell, loaded.look_gain) == (8, 1.25)
    np.testing.assert_allclose(loaded.inpaint(y), model.inpaint(y), atol=1e-6)


# -- the gain -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_the_gain_that_is_fitted_is_the_right_one(model, monkeypatch, gain):
    """All pixels are read, the mean is 0, and draws have 1 / gain times the spread of the data."""
    rng = np.random.default_rng(0)
    x = np.clip(rng.normal(0, 0.2, (400, 16, 16, 3)), -1, 1).astype("float32")
    x[x == 0] = 0.1
    mask = array(model.measurement.masks(np.arange(400), 16, 16))
    batches = [x[i : i + 50] * mask[i : i + 50] for i in range(0, 400, 50)]
    monkeypatch.setattr(model, "generator", Known(0.2 / gain))
    monkeypatch.setattr(model, "compile_function", lambda function: function)
    model.set_look(1, 1.0)
    found = model.fit_look_gain(batches, images=220)
    assert model.look_gain == found["look_gain"] == pytest.approx(gain, rel=0.05)
    assert found["spread_skill"] == pytest.approx(1, abs=0.02)
    assert found["images"] == 220
    assert found["hidden_pixels"] == pytest.approx(0.1 * mask[:220].sum(), rel=0.1)
    half = model.fit_look_gain(batches, spread_skill=0.5)
    assert half["look_gain"] < 0.7 * found["look_gain"]


class FarAndNear(Known):
    """Draws of an image of which nothing is seen have a spread of their own."""

    def __init__(self, near, far):
        super().__init__(None)
        self.near, self.far = near, far

    def observe(self, y, mask, training=False):
        sees = keras.ops.max(mask, axis=(1, 2, 3), keepdims=True)
        return [keras.ops.where(sees > 0, self.near, self.far), y * mask]

    def decode(self, features, z, training=False):
        return features[-1] + features[0] * keras.ops.reshape(z, (-1, 16, 16, 3))


def test_far_pixels_count_where_a_model_has_learned_to_see_nothing(model, monkeypatch):
    """Near pixels ask for a gain of 2, far ones for 1/2. Of two samples of variance v around an error of variance s,
    spread / skill is sqrt(1.5 v / (s + v / 2)); at a gain of 1.19 the two ratios have the product 1.
    """
    x = np.clip(np.random.default_rng(0).normal(0, 0.2, (200, 16, 16, 3)), -1, 1).astype("float32")
    monkeypatch.setattr(model, "generator", FarAndNear(0.1, 0.4))
    monkeypatch.setattr(model, "compile_function", lambda function: function)
    model.set_look(1, 1.0)
    batch = {"observation": x, "mask": np.ones((200, 16, 16, 1), "float32")}
    assert model.fit_look_gain([batch])["look_gain"] == pytest.approx(2.0, rel=0.05)
    model.hide_all = 0.25
    found = model.fit_look_gain([batch])
    assert found["look_gain"] == pytest.approx(1.19, rel=0.05)
    assert found["hidden_pixels"] == pytest.approx(1.8 * 200 * 16 * 16, rel=0.05)


def test_the_fit_looks_at_nothing_hidden_and_nothing_clean(model, monkeypatch):
    x = images(20)
    mask = array(model.measurement.masks(np.arange(20), 16, 16))
    known = Known(0.3)
    monkeypatch.setattr(model, "generator", known)
    monkeypatch.setattr(model, "compile_function", lambda function: function)
    model.set_look(1, 1.0)
    batch = {"observation": x * mask, "mask": mask, "clean": np.full_like(x, np.nan)}
    model.fit_look_gain([batch], batch_size=200)
    y_seen, mask_seen = known.calls[0]
    assert (mask_seen <= mask).all()
    assert 0.05 < 1 - mask_seen.sum() / mask.sum() < 0.15
    same_bits(y_seen, np.where(mask_seen == 1, x, np.float32(0)))


def test_a_fit_is_repeatable(model):
    model.set_look(4, 1.0)
    y, _ = observations(model.measurement, 30)
    first = model.fit_look_gain([y], spread_skill=0.2)
    model.set_look(4, 1.0)
    again = model.fit_look_gain([y[:10], y[10:]], spread_skill=0.2, batch_size=14)
    assert again == pytest.approx(first, rel=1e-3)


# -- what cannot be -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "gain", "message"),
    [
        (3, 1.0, "look_cell=3"),
        (32, 1.0, "look_cell=32"),
        (0, 1.0, "look_cell=0"),
        (2.0, 1.0, "look_cell=2.0"),
        (4, 0.0, "look_gain=0.0"),
        (4, float("nan"), "look_gain=nan"),
    ],
)
def test_looks_that_cannot_be(model, cell, gain, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        model.set_look(cell, gain)
    assert (model.look_cell, model.look_gain) == (None, 1.0)


def test_a_look_needs_a_mean():
    with pytest.raises(ValueError, match="Received: look_cell=4 and a generator without"):
        tiny_uai(look_cell=4)


def test_fits_that_cannot_be(model):
    y, mask = observations(model.measurement, 2)
    with pytest.raises(ValueError, match="set_look"):
        model.fit_look_gain([y])
    model.set_look(4)
    with pytest.raises(ValueError, match="empty data set"):
        model.fit_look_gain([])
    with pytest.raises(ValueError, match=r"Nothing was hidden.*Received: 2 images, hide=0\.1"):
        model.fit_look_gain([{"observation": y, "mask": np.zeros_like(mask)}])


def test_a_gain_that_no_samples_have(model, monkeypatch):
    """Samples that never differ, as after little training: the gain is as it was, and the message says why."""
    monkeypatch.setattr(model, "generator", Known(0.0))
    monkeypatch.setattr(model, "compile_function", lambda function: function)
    model.set_look(1, 1.5)
    batch = {"observation": images(20), "mask": np.ones((20, 16, 16, 1), "float32")}
    with pytest.raises(ValueError, match=r"No gain from 0\.1 to 10.*Received: 0 times at 10"):
        model.fit_look_gain([batch])
    assert model.look_gain == 1.5
    for wrong in ({"hide": 1.5}, {"hide": 0}, {"spread_skill": -1.0}):
        with pytest.raises(ValueError, match=f"Received: {next(iter(wrong))}="):
            model.fit_look_gain([batch], **wrong)


# -- the other backend --------------------------------------------------------------------------------


def test_jax_takes_the_same_look(model, tmp_path):
    pytest.importorskip("jax")
    y, _ = observations(model.measurement, 6)
    model.set_look(4, 1.0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "y.npy", y)
    code = f"""
import keras, numpy as np, keras_uai
model = keras.saving.load_model(r"{tmp_path / "model.keras"}")
y = np.load(r"{tmp_path / "y.npy"}")
np.save(r"{tmp_path / "before.npy"}", model.inpaint(y, num_samples=2))
print(model.fit_look_gain([y], spread_skill=0.2)["look_gain"])
np.save(r"{tmp_path / "after.npy"}", model.inpaint(y, num_samples=2))
"""
    printed = run_on_jax(code, tmp_path / "cache")
    np.testing.assert_allclose(
        np.load(tmp_path / "before.npy"), model.inpaint(y, num_samples=2), atol=1e-4
    )
    fitted = model.fit_look_gain([y], spread_skill=0.2)["look_gain"]
    assert float(printed.split()[-1]) == pytest.approx(fitted, rel=1e-3)
    np.testing.assert_allclose(
        np.load(tmp_path / "after.npy"), model.inpaint(y, num_samples=2), atol=1e-3
    )
