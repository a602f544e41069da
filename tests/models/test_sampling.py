"""Observed pixels, seeds, batches and masks in everything that reconstructs; scores by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai import random
from keras_uai.measurements import DropPixel
from keras_uai.models.sampling import pair_std
from tests.testing import array, images, observations, same_bits, tiny_uai


@pytest.fixture(scope="module")
def model():
    """With large weights at the end, so that samples differ and some leave [-1, 1]."""
    keras.utils.set_random_seed(0)
    model = tiny_uai(generator={"fill": True})
    kernel = model.generator.get_layer("decoder").get_layer("head_image").kernel
    kernel.assign(kernel * 20.0)
    return model


@pytest.fixture(scope="module")
def batch(model):
    return observations(model.measurement, 7)


def assert_observed(x, y, mask):
    """`x` is `y` to the last bit wherever `mask` is 1; `x` may have an axis of samples."""
    if x.ndim == 5:
        for k in range(x.shape[1]):
            assert_observed(x[:, k], y, mask)
        return
    seen = np.broadcast_to(mask == 1, y.shape)
    same_bits(array(x)[seen], np.asarray(y, "float32")[seen])
    assert (array(x)[~seen] != 0).mean() > 0.5 or seen.all()
    assert np.abs(x).max() <= 1.0


# -- observed pixels --------------------------------------------------------------------------------


def test_every_way_to_reconstruct_keeps_the_observed_pixels(model, batch):
    y, mask = batch
    assert_observed(model.inpaint(y, num_samples=3), y, mask)
    assert_observed(array(model(y)), y, mask)
    assert_observed(model.predict(y, batch_size=3, verbose=0), y, mask)
    assert_observed(
        array(model.sample(tf.constant(y), tf.constant(mask), np.arange(7), 2)), y, mask
    )


@pytest.mark.parametrize("count", [3, 4])
def test_antithetic_samples_come_in_pairs_of_z_and_minus_z(model, batch, monkeypatch, count):
    y, mask = batch
    seen, decode = [], model.generator.decode
    monkeypatch.setattr(
        model.generator, "decode", lambda f, z: seen.append(array(z)) or decode(f, z)
    )
    monkeypatch.setattr(model, "compile_function", lambda function: function)
    monkeypatch.setitem(vars(model), "_compiled_functions", {})
    pairs = model.inpaint(y, num_samples=count, seed=3, antithetic=True)
    apart = model.inpaint(y, num_samples=count, seed=3)
    z, independent = (v.reshape(len(y), count, -1) for v in seen)
    np.testing.assert_allclose(z[:, 1], -z[:, 0], atol=1e-6)
    np.testing.assert_allclose(z[:, ::2], independent[:, : (count + 1) // 2], atol=1e-5)
    assert (np.abs(z).max((1, 2)) > 0).all()
    np.testing.assert_allclose(pairs[:, 0], apart[:, 0], atol=1e-6)
    assert_observed(pairs, y, mask)


def test_an_explicit_mask_wins(model, batch):
    """Pixels that the mask calls missing are invented although y has a value there, and unseen."""
    y, mask = batch
    fewer = mask * array(DropPixel(0.5).masks(np.arange(7), 16, 16, seed=9))
    hidden = np.where(fewer == 1, y, np.float32(0))
    data = {"observation": y, "mask": fewer}
    assert_observed(model.inpaint(y, fewer, num_samples=2), hidden, fewer)
    assert_observed(array(model(data)), hidden, fewer)
    assert_observed(model.predict(data, batch_size=3, verbose=0), hidden, fewer)
    same_bits(model.inpaint(y, fewer, num_samples=2), model.inpaint(hidden, fewer, num_samples=2))
    same_bits(model.inpaint(y, fewer[..., 0]), model.inpaint(y, fewer))
    same_bits(model.inpaint(y, fewer.astype(bool)), model.inpaint(y, fewer))


def test_a_mask_may_call_grey_pixels_observed(model):
    y = np.zeros((1, 16, 16, 3), "float32")
    mask = np.ones((1, 16, 16, 1), "float32")
    assert (model.inpaint(y, mask, num_samples=2) == 0).all()
    assert (model.inpaint(y, num_samples=2) != 0).any()


def test_nan_under_the_mask_is_no_news(model, batch):
    y, mask = batch
    garbage = np.where(mask == 1, y, np.float32(np.nan))
    same_bits(model.inpaint(garbage, mask), model.inpaint(y, mask))


@pytest.mark.parametrize("tau", [-1.0, 0.3, -9.0])
def test_other_values_of_missing_pixels(tau):
    model = tiny_uai(DropPixel(0.5, tau=tau))
    y, mask = observations(model.measurement, 3)
    assert (y == np.float32(tau)).mean() > 0.4
    x = model.inpaint(y, num_samples=2)
    assert_observed(x, np.where(mask == 1, y, 0.5), mask)
    assert (x[:, 0][np.broadcast_to(mask == 0, y.shape)] != tau).mean() > 0.9
    same_bits(model.inpaint(y, mask, num_samples=2), x)


def test_observed_pixels_under_mixed_float16():
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny_uai()
    y, mask = observations(model.measurement, 3)
    for x in (model.inpaint(y, num_samples=2), array(model(y)), model.predict(y, verbose=0)):
        assert x.dtype == np.float32
        assert_observed(x, y, mask)


# -- seeds and batches ------------------------------------------------------------------------------


def test_samples_depend_on_the_seed_alone(model, batch):
    y, _ = batch
    x = model.inpaint(y, num_samples=3, seed=5)
    assert x.shape == (7, 3, 16, 16, 3)
    assert x.dtype == np.float32
    same_bits(model.inpaint(y, num_samples=3, seed=5), x)
    same_bits(model.inpaint(y, num_samples=3, seed=np.arange(5, 12)), x)
    assert (model.inpaint(y, num_samples=3, seed=6) != x).any()
    # as do those of an unseen length: the first samples stay what they were
    np.testing.assert_allclose(model.inpaint(y, num_samples=5, seed=5)[:, :3], x, atol=1e-5)


def test_samples_of_an_image_differ(model, batch):
    y, mask = batch
    x = model.inpaint(np.repeat(y[:1], 3, axis=0), num_samples=4)
    flat = x.reshape(12, -1)
    distances = np.abs(flat[:, None] - flat[None]).max(-1)
    assert (distances[~np.eye(12, dtype=bool)] > 1e-3).all()  # also across equal images
    assert x.std(1)[:, mask[0, ..., 0] == 0].mean() > 1e-3


def test_samples_do_not_depend_on_the_batch(model, batch):
    y, mask = batch
    x = model.inpaint(y, num_samples=3, seed=5)
    for size in (1, 2, 7, 100):
        np.testing.assert_allclose(
            model.inpaint(y, num_samples=3, seed=5, batch_size=size), x, atol=1e-5
        )
    order = np.array([6, 2, 0])
    some = model.inpaint(y[order], mask[order], num_samples=3, seed=5 + order)
    np.testing.assert_allclose(some, x[order], atol=1e-5)


def test_batch_norm_uses_its_averages_here():
    """Otherwise an image's samples would depend on its companions."""
    model = tiny_uai(networks={"normalization": "batch"})
    model.compile()
    y, _ = observations(model.measurement, 4)
    model.train_step(y)
    weights = model.get_weights()
    x = model.inpaint(y, num_samples=2, batch_size=4)
    np.testing.assert_allclose(model.inpaint(y[:1], num_samples=2), x[:1], atol=1e-5)
    for a, b in zip(weights, model.get_weights(), strict=True):
        same_bits(a, b)


