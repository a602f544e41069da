"""Small trainings on damaged images whose right answer is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.datasets import drawn_faces
from keras_uai.measurements import DropPixel, Empirical
from keras_uai.metrics import baselines
from keras_uai.models import UAI, recommended
from tests.testing import array

COLOUR = 0.6
NETWORK = {"width": 8, "max_width": 16, "space_to_depth": 4}


def trained(model, y, mask, steps, batch_size=32):
    batch = {"observation": y, "mask": mask}
    tf.random.set_seed(0)
    dataset = tf.data.Dataset.from_tensor_slices(batch).shuffle(len(y), seed=0)
    dataset = dataset.repeat().batch(batch_size)
    logs = model.fit(dataset, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return {name: values[-1] for name, values in logs.items()}


# -- the energy score: a hidden half that may have either colour ---------------------------------

SIDES = {"left": np.s_[:, :, :8], "right": np.s_[:, :, 8:]}


def halves(count, seed):
    """Images of two constant halves, each +COLOUR or -COLOUR, independently."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (count, 1, 2, 1))
    return (COLOUR * np.tile(signs.repeat(8, axis=2), (1, 16, 1, 1))).astype("float32")


def hides(side):
    mask = np.ones((1, 16, 16, 1), "float32")
    mask[SIDES[side]] = 0
    return mask


@pytest.fixture(scope="module")
def energetic():
    """A model trained by the energy score alone on 256 images.

    A quarter of them lacks its left half, and a quarter its right half. G never sees the pixels at
    which it is scored.
    """
    keras.utils.set_random_seed(0)
    whole = np.ones((1, 16, 16, 1), "float32")
    measurement = Empirical(np.concatenate([hides("left"), hides("right"), whole, whole]))
    mask = array(measurement.masks(np.arange(256), 16, 16))
    network = {**NETWORK, "normalization": "group"}
    model = UAI(
        (16, 16, 1),
        measurement,
        latent_dim=8,
        split_ratio=(0.3, 0.9),
        energy_scales=(None, 4),
        generator={
            **network,
            "spectral_normalization": False,
            "input_fill": "push_pull",
            "attention_level": None,
        },
        discriminator=network,
        encoder=network,
    )
    rate = keras.optimizers.schedules.CosineDecay(4e-3, 1200)
    optimizer = keras.optimizers.Adam(rate, beta_1=0.9, beta_2=0.99)
    weights = {"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0}
    model.compile(optimizer, loss_weights=weights)
    trained(model, halves(256, seed=0) * mask, mask, steps=1200)
    return model


@pytest.mark.parametrize("side", SIDES)
def test_both_colours_of_a_hidden_half_are_sampled(energetic, side):
    x, mask = halves(100, seed=1), np.repeat(hides(side), 100, axis=0)
    y = x * mask
    samples = energetic.inpaint(y, mask, num_samples=10)[:, :, *SIDES[side][1:]]
    truth = x[SIDES[side]]
    colours = samples.mean((2, 3, 4))
    # A sample has one colour, one of the two that exist, ...
    assert samples.std((2, 3, 4)).mean() < 0.2
    assert 0.4 < np.abs(colours).mean() < 0.8
    assert (np.abs(colours) > 0.3).mean() > 0.65
    # ... and both occur for nearly every image, about equally often, whatever half is seen.
    positive = (colours > 0).mean(1)
    assert ((positive > 0) & (positive < 1)).mean() > 0.85
    seen = x[SIDES["left" if side == "right" else "right"]].mean((1, 2, 3))
    for sign in (-1, 1):
        assert 0.2 < positive[np.sign(seen) == sign].mean() < 0.8
    # The samples spread as far as their mean is wrong.
    skill = ((samples.mean(1) - truth) ** 2).mean()
    spread = (11 / 10) * samples.var(1, ddof=1).mean()
    assert 0.7 < np.sqrt(spread / skill) < 1.35
    # The mean beats guesses from the other half, whose expected error is 2 COLOUR^2.
    for name in ("mean_colour", "nearest", "linear_interpolation"):
        guess = getattr(baselines, name)(y, mask)[SIDES[side]]
        assert skill < 0.8 * ((guess - truth) ** 2).mean(), name


def test_samples_agree_where_the_answer_is_certain(energetic):
    """A visible part of a half tells its colour: the spread shrinks, and the error more."""
    x, mask = halves(100, seed=2), np.repeat(hides("right"), 100, axis=0)
    free = energetic.inpaint(x * mask, mask, num_samples=6)
    mask[:, 4:12, 12:] = 1
    bound = energetic.inpaint(x * mask, mask, num_samples=6)
    missing = mask[0, ..., 0] == 0
    assert bound.std(1)[:, missing].mean() < 0.65 * free.std(1)[:, missing].mean()
    assert ((bound.mean(1) - x)[:, missing] ** 2).mean() < 0.35 * COLOUR**2


# -- the paper's terms: images of one of two colours, half of their pixels dropped ---------------


def plain(count, seed):
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (count, 1, 1, 1))
    return (COLOUR * np.tile(signs, (1, 16, 16, 1))).astype("float32")


def trained_adversarially(weights, steps):
    keras.utils.set_random_seed(0)
    measurement = DropPixel(0.5)
    mask = array(measurement.masks(np.arange(256), 16, 16))
    network = {**NETWORK, "normalization": "batch"}
    quiet = {"attention_level": None}
    model = UAI(
        (16, 16, 1),
        measurement,
        latent_dim=4,
        generator={**network, **quiet},
        discriminator={**network, **quiet, "normalization": None},
        encoder=network,
    )
    adam = [keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99) for rate in (1e-3, 4e-3)]
    model.compile(*adam, loss_weights=weights)
    x, seen = plain(50, seed=1), array(measurement.masks(np.arange(1000, 1050), 16, 16))
    missing = np.broadcast_to(seen == 0, x.shape)
    before = model.inpaint(x * seen, seen, num_samples=1)[:, 0][missing]
    logs = trained(model, plain(256, seed=0) * mask, mask, steps)
    after = model.inpaint(x * seen, seen, num_samples=1)[:, 0][missing]
    return before, after, x[missing], logs


