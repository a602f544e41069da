"""AmbientGAN: its term by hand, generated images, and that it learns them from damaged ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.measurements import DropPixel
from keras_uai.models import AmbientGAN
from tests.models.oracles import by_hand, compute_losses, constant
from tests.testing import array, observations, same_bits, tiny


def test_its_term_by_hand():
    """y: 0.25 in the upper half; y_tilde: 0.75 in the left half."""
    model, data = by_hand(AmbientGAN, {"gan": 2.0}, generator=constant(0.75))
    d_loss, g_loss, logs = compute_losses(model, data)
    assert d_loss == pytest.approx((1 - 0.125) + (1 + 0.375))
    assert g_loss == pytest.approx(2 * -0.375)
    assert (logs["d_y"], logs["d_y_tilde"]) == pytest.approx((0.125, 0.375))


@pytest.fixture(scope="module")
def model():
    return tiny(AmbientGAN)


def test_generate(model):
    images = model.generate(5, seed=3)
    assert images.shape == (5, 16, 16, 3)
    assert images.dtype == np.float32
    assert np.abs(images).max() <= 1
    assert (images[0] != images[1]).any()
    same_bits(images, model.generate(5, seed=3))
    same_bits(images, model.generate(5, seed=[3, 4, 5, 6, 7]))
    np.testing.assert_allclose(model.generate(2, seed=5, batch_size=1), images[2:4], atol=1e-6)


def test_inpaint_puts_y_into_images_that_do_not_depend_on_it(model):
    y, mask = observations(model.measurement, 4)
    samples = model.inpaint(y, mask, num_samples=2, seed=3)
    expected = np.where(mask == 1, y, model.generate(4, seed=3))
    np.testing.assert_allclose(samples[:, 0], expected, atol=1e-6)
    observed = np.broadcast_to(mask == 1, y.shape)
    same_bits(samples[:, 1][observed], y[observed])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"conditional": True}, "AmbientGAN needs a generator with conditional=False.*Received"),
        (
            {"input_fill": "push_pull"},
            "AmbientGAN needs a generator with input_fill=None.*Received",
        ),
        ({"predicts_mean": True}, "with predicts_mean=False.*Received"),
    ],
)
def test_other_generators_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(AmbientGAN, generator=arguments)


@pytest.mark.parametrize(("n", "seed"), [(0, 0), (2.0, 0), (2, 0.5), (2, [1, 2, 3])])
def test_other_counts_and_seeds_are_refused(model, n, seed):
    with pytest.raises(ValueError, match="Received"):
        model.generate(n, seed=seed)


def test_whole_images_are_learned_from_damaged_ones():
    """Images are light on the left and dark on the right; half of their pixels are missing.

    The generated images are whole: the learned constants tell places apart.
    """
    measurement = DropPixel(0.5)
    contrast = np.random.default_rng(0).uniform(0.5, 0.7, (256, 1, 1, 1))
    sides = np.where(np.arange(16) < 8, 1.0, -1.0).reshape(1, 1, 16, 1)
    x = np.tile(contrast * sides, (1, 16, 1, 1)).astype("float32")
    y = x * array(measurement.masks(np.arange(256), 16, 16))
    model = tiny(
        AmbientGAN,
        measurement,
        (16, 16, 1),
        generator={"normalization": "batch", "noise_channels": 0},
        discriminator={"normalization": None},
    )
    adam = [keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99) for rate in (1e-3, 4e-3)]
    model.compile(*adam)
    expected = 0.6 * np.broadcast_to(sides, (64, 16, 16, 1))
    before = np.abs(model.generate(64) - expected).mean()
    tf.random.set_seed(0)
    dataset = tf.data.Dataset.from_tensor_slices(y).shuffle(256, seed=0).repeat().batch(32)
    model.fit(dataset, steps_per_epoch=150, shuffle=False, verbose=0)
    images = model.generate(64)
    assert before > 0.55
    assert np.abs(images - expected).mean() < 0.25
    assert (np.sign(images) == np.sign(expected)).mean() > 0.95