def test_noise_of_samples_is_not_the_noise_of_masks_under_the_same_seed(model, monkeypatch):
    """An image's mask and its z once came from the same bits (correlation 0.78)."""
    seen = []

    def normal(keys, shape):
        seen.append(array(keys))
        return tf.zeros((len(keys), *shape))

    monkeypatch.setattr(random, "normal", normal)
    model.sample(tf.zeros((7, 16, 16, 3)), tf.zeros((7, 16, 16, 1)), np.arange(7), 7)
    of_masks = array(random.key(np.arange(7)[:, None], np.arange(7)[None])).reshape(-1, 2)
    assert not {tuple(k) for k in seen[0]} & {tuple(k) for k in of_masks}
    assert len(np.unique(seen[0], axis=0)) == 49


def test_seeds_of_any_size(model, batch):
    y, _ = batch
    for seed in (2**31 - 1, 2**40, -3):
        assert model.inpaint(y[:2], num_samples=1, seed=seed).shape == (2, 1, 16, 16, 3)


# -- the average, the mean --------------------------------------------------------------------------


def test_the_average_reconstructs_where_there_is_one():
    model = tiny_uai(average_decay=0.9)
    y, mask = observations(model.measurement, 2)
    before = model.inpaint(y, num_samples=2)
    kernel = model.generator.get_layer("decoder").get_layer("head_image").kernel
    kernel.assign(kernel * 3.0)
    same_bits(model.inpaint(y, num_samples=2), before)
    average = model.generator_average.get_layer("decoder").get_layer("head_image").kernel
    average.assign(average * 3.0)
    after = model.inpaint(y, num_samples=2)
    assert (after != before).any()
    assert_observed(after, y, mask)


