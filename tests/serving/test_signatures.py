"""An export answers as the Keras model does, whatever batch an image travels in."""

import numpy as np
import pytest

from keras_uai.serving import Limits
from tests.testing import images, observations, same_bits, tiny_uai

tf = pytest.importorskip("tensorflow")


def served(model, signature, weights="float32", encodes=False, **arrays):
    """The answer of a signature that is not written to disk."""
    from keras_uai.serving.signatures import Served

    functions = Served(model, weights, encodes, Limits(), webp=True).functions()
    return {name: value.numpy() for name, value in functions[signature](**arrays).items()}


def damaged(count, height, width, seed=0, share=0.5):
    """Random images and masks of any size, with noise under the mask."""
    image = images(count, (height, width, 3), seed)
    mask = np.random.default_rng(seed).random((count, height, width, 1)) < share
    return image, mask.astype("float32")


def test_samples_and_mean_are_the_models(tiny, serve):
    y, mask = observations(tiny.measurement, 3)
    seeds, num_samples = [5, -6, 2**40], [3, 1, 2]
    found = serve("serving_default", image=y, mask=mask, seed=seeds, num_samples=num_samples)
    samples = tiny.inpaint(y, mask, 3, seeds)
    np.testing.assert_allclose(found["samples"], samples, atol=1e-5)
    np.testing.assert_allclose(found["mean"], tiny.mean(y, mask), atol=1e-5)
    wanted = [
        samples[0].std(0, ddof=1).mean(-1),
        np.zeros((16, 16)),
        samples[2, :2].std(0, ddof=1).mean(-1),
    ]
    np.testing.assert_allclose(found["std"], wanted, atol=1e-5)


def test_e_is_the_models(tiny, serve):
    y, mask = observations(tiny.measurement, 3)
    found = serve("encode", image=y, mask=mask)
    mean, log_variance = tiny.encoder.encode(y, mask)
    np.testing.assert_allclose(found["mean"], mean, atol=1e-5)
    np.testing.assert_allclose(found["log_variance"], log_variance, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (23, 12)])
def test_the_batch_does_not_matter(serve, size):
    image, mask = damaged(4, *size)
    seeds, num_samples = np.array([3, 3, 1, 9]), np.array([2, 1, 4, 3])
    together = serve("serving_default", image=image, mask=mask, seed=seeds, num_samples=num_samples)
    for i in (3, 0):
        alone = serve(
            "serving_default", image=image[i : i + 1], mask=mask[i : i + 1], seed=seeds[i : i + 1],
            num_samples=num_samples[i : i + 1],
        )  # fmt: skip
        for name in ("mean", "std"):
            np.testing.assert_allclose(alone[name][0], together[name][i], atol=1e-5)
        wanted = together["samples"][i, : num_samples[i]]
        np.testing.assert_allclose(alone["samples"][0], wanted, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (7, 40), (1, 1)])
def test_observed_pixels_are_untouched(serve, size):
    image, mask = damaged(2, *size)
    image[mask[..., 0] < 0.5] = np.nan  # what lies under the mask is not looked at
    found = serve("serving_default", image=image, mask=mask, seed=[0, 1], num_samples=[2, 2])
    assert found["samples"].shape == (2, 2, *size, 3)
    assert found["mean"].shape == (2, *size, 3)
    assert found["std"].shape == (2, *size)
    observed = mask[..., 0] > 0.5
    for k in range(2):
        same_bits(found["samples"][:, k][observed], image[observed])
    same_bits(found["mean"][observed], image[observed])
    assert not found["std"][observed].any()
    for value in found.values():
        assert np.isfinite(value).all()
        assert np.abs(value).max() <= 1.0


def test_8_bits(serve):
    image, mask = damaged(2, 20, 14)
    pixels = np.random.default_rng(1).integers(0, 256, image.shape).astype("uint8")
    draws = {"seed": [4, 5], "num_samples": [2, 2]}
    found = serve("uint8", image=pixels, mask=mask * 255, **draws)
    wanted = serve("serving_default", image=pixels / np.float32(127.5) - 1, mask=mask, **draws)
    assert found["samples"].dtype == found["mean"].dtype == np.uint8
    for name in ("samples", "mean"):
        back = np.rint((wanted[name] + 1) * 127.5)
        np.testing.assert_array_equal(found[name], back)
    np.testing.assert_allclose(found["std"], wanted["std"], atol=1e-6)
    ones = serve("uint8", image=pixels, mask=mask, **draws)  # 1 is observed where nothing is larger
    same_bits(ones["samples"], found["samples"])


def test_8_bits_come_back():
    from keras_uai.serving import encoded

    every = tf.range(256)
    back = encoded.to_uint8(encoded.to_float(tf.cast(every, "uint8")))
    np.testing.assert_array_equal(back, every)


@pytest.mark.parametrize("observed", [0, 1])
def test_nothing_and_everything_observed(serve, observed):
    image, mask = images(1), np.full((1, 16, 16, 1), observed)
    found = serve("serving_default", image=image, mask=mask, seed=[0], num_samples=[2])
    assert np.isfinite(found["samples"]).all()
    assert (found["std"].max() > 0) == (not observed)
    if observed:
        same_bits(found["samples"][0, 1], image[0])


def test_a_generator_without_a_mean_gives_its_samples_mean():
    model = tiny_uai(image_shape=(16, 16, 1))
    y, mask = observations(model.measurement, 2, (16, 16, 1))
    found = served(
        model, "serving_default", image=y, mask=mask, seed=tf.constant([1, 2], "int64"), num_samples=[3, 2],
    )  # fmt: skip
    samples = model.inpaint(y, mask, 3, [1, 2])
    np.testing.assert_allclose(found["samples"], samples, atol=1e-5)
    wanted = [samples[0].mean(0), samples[1, :2].mean(0)]
    np.testing.assert_allclose(found["mean"], wanted, atol=1e-5)


def test_the_average_is_what_is_exported():
    model = tiny_uai(average_decay=0.9)
    for weight in model.generator.weights:
        weight.assign(0.0 * weight)
    y, mask = observations(model.measurement, 1)
    arrays = {"image": y, "mask": mask, "seed": tf.constant([0], "int64"), "num_samples": [1]}
    found = served(model, "serving_default", **arrays)["samples"]
    np.testing.assert_allclose(found, model.inpaint(y, mask, 1, [0]), atol=1e-5)


def test_float16_kernels_cost_little():
    model = tiny_uai(generator={"predicts_mean": True})
    y, mask = observations(model.measurement, 2)
    arrays = {"image": y, "mask": mask, "seed": tf.constant([0, 1], "int64"), "num_samples": [2, 2]}
    found = served(model, "serving_default", "float16", **arrays)
    wanted = model.inpaint(y, mask, 2)
    np.testing.assert_allclose(found["samples"], wanted, atol=5e-3)
    assert np.abs(found["samples"] - wanted).max() > 0
