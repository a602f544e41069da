"""`inpaint`, `predict_mean`, `predict`, `evaluate`: values, seeds, batches, sizes, masks."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.measurements import DropPixel
from keras_uai.models import UAI, inference
from keras_uai.models.logs import pair_std
from keras_uai.values import ValueScaling
from tests.testing import array, images, observations, same_bits, tiny, tiny_uai

ANY = {"image_shape": (None, None, 3)}
LEVELS = {"levels": 2, "space_to_depth": 2}


def made(**kwargs):
    """Returns a model with large weights at the end: samples differ, and some leave [-1, 1]."""
    keras.utils.set_random_seed(0)
    model = tiny_uai(**kwargs)
    kernel = model.generator.get_layer("decoder").get_layer("head_image").kernel
    kernel.assign(kernel * (600.0 if model.generator.predicts_mean else 20.0))
    return model


@pytest.fixture(scope="module")
def model():
    parts = {"input_fill": "push_pull", "residual_conditioning": True, "predicts_mean": True}
    return made(generator=parts, sampler="TwoStage(4, 1.5)", networks=LEVELS, **ANY)


@pytest.fixture(scope="module")
def batch(model):
    return observations(model.measurement, 7, (14, 18, 3))


def assert_observed(x, y, mask):
    """`x` `(N, [K,] H, W, C)` is bit-equal to `y` where observed, and filled elsewhere."""
    x = array(x)
    for k in range(x.shape[1] if x.ndim == 5 else 1):
        image = x[:, k] if x.ndim == 5 else x
        seen = np.broadcast_to(mask == 1, y.shape)
        same_bits(image[seen], y[seen])
        assert seen.all() or (image[~seen] != 0).mean() > 0.5


def test_absurd_numbers_of_samples_are_refused_at_once(model, batch):
    with pytest.raises(ValueError, match=r"GB of samples do not fit .*num_samples=10000000000000"):
        model.inpaint(batch[0], num_samples=10**13)


# -- observed values -------------------------------------------------------------------------------


def test_everything_that_reconstructs_keeps_observed_values(model, batch):
    y, mask = batch
    tensors = tf.constant(y), tf.constant(mask)
    for x in (
        model.inpaint(y, num_samples=3),
        model.predict_mean(y),
        model(y),
        model.predict(y, batch_size=3, verbose=0),
        model.inference.sample(*tensors, np.arange(7), 2),
        model.inference.mean(*tensors),
    ):
        assert_observed(x, y, mask)
        assert np.abs(x).max() <= 1.0
        assert array(x).dtype == np.float32
    np.testing.assert_allclose(model.inference.mean(*tensors), model.predict_mean(y), atol=1e-5)
    graph = model.inference.sample(*tensors, np.arange(3, 10), 2)
    np.testing.assert_allclose(graph, model.inpaint(y, num_samples=2, seed=3), atol=1e-5)


def test_tensors_are_arrays(model):
    y, mask = observations(model.measurement, 2, (13, 22, 3))
    tensors = tf.constant(y), tf.constant(mask)
    same_bits(model.predict_mean(*tensors), model.predict_mean(y, mask))


def test_integers_without_a_mask_are_refused(model):
    y = np.zeros((1, 13, 22, 3), "uint8")
    with pytest.raises(ValueError, match=r"integers need a mask .* Received: uint8 without"):
        model.inpaint(y)
    masked = np.ma.masked_array(y, np.broadcast_to(np.arange(22)[:, None] < 5, y.shape))
    assert model.inpaint(masked, num_samples=1).dtype == "uint8"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_integers_come_back_in_their_dtype(model, dtype):
    """The samples are those of the encoded floats, decoded; observed values do not change."""
    scaling = ValueScaling(dtype)
    v = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (3, 13, 22, 3), dtype)
    v[0, :2] = [[[0]], [[np.iinfo(dtype).max]]]
    mask = array(model.measurement.masks(np.arange(3), 13, 22))
    x = model.inpaint(v, mask, num_samples=2)
    assert x.dtype == dtype
    assert_observed(x, v, mask)
    encoded = scaling.encode(v) * mask
    expected = scaling.decode(model.inpaint(encoded, mask, num_samples=2))
    expected = np.where(mask[:, None] == 1, v[:, None], expected)
    same_bits(x, expected)
    mean = model.predict_mean(v, mask)
    assert_observed(mean, v, mask)
    assert model.inpaint(v, np.zeros_like(mask), num_samples=1).dtype == dtype


@pytest.mark.usefixtures("eagerly")
def test_floats_of_other_units_are_not_clipped():
    values = ValueScaling("float32", location=[5.0], scale=[0.1])
    model = made(values=values, image_shape=(16, 16, 1), generator={"input_fill": "push_pull"})
    y = 40 * images(2, (16, 16, 1))
    mask = array(model.measurement.masks(np.arange(2), 16, 16))
    x = model.inpaint(y, mask, num_samples=2)
    assert_observed(x, y, mask)
    assert np.abs(x[:, 0][mask == 0]).max() > 2
    assert_observed(model({"observation": y * mask, "mask": mask}), y, mask)


@pytest.mark.usefixtures("eagerly")
def test_observed_values_under_mixed_float16():
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny_uai()
    y, mask = observations(model.measurement, 3)
    for x in (model.inpaint(y, num_samples=2), model(y), model.predict(y, verbose=0)):
        assert array(x).dtype == np.float32
        assert_observed(x, y, mask)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("tau", [-1.0, 0.3, -9.0])
def test_other_values_of_missing_pixels(tau):
    model = tiny_uai(DropPixel(0.5, tau=tau))
    y, mask = observations(model.measurement, 3)
    assert (y == np.float32(tau)).mean() > 0.4
    x = model.inpaint(y, num_samples=2)
    assert_observed(x, np.where(mask == 1, y, 0.5), mask)
    assert (x[:, 0][np.broadcast_to(mask == 0, y.shape)] != tau).mean() > 0.9
    same_bits(model.inpaint(y, mask, num_samples=2), x)


# -- masks -----------------------------------------------------------------------------------------


def test_an_explicit_mask_wins(model, batch):
    """Pixels that the mask calls missing are filled and unseen although y has a value there."""
    y, mask = batch
    fewer = mask * array(DropPixel(0.5).masks(np.arange(7), 14, 18, seed=9))
    hidden = np.where(fewer == 1, y, np.float32(0))
    data = {"observation": y, "mask": fewer}
    x = model.inpaint(y, fewer, num_samples=2)
    assert_observed(x, hidden, fewer)
    same_bits(x, model.inpaint(hidden, fewer, num_samples=2))
    same_bits(model.predict_mean(y, fewer), model.predict_mean(hidden, fewer))
    for found in (model(data), model.predict(data, batch_size=3, verbose=0)):
        assert_observed(found, hidden, fewer)
    for form in (fewer[..., 0], fewer.astype(bool), (255 * fewer).astype("uint8")):
        same_bits(model.inpaint(y, form, num_samples=2), x)
    one = model.inpaint(y, fewer[0, ..., 0], num_samples=2)
    same_bits(one, model.inpaint(y, np.repeat(fewer[:1], 7, axis=0), num_samples=2))


def test_missing_values_may_be_nan_or_masked(model, batch):
    y, mask = batch
    x = model.inpaint(y, mask, num_samples=2)
    garbage = np.where(mask == 1, y, np.float32(np.nan))
    masked = np.ma.masked_array(np.where(mask == 1, y, 7), np.broadcast_to(mask == 0, y.shape))
    for given in ((garbage, mask), (garbage,), (masked,)):
        same_bits(model.inpaint(*given, num_samples=2), x)


def test_a_mask_may_call_grey_pixels_observed(model):
    y, mask = np.zeros((1, 16, 16, 3), "float32"), np.ones((1, 16, 16, 1), "float32")
    assert (model.inpaint(y, mask, num_samples=2) == 0).all()
    assert (model.inpaint(y, num_samples=2) != 0).any()


# -- seeds, batches, sizes -------------------------------------------------------------------------


def test_samples_depend_on_the_seed_alone(model, batch):
    y, _ = batch
    x = model.inpaint(y, num_samples=3, seed=5)
    assert x.shape == (7, 3, 14, 18, 3)
    same_bits(model.inpaint(y, num_samples=3, seed=5), x)
    same_bits(model.inpaint(y, num_samples=3, seed=np.arange(5, 12)), x)
    assert (model.inpaint(y, num_samples=3, seed=6) != x).any()
    more = model.inpaint(y, num_samples=5, seed=5)
    np.testing.assert_allclose(more[:, :3], x, atol=1e-5)
    for seed in (2**31 - 1, 2**40, -3):
        assert np.isfinite(model.inpaint(y[:2], num_samples=1, seed=seed)).all()


def test_samples_of_an_image_differ(model, batch):
    y, mask = batch
    x = model.inpaint(np.repeat(y[:1], 3, axis=0), np.repeat(mask[:1], 3, axis=0), num_samples=4)
    flat = x.reshape(12, -1)
    distances = np.abs(flat[:, None] - flat[None]).max(-1)
    assert (distances[~np.eye(12, dtype=bool)] > 1e-3).all()  # also of equal images
    assert x.std(1)[:, mask[0, ..., 0] == 0].mean() > 1e-3


def test_samples_do_not_depend_on_batch_or_chunk(model, batch, monkeypatch):
    y, mask = batch
    x = model.inpaint(y, mask, num_samples=3, seed=5)
    mean = model.predict_mean(y, mask)
    order = np.array([6, 2, 0])

    def check():
        for size in (1, 2, 7, 100):
            found = model.inpaint(y, mask, num_samples=3, seed=5, batch_size=size)
            np.testing.assert_allclose(found, x, atol=1e-5)
        some = model.inpaint(y[order], mask[order], num_samples=3, seed=5 + order)
        np.testing.assert_allclose(some, x[order], atol=1e-5)
        np.testing.assert_allclose(model.predict_mean(y, mask, batch_size=3), mean, atol=1e-5)

    check()
    monkeypatch.setattr(inference, "PIXELS", 600)  # two images, or one image's two samples, at once
    monkeypatch.setattr(inference, "TILE", 8)
    check()


@pytest.mark.usefixtures("eagerly")
def test_batch_norm_uses_its_averages():
    """Otherwise an image's samples would depend on its batch."""
    model = tiny_uai(networks={"normalization": "batch"})
    model.compile()
    y, _ = observations(model.measurement, 4)
    model.train_step(y)
    weights = model.get_weights()
    x = model.inpaint(y, num_samples=2, batch_size=4)
    np.testing.assert_allclose(model.inpaint(y[:1], num_samples=2), x[:1], atol=1e-5)
    for a, b in zip(weights, model.get_weights(), strict=True):
        same_bits(a, b)


