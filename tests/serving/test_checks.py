"""What a client can put right comes back as an invalid argument that says what to do."""

import numpy as np
import pytest

from keras_uai.serving import Limits
from tests.testing import images

tf = pytest.importorskip("tensorflow")

IMAGE, MASK = images(2), np.ones((2, 16, 16, 1), "float32")


def changed(array, value):
    array = np.array(array)
    array[1, 3, 4, 0] = value
    return array


@pytest.mark.parametrize("signature", ["serving_default", "encode"])
@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (IMAGE, MASK[:1], "`mask` must have the shape of the images"),
        (IMAGE, MASK[:, :15], "`mask` must have the shape of the images"),
        (IMAGE[:0], MASK[:0], "nothing of it may be 0"),
        (IMAGE[:, :, :0], MASK[:, :, :0], "nothing of it may be 0"),
        (changed(IMAGE, np.nan), MASK, "must be finite and lie in"),
        (changed(IMAGE, -np.inf), MASK, "must be finite and lie in"),
        (changed(IMAGE, 1.01), MASK, "v / 127.5 - 1"),
        (IMAGE * 127.5, MASK, "v / 127.5 - 1"),
        (IMAGE, changed(MASK, 0.5), "`mask` holds 1 where"),
        (IMAGE, changed(MASK, np.nan), "`mask` holds 1 where"),
        (IMAGE, 255 * MASK, "`mask` holds 1 where"),
        (np.zeros((1, 64, 63, 3)), np.zeros((1, 64, 63, 1)), "4000 pixels at most"),
    ],
)
def test_images(serve, signature, image, mask, message):
    draws = {"seed": np.zeros(len(image), int), "num_samples": np.ones(len(image), int)}
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        serve(signature, image=image, mask=mask, **({} if signature == "encode" else draws))
    assert message in str(error.value)


@pytest.mark.parametrize("signature", ["serving_default", "uint8"])
@pytest.mark.parametrize(
    ("seed", "num_samples", "message"),
    [
        ([0], [1, 1], "`seed` must hold one value an image"),
        ([0, 0], [1], "`num_samples` must hold one value an image"),
        ([0, 0], [1, 0], "`num_samples` must lie in"),
        ([0, 0], [-3, 1], "`num_samples` must lie in"),
        ([0, 0], [5, 1], "`num_samples` must lie in"),
    ],
)
def test_draws(serve, signature, seed, num_samples, message):
    image = IMAGE if signature != "uint8" else np.zeros(IMAGE.shape, int)
    mask = np.array(MASK, image.dtype)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        serve(signature, image=image, mask=mask, seed=seed, num_samples=num_samples)
    assert message in str(error.value)


def test_what_is_refused_is_not_begun(serve):
    """Samples without number are a terabyte, which a check that comes too late would ask for."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for signature in ("serving_default", "uint8"):
        test_draws(serve, signature, [0, 0], [2**31 - 1, 1], "must lie in")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes


def test_all_in_all(serve):
    image, mask = np.zeros((3, 60, 60, 3)), np.zeros((3, 60, 60, 1))
    with pytest.raises(tf.errors.InvalidArgumentError, match="40000 pixels at most: ask for fewer"):
        serve("serving_default", image=image, mask=mask, seed=[0, 0, 0], num_samples=[1, 1, 4])
    found = serve("serving_default", image=image, mask=mask, seed=[0, 0, 0], num_samples=[1, 1, 3])
    assert found["samples"].shape == (3, 3, 60, 60, 3)


@pytest.mark.parametrize("name", ["max_samples", "max_bytes", "max_pixels", "max_answer_pixels"])
def test_limits_are_positive(name):
    assert getattr(Limits(**{name: 7}), name) == 7
    with pytest.raises(ValueError, match=f"`{name}`"):
        Limits(**{name: 0})