def test_mean_is_that_of_the_generator(batch):
    y, mask = batch
    model = tiny_uai(generator={"fill": True, "predicts_mean": True})
    mean = model.mean(y, batch_size=3)
    assert mean.shape == y.shape
    assert_observed(mean, y, mask)
    expected = np.clip(array(model.generator.observe(tf.constant(y), tf.constant(mask))[-1]), -1, 1)
    np.testing.assert_allclose(mean, np.where(mask == 1, y, expected), atol=1e-5)


def test_mean_needs_a_generator_that_predicts_one(model, batch):
    with pytest.raises(ValueError, match="predicts_mean=True"):
        model.mean(batch[0])


# -- scores -----------------------------------------------------------------------------------------


def test_pair_std_by_hand():
    x_1 = np.zeros((1, 1, 3, 1), "float32")
    x_2 = np.array([3.0, 1.0, 9.0], "float32").reshape(1, 1, 3, 1)
    mask = np.array([0.0, 0.0, 1.0], "float32").reshape(1, 1, 3, 1)
    # variances of two values: half the squared difference; the observed pixel does not count
    assert float(pair_std(x_1, x_2, mask)) == pytest.approx(np.sqrt((4.5 + 0.5) / 2))
    assert float(pair_std(x_1, x_2, np.ones_like(mask))) == pytest.approx(0, abs=1e-5)


def test_pair_std_estimates_the_standard_deviation():
    x_1, x_2 = np.random.default_rng(0).normal(scale=0.7, size=(2, 50, 16, 16, 3)).astype("float32")
    assert float(pair_std(x_1, x_2, np.zeros((50, 16, 16, 1), "float32"))) == pytest.approx(
        0.7, rel=0.02
    )


def test_evaluate_scores_two_samples(batch):
    y, mask = batch
    model = tiny_uai()
    model.compile()
    x = images(7)
    dataset = tf.data.Dataset.from_tensor_slices({"observation": y, "clean": x}).batch(7)
    scores = model.evaluate(dataset, verbose=0, return_dict=True)
    keys = model.evaluation_keys(7)
    samples = [
        np.where(
            mask == 1,
            y,
            np.clip(
                model.generator([tf.constant(y), tf.constant(mask), model.draw_z(keys, i)]), -1, 1
            ),
        )
        for i in range(2)
    ]
    assert set(scores) == {"mse", "mse_mean", "std"}
    assert scores["mse"] == pytest.approx(np.mean((samples[0] - x) ** 2), rel=1e-4)
    assert scores["mse_mean"] == pytest.approx(np.mean((np.mean(samples, 0) - x) ** 2), rel=1e-4)
    missing = 0.5 * (samples[0] - samples[1]) ** 2 * (1 - mask)
    assert scores["std"] == pytest.approx(np.sqrt(missing.sum() / (3 * (1 - mask).sum())), rel=1e-3)
    assert set(model.evaluate(y, verbose=0, return_dict=True)) == {"std"}
    again = model.evaluate(dataset, verbose=0, return_dict=True)
    assert again == scores  # evaluation has no state


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": lambda y: y[0]}, r"Received: shape \(16, 16, 3\)"),
        ({"y": lambda y: y[:0]}, r"Received: shape \(0, 16, 16, 3\)"),
        ({"y": lambda y: y[..., :1]}, r"Received: shape \(7, 16, 16, 1\)"),
        ({"y": lambda y: y * 2}, r"\[-1, 1\].*Received: values from -2.0 to"),
        ({"y": lambda y: (y + 1) * 127.5}, "Received: values from 0.0 to 255.0"),
        ({"y": lambda y: np.where(y > 0.5, np.nan, y)}, "Received: NaN"),
        ({"y": lambda y: {"observation": y}}, r"Received: a dict with \['observation'\]"),
        ({"mask": lambda m: m[:3]}, r"Received: \(3, 16, 16, 1\)"),
        ({"mask": lambda m: m * 255}, "Received: values from 0.0 to 255.0"),
        ({"mask": lambda m: m * 0.5}, "Received: values from 0.0 to 0.5"),
        ({"num_samples": 0}, "Received: num_samples=0"),
        ({"num_samples": 2.5}, "Received: num_samples=2.5"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"seed": 1.5}, "Received: seed=1.5"),
        ({"seed": [1, 2]}, r"one an image \(7\)\. Received: shape \(2,\)"),
    ],
)
def test_arguments_that_cannot_be(model, batch, change, message):
    y, mask = batch
    arguments = {"y": y, "mask": mask if "mask" in change else None}
    for name, value in change.items():
        arguments[name] = value(arguments[name]) if callable(value) else value
    with pytest.raises(ValueError, match=message):
        model.inpaint(**arguments)