@pytest.mark.parametrize("size", [(1, 1), (5, 32), (33, 21)])
def test_images_of_any_size(model, size):
    """Padding is unobserved pixels at the bottom and the right, which are cut off again."""
    y, mask = observations(model.measurement, 2, (*size, 3))
    x = model.inpaint(y, mask, num_samples=2, seed=1)
    assert_observed(x, y, mask)
    pads = [[0, 0], [0, -size[0] % 4], [0, -size[1] % 4], [0, 0]]
    padded = model.inpaint(np.pad(y, pads), np.pad(mask, pads), num_samples=2, seed=1)
    np.testing.assert_allclose(padded[:, :, : size[0], : size[1]], x, atol=1e-5)
    assert_observed(model.predict_mean(y, mask), y, mask)
    assert_observed(model.predict({"observation": y, "mask": mask}, verbose=0), y, mask)


# -- the average of the weights, the mean ----------------------------------------------------------


@pytest.mark.usefixtures("eagerly")
def test_the_average_reconstructs_where_there_is_one():
    model = tiny_uai(ema_decay=0.9)
    y, mask = observations(model.measurement, 2)
    before = model.inpaint(y, num_samples=2)
    kernels = [
        g.get_layer("decoder").get_layer("head_image").kernel
        for g in (model.generator, model.ema_generator)
    ]
    kernels[0].assign(kernels[0] * 3.0)
    same_bits(model.inpaint(y, num_samples=2), before)
    kernels[1].assign(kernels[1] * 3.0)
    after = model.inpaint(y, num_samples=2)
    assert (after != before).any()
    assert_observed(after, y, mask)


