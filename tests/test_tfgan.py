"""TF-GAN loads through keras_uai.tfgan and computes known values; its absence gives advice."""

import subprocess
import sys

import numpy as np
import pytest

from keras_uai import tfgan


def test_losses_have_the_values_of_tf_gans_own_tests():
    import tensorflow as tf

    real, fake = tf.constant([-5.0, 1.4, 12.5, 2.7]), tf.constant([10.0, 4.4, -5.5, 3.6])
    wargs = tfgan.losses.wargs
    assert float(wargs.wasserstein_hinge_discriminator_loss(real, fake)) == pytest.approx(6.75)
    assert float(wargs.wasserstein_hinge_generator_loss(fake)) == pytest.approx(-3.125)


def test_frechet_distance_of_shifted_activations():
    activations = np.random.default_rng(0).normal(size=(50, 4))
    distance = tfgan.eval.frechet_classifier_distance_from_activations(activations, activations + 2)
    assert float(distance) == pytest.approx(4 * 2**2)


def test_absence_gives_advice(monkeypatch):
    monkeypatch.setattr(tfgan, "available", lambda: False)
    with pytest.raises(ImportError, match="pip install tensorflow-gan"):
        _ = tfgan.eval


def test_a_part_that_does_not_load_names_what_is_missing(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tensorflow_gan.python.eval")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    with pytest.raises(ImportError, match="tensorflow-hub"):
        _ = tfgan.eval


def test_modules_load_at_their_first_use_and_leave_nothing_lent():
    code = (
        "import sys; from keras_uai import tfgan; assert 'tensorflow_gan' not in sys.modules;"
        "sys.modules['setuptools'] = None; tfgan.eval; assert 'pkg_resources' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
