"""The adversarial losses against numbers typed by hand and against TF-GAN."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai import losses, tfgan
from keras_uai.losses import adversarial

# The logits of TF-GAN's own tests.
REAL = np.array([-5.0, 1.4, 12.5, 2.7], "float32")
FAKE = np.array([10.0, 4.4, -5.5, 3.6], "float32")
NAMES = ["hinge", "minimax", "least_squares"]


def test_hinge_of_tf_gans_tests():
    assert float(adversarial.hinge_discriminator(REAL, FAKE)) == pytest.approx(6.75)
    assert float(adversarial.hinge_generator(FAKE)) == pytest.approx(-3.125)


def test_minimax_by_hand():
    """sigmoid(log 3) = 3/4: D pays log 2 and log 4/3 a pair, G log 2 and log 4."""
    real, fake = np.array([0, np.log(3)]), np.array([0, -np.log(3)])
    assert float(adversarial.minimax_discriminator(real, fake)) == pytest.approx(0.980829, abs=1e-6)
    assert float(adversarial.minimax_generator(fake)) == pytest.approx(1.0397208, abs=1e-6)


def test_least_squares_by_hand():
    real, fake = np.array([1.0, 3.0]), np.array([0.0, -2.0])
    assert float(adversarial.least_squares_discriminator(real, fake)) == pytest.approx(2.0)
    assert float(adversarial.least_squares_generator(fake)) == pytest.approx(2.5)


def test_against_tf_gan():
    wargs = tfgan.losses.wargs
    real, fake = tf.constant(REAL), tf.constant(FAKE)
    expected = {
        "hinge": (
            wargs.wasserstein_hinge_discriminator_loss(real, fake),
            wargs.wasserstein_hinge_generator_loss(fake),
        ),
        "minimax": (
            wargs.minimax_discriminator_loss(real, fake, label_smoothing=0.0),
            wargs.modified_generator_loss(fake),
        ),
        "least_squares": (
            wargs.least_squares_discriminator_loss(real, fake),
            wargs.least_squares_generator_loss(fake),
        ),
    }
    assert sorted(expected) == sorted(NAMES)
    for name, pair in expected.items():
        discriminator, generator = losses.get(name)
        assert float(discriminator(real, fake)) == pytest.approx(float(pair[0]), rel=1e-5), name
        assert float(generator(fake)) == pytest.approx(float(pair[1]), rel=1e-5), name


@pytest.mark.parametrize("name", NAMES)
def test_gradients_have_the_right_sign(name):
    """D wants y up and y_tilde down, G wants y_tilde up; nothing is saturated at 0."""
    discriminator, generator = losses.get(name)
    with tf.GradientTape(persistent=True) as tape:
        real, fake = tf.Variable(tf.zeros(4)), tf.Variable(tf.zeros(4))
        d_loss, g_loss = discriminator(real, fake), generator(fake)
    assert (tape.gradient(d_loss, real) < 0).numpy().all() or name == "least_squares"
    assert (tape.gradient(g_loss, fake) < 0).numpy().all()
    with tf.GradientTape() as tape:
        fake = tf.Variable(tf.fill([4], 0.5))
        d_loss = discriminator(tf.ones(4), fake)
    assert (tape.gradient(d_loss, fake) > 0).numpy().all()
    with tf.GradientTape() as tape:
        real = tf.Variable(tf.fill([4], 0.5))
        d_loss = discriminator(real, tf.zeros(4))
    assert (tape.gradient(d_loss, real) < 0).numpy().all()


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_logits_give_float32_losses(name):
    discriminator, generator = losses.get(name)
    large = tf.constant([6e4, -6e4], tf.float16)
    for loss in (discriminator(large, large), generator(large)):
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
        assert np.isfinite(loss)


@pytest.mark.parametrize("name", ["wgan", None, ["hinge"]])
def test_error(name):
    with pytest.raises(
        ValueError, match=r"'hinge', 'least_squares', 'minimax'.*Received: gan_loss="
    ):
        losses.get(name)