def test_the_mean_is_that_of_the_generator(model, batch):
    y, mask = batch
    pads = [[0, 0], [0, 2], [0, 2], [0, 0]]
    mean = model.generator.observe(np.pad(y, pads), np.pad(mask, pads))["mean"]
    expected = np.where(mask == 1, y, np.clip(array(mean)[:, :14, :18], -1, 1))
    np.testing.assert_allclose(model.predict_mean(y, mask), expected, atol=1e-5)
    assert (model.predict_mean(y) != model.inpaint(y, num_samples=1)[:, 0]).any()


def test_a_mean_needs_a_generator_that_predicts_one():
    model = tiny_uai()
    y, mask = observations(model.measurement, 1)
    for attempt in (model.predict_mean, lambda y: model.inference.mean(y, mask)):
        with pytest.raises(ValueError, match=r"predicts_mean=True.*inpaint\(y, num_samples=K\)"):
            attempt(y)


# -- scores ----------------------------------------------------------------------------------------


def test_pair_std_by_hand():
    """Variances of two values are half the squared difference; observed pixels do not count."""
    x_1 = np.zeros((1, 1, 3, 1), "float32")
    x_2 = np.array([3.0, 1.0, 9.0], "float32").reshape(1, 1, 3, 1)
    mask = np.array([0.0, 0.0, 1.0], "float32").reshape(1, 1, 3, 1)
    assert float(pair_std(x_1, x_2, mask)) == pytest.approx(np.sqrt((4.5 + 0.5) / 2))
    assert float(pair_std(x_1, x_2, np.ones_like(mask))) == pytest.approx(0, abs=1e-5)