def assert_learned(before, after, truth):
    """Samples are grey at first, and then have the colours of their images."""
    assert ((before - truth) ** 2).mean() == pytest.approx(COLOUR**2, rel=0.2)
    assert np.abs(after).mean() == pytest.approx(COLOUR, abs=0.25)
    assert (np.sign(after) == np.sign(truth)).mean() > 0.9
    assert ((after - truth) ** 2).mean() < 0.4 * COLOUR**2


def test_the_adversarial_term_alone_teaches_the_values_of_the_data():
    """Equation 5, no other term: no loss compares a pixel with its true value."""
    assert_learned(*trained_adversarially({"z": 0.0, "y": 0.0}, steps=100)[:3])


def test_the_papers_configuration():
    """Equation 8: also, y comes back from y_tilde and the latent that E predicts."""
    *values, logs = trained_adversarially({}, steps=300)
    assert_learned(*values)
    assert logs["y_squared_error"] < 0.3 * COLOUR**2
    assert all(np.isfinite(v) for v in logs.values())


# -- the recommended configuration: a tenth of the pixels is observed ------------------------------


def trained_as_recommended(x, test, steps):
    """Returns the model's answers to `test`, damaged like the training images x.

    Returns:
        `(y, mask, samples, mean)` of the test images.
    """
    keras.utils.set_random_seed(0)
    measurement = DropPixel(0.9)
    mask = array(measurement.masks(np.arange(len(x)), 16, 16))
    small = {"width": 16, "max_width": 32, "levels": 2}
    model = UAI.recommended(
        (None, None, x.shape[-1]),
        measurement,
        latent_dim=8,
        ema_decay=0.98,
        **dict.fromkeys(("generator", "discriminator", "encoder"), small),
    )
    rate = recommended.schedule(4e-3, steps)  # higher than recommended: the network is small
    adam = keras.optimizers.Adam(rate, recommended.BETA_1, recommended.BETA_2)
    model.compile(adam, loss_weights=recommended.LOSS_WEIGHTS)
    trained(model, x * mask, mask, steps, batch_size=16)
    with pytest.warns(UserWarning, match=f"uncertain.*trained for {steps} updates"):
        model.calibrate_spread([{"observation": (x * mask)[:256], "mask": mask[:256]}])
    mask = array(measurement.masks(np.arange(10_000, 10_000 + len(test)), 16, 16))
    y = test * mask
    return y, mask, model.inpaint(y, mask, num_samples=10), model.predict_mean(y, mask)


def faces(start, stop):
    return (drawn_faces.draw(np.arange(start, stop), 16) / 127.5 - 1).astype("float32")


def test_drawn_faces_are_better_than_interpolated_and_keep_their_diversity():
    x = faces(5000, 5064)
    y, mask, samples, mean = trained_as_recommended(faces(0, 2000), x, steps=400)
    missing = np.broadcast_to(mask == 0, x.shape)

    def error(images):
        return ((images - x) ** 2)[missing].mean()

    interpolation = error(baselines.linear_interpolation(y, mask))
    assert error(mean) < 0.88 * interpolation
    assert error(samples.mean(1)) < 0.9 * interpolation
    # Samples spread as far as their mean is wrong: one is nearly twice as wrong.
    spread = (11 / 10) * samples.var(1, ddof=1)[missing].mean()
    assert 0.8 < np.sqrt(spread / error(samples.mean(1))) < 1.2
    assert 1.5 < error(samples[:, 0]) / error(samples.mean(1)) < 2.4


def cells(count, seed):
    """Images of 4 x 4 cells of 4 x 4 pixels, each +COLOUR or -COLOUR, independently."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (count, 4, 4, 1))
    return (COLOUR * signs.repeat(4, axis=1).repeat(4, axis=2)).astype("float32")


def test_a_texture_is_certain_where_observed_and_diverse_elsewhere():
    """One observed pixel tells the colour of its cell; without any both colours are as likely."""
    x = cells(64, seed=1)
    y, mask, samples, mean = trained_as_recommended(cells(512, seed=0), x, steps=250)
    missing = mask == 0
    interpolation = baselines.linear_interpolation(y, mask)
    error, guess = (((v - x) ** 2)[missing].mean() for v in (mean, interpolation))
    assert error < 0.6 * guess

    def by_cell(v):
        return v.reshape(*v.shape[:-3], 4, 4, 4, 4)

    known = by_cell(mask).any((-3, -1))
    assert 0.1 < 1 - known.mean() < 0.25  # 0.9^16
    truth, expected = by_cell(x).mean((-3, -1)), by_cell(mean).mean((-3, -1))
    colours, inner = by_cell(samples).mean((-3, -1)), by_cell(samples).std((-3, -1))
    assert ((expected - truth)[known] ** 2).mean() < 0.1 * COLOUR**2
    assert (expected[~known] ** 2).mean() < 0.3 * COLOUR**2
    unknown = colours.swapaxes(0, 1)[:, ~known]
    assert np.abs(unknown).mean() > 0.5 * COLOUR
    assert 0.35 < (unknown > 0).mean() < 0.65
    assert inner.mean() < 0.3 * COLOUR
    assert unknown.std(0).mean() > 0.5 * COLOUR
    assert colours.std(1)[known].mean() < 0.5 * unknown.std(0).mean()
