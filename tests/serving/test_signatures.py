"""An export answers as the Keras model does, at any size and in any batch."""

import json

import numpy as np
import pytest

from keras_uai.serving import Limits
from keras_uai.serving.contract import Contract
from tests.serving.conftest import tiny_model
from tests.serving.photographs import batch
from tests.testing import same_bits

tf = pytest.importorskip("tensorflow")


def test_samples_mean_and_std_are_the_models(tiny, serve):
    y, mask = batch(3)
    seeds, num_samples = [5, -6, 2**40], [4, 1, 2]
    found = serve("serving_default", y=y, mask=mask, seed=seeds, num_samples=num_samples)
    samples = tiny.inpaint(y, mask, 4, seeds)
    np.testing.assert_allclose(found["samples"], samples, atol=1e-5)
    np.testing.assert_allclose(found["mean"], tiny.predict_mean(y, mask), atol=1e-5)
    wanted = [samples[0].std(0, ddof=1), np.zeros((20, 30, 3)), samples[2, :2].std(0, ddof=1)]
    np.testing.assert_allclose(found["std"], wanted, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (23, 12), (1, 1), (7, 40)])
def test_the_batch_does_not_matter_and_observed_values_are_untouched(serve, size):
    y, mask = batch(4, size)
    y[mask[..., 0] < 0.5] = np.nan  # values under the mask do not matter
    seed, num_samples = np.array([3, 3, 1, 9]), np.array([2, 1, 4, 3])
    together = serve("serving_default", y=y, mask=mask, seed=seed, num_samples=num_samples)
    assert together["samples"].shape == (4, 4, *size, 3)
    assert together["mean"].shape == together["std"].shape == (4, *size, 3)
    observed = mask[..., 0] > 0.5
    for k in range(4):
        same_bits(together["samples"][:, k][observed], y[observed])
    same_bits(together["mean"][observed], y[observed])
    assert not together["std"][observed].any()
    assert all(np.isfinite(value).all() for value in together.values())
    for i in (3, 0):
        rows = {"y": y, "mask": mask, "seed": seed, "num_samples": num_samples}
        alone = serve("serving_default", **{name: v[i : i + 1] for name, v in rows.items()})
        for name in ("mean", "std"):
            np.testing.assert_allclose(alone[name][0], together[name][i], atol=1e-5)
        own = together["samples"][i, : num_samples[i]]
        np.testing.assert_allclose(alone["samples"][0], own, atol=1e-5)


def test_noise_of_a_tile_is_a_crop_of_the_images(serve):
    """Nothing is observed, so that the fill does not depend on the rest of the image."""
    y, mask = np.zeros((1, 60, 64, 3)), np.zeros((1, 60, 64, 1))
    rows = {"seed": [7], "num_samples": [2]}
    whole = serve("serving_default", y=y, mask=mask, **rows)["samples"]
    tile = serve("tile", y=y[:, :40, :44], mask=mask[:, :40, :44], origin=[[8, 20]], **rows)
    margin = 16  # of the receptive field
    np.testing.assert_allclose(
        tile["samples"][:, :, margin:-margin, margin:-margin],
        whole[:, :, 8 + margin : 48 - margin, 20 + margin : 64 - margin],
        atol=1e-5,
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="multiples of 2"):
        serve("tile", y=y, mask=mask, origin=[[0, 3]], **rows)


@pytest.mark.parametrize("observed", [0, 1])
def test_nothing_and_everything_observed(serve, observed):
    y, _ = batch(1)
    mask = np.full((1, 20, 30, 1), observed)
    found = serve("serving_default", y=y, mask=mask, seed=[0], num_samples=[2])
    assert np.isfinite(found["samples"]).all()
    assert (found["std"].max() > 0) == (not observed)


def test_the_contract_is_told(tiny, serve):
    (text,) = serve("describe", row=[0])["contract"]
    told = Contract.from_json(text)
    assert told.image_shape == (None, None, 3)
    assert (told.stride, told.mask_channels, told.values) == (2, 1, tiny.values)
    assert told.limits.max_samples == 4
    assert json.loads(told.to_json()) == json.loads(text)
    assert Contract.from_json(Contract.of(tiny).to_json()) == Contract.of(tiny)


def test_the_ema_generator_is_exported_and_without_a_mean_gives_its_samples_mean():
    from keras_uai.serving import signatures

    model = tiny_model((None, None, 1), generator={"predicts_mean": False}, ema_decay=0.9)
    for weight in model.generator.weights:
        weight.assign(0.0 * weight)
    y, mask = batch(2, channels=1)
    feed = {"y": y, "mask": mask, "seed": [1, 2], "num_samples": [3, 2]}
    _module, functions = signatures.build(model, Contract.of(model, Limits()))
    function = functions["serving_default"]
    specs = function.input_signature
    found = function(**{spec.name: tf.constant(feed[spec.name], spec.dtype) for spec in specs})
    samples = model.inpaint(y, mask, 3, [1, 2])
    np.testing.assert_allclose(found["samples"], samples, atol=1e-5)
    wanted = [samples[0].mean(0), samples[1, :2].mean(0)]
    np.testing.assert_allclose(found["mean"], wanted, atol=1e-5)
    assert samples.std(axis=1).max() > 0.01  # not the zeros of the other generator