def test_pair_std_estimates_the_standard_deviation():
    pair = np.random.default_rng(0).normal(scale=0.7, size=(2, 50, 16, 16, 3)).astype("float32")
    missing = np.zeros((50, 16, 16, 1), "float32")
    assert float(pair_std(*pair, missing)) == pytest.approx(0.7, rel=0.02)


def test_models_in_one_process_do_not_count_as_retracing():
    """TensorFlow warns of a function that is traced often, and takes equal code for one function."""

    class Network:
        def double(self, x):
            return 2.0 * x

    warned = []
    handler = logging.Handler()
    handler.emit = warned.append
    logging.getLogger("tensorflow").addHandler(handler)
    try:
        for _ in range(8):
            function = inference.Inference(None).compiled("double", Network().double)
            assert float(function(np.float32(3.0))) == 6.0
    finally:
        logging.getLogger("tensorflow").removeHandler(handler)
    assert not warned


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": lambda y: y[0]}, r"Received: shape \(14, 18, 3\)"),
        ({"y": lambda y: y[:0]}, r"Received: shape \(0, 14, 18, 3\)"),
        ({"y": lambda y: y[..., :1]}, r"Received: shape \(7, 14, 18, 1\)"),
        ({"y": lambda y: y * 2}, r"\[-1, 1\].*Received: values from -2.0 to"),
        ({"y": lambda y: (y + 1) * 127.5}, "Received: values from 0.0 to 255.0"),
        ({"y": lambda y: np.where(y > 0.5, np.inf, y)}, "Received: infinite values"),
        ({"y": lambda y: y.astype("int32")}, "Received: an array of int32"),
        ({"y": lambda y: {"observation": y}}, r"Received: a dict with \['observation'\]"),
        ({"mask": lambda m: m[:3]}, r"Received: shape \(3, 14, 18, 1\)"),
        ({"mask": lambda m: m * 255}, "Received: float32 values from 0.0 to 255.0"),
        ({"mask": lambda m: m * 0.5}, "Received: float32 values from 0.0 to 0.5"),
        ({"num_samples": 0}, "Received: num_samples=0"),
        ({"num_samples": 2.5}, "Received: num_samples=2.5"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"seed": 1.5}, "Received: seed=1.5"),
        ({"seed": [1, 2]}, r"one an image \(7\)\. Received: seed=\[1, 2\]"),
    ],
)
def test_other_arguments_are_refused(model, batch, change, message):
    y, mask = batch
    arguments = {"y": y, "mask": mask if "mask" in change else None}
    for name, value in change.items():
        arguments[name] = value(arguments[name]) if callable(value) else value
    with pytest.raises(ValueError, match=message):
        model.inpaint(**arguments)


def test_a_model_of_fixed_size_takes_its_size_only():
    model = tiny(UAI)
    with pytest.raises(
        ValueError, match=r"shape \(N, 16, 16, 3\).*Received: shape \(1, 16, 20, 3\)"
    ):
        model.inpaint(images(1, (16, 20, 3)))
