"""`evaluate`: the same numbers from any batches, seeds an image, and clear words on bad data
sets.
"""

import numpy as np
import pytest

from keras_uai import metrics
from keras_uai.measurements import DropPixel
from keras_uai.metrics import baselines, evaluation


@pytest.fixture
def data():
    x = np.random.default_rng(0).integers(0, 256, (10, 12, 12, 3)) / 127.5 - 1
    x = x.astype("float32")
    mask = np.asarray(DropPixel(0.7).masks(np.arange(10), 12, 12))
    return {"observation": x * mask, "mask": mask, "clean": x}


def batches(data, size, keys=("observation", "mask", "clean")):
    return [
        {key: data[key][i : i + size] for key in keys} for i in range(0, len(data["clean"]), size)
    ]


def noise(y, mask, num_samples, seed):
    drawn = [
        np.random.default_rng(s).uniform(-1, 1, (num_samples, *y.shape[1:])).astype("float32")
        for s in seed
    ]
    return np.where(mask[:, None] > 0.5, y[:, None], np.stack(drawn))


def test_batches_change_nothing(data):
    assert metrics.evaluate(noise, batches(data, 10)) == metrics.evaluate(noise, batches(data, 3))


def test_the_mask_is_recovered_where_it_is_not_given(data):
    without = batches(data, 4, ("observation", "clean"))
    assert metrics.evaluate(noise, without) == metrics.evaluate(noise, batches(data, 4))


def test_a_measurement_recovers_its_own_masks(data):
    measurement = DropPixel(0.7, tau=-1.0)
    data["observation"] = np.asarray(measurement(data["clean"], data["mask"]))
    without = batches(data, 4, ("observation", "clean"))
    found = [
        batch["mask"]
        for batch in evaluation.sample_batches(noise, without, 2, measurement=measurement)
    ]
    assert np.array_equal(np.concatenate(found), data["mask"])


def test_seeds_are_of_images_and_of_the_evaluation(data):
    assert metrics.evaluate(noise, batches(data, 5), seed=1) != metrics.evaluate(
        noise, batches(data, 5), seed=0
    )
    seeds = evaluation.image_seeds(0, np.arange(1000))
    assert seeds.dtype == np.int64
    assert seeds.min() >= 0
    assert seeds.max() < 2**31
    assert len(np.unique(seeds)) == 1000
    assert np.array_equal(evaluation.image_seeds(0, [7]), seeds[7:8])


def test_a_limit_cuts_inside_a_batch_and_a_start_skips_nothing_of_the_rest(data):
    some = metrics.evaluate(noise, batches(data, 4), max_images=6)
    assert some["images"] == 6
    assert some == metrics.evaluate(noise, batches(data, 3), max_images=6)
    later = evaluation.sample_batches(noise, batches(data, 2)[3:], 2, first=6, max_images=9)
    assert [list(batch["position"]) for batch in later] == [[6, 7], [8]]


def test_a_baseline_is_evaluated_as_it_is(data):
    found = metrics.evaluate(baselines.as_sampler("nearest"), batches(data, 5), num_samples=2)
    expected = (baselines.nearest(data["observation"], data["mask"]) - data["clean"]) ** 2
    assert found["mse"] == pytest.approx(expected.mean(), rel=1e-6)
    assert found["std"] == 0


def test_tensors_are_taken(data):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(data).batch(4)
    assert metrics.evaluate(noise, dataset) == metrics.evaluate(noise, batches(data, 4))


def test_bad_data_sets_and_samplers_are_named(data):
    good = batches(data, 5)
    with pytest.raises(ValueError, match=r"clean=True.*Received: \['mask', 'observation'\]"):
        metrics.evaluate(noise, batches(data, 5, ("observation", "mask")))
    with pytest.raises(ValueError, match=r"clean=True.*Received: ndarray"):
        metrics.evaluate(noise, [data["clean"]])
    with pytest.raises(ValueError, match="empty"):
        metrics.evaluate(noise, [])
    with pytest.raises(ValueError, match=r"same shape.*clean of shape"):
        metrics.evaluate(noise, [{**good[0], "clean": good[0]["clean"][:, :6]}])
    with pytest.raises(ValueError, match=r"\(5, 10, 12, 12, 3\).*Received: samples of shape"):
        metrics.evaluate(lambda y, mask, num_samples, seed: y, good)
    with pytest.raises(ValueError, match="NaN"):
        metrics.evaluate(lambda *a, **k: noise(*a, **k) * np.nan, good)


def test_held_out_pixels_are_hidden_known_and_scored(data):
    measurement = DropPixel(0.7)
    damaged = batches(data, 4, ("observation",))
    made = evaluation.holdout(damaged, measurement, 0.3)
    found = list(made)
    whole = {key: np.concatenate([batch[key] for batch in found]) for key in found[0]}
    assert np.array_equal(whole["known"], data["mask"])
    assert (whole["mask"] <= whole["known"]).all()
    hidden = 1 - whole["mask"].sum() / whole["known"].sum()
    assert hidden == pytest.approx(0.3, abs=0.1)
    assert np.array_equal(whole["observation"], data["observation"] * whole["mask"])
    assert np.array_equal(whole["clean"], data["observation"])
    again = list(evaluation.holdout(batches(data, 3, ("observation", "mask")), measurement, 0.3))
    assert np.array_equal(np.concatenate([batch["mask"] for batch in again]), whole["mask"])
    scores = metrics.evaluate(baselines.as_sampler("nearest"), made, 2)
    filled = baselines.nearest(whole["observation"], whole["mask"])
    scored = (whole["known"] * (1 - whole["mask"]))[..., 0] > 0.5
    expected = ((filled - data["clean"]) ** 2)[scored].mean()
    assert scores["mse_missing"] == pytest.approx(expected, rel=1e-6)
    assert metrics.evaluate(noise, made) == metrics.evaluate(noise, made)


def test_what_can_be_held_out(data):
    with pytest.raises(ValueError, match=r"fraction=1"):
        evaluation.holdout([], DropPixel(0.5), 1)
