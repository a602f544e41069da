"""Scores on observed pixels that are hidden again: a perfect sampler has error 0, a constant one
the error it must have, and what nobody knows does not count.
"""

import numpy as np
import pytest

from keras_uai import measurements, metrics
from keras_uai.experiment import remasking

MEASUREMENT = measurements.DropPixel(0.5)


@pytest.fixture
def observed():
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (12, 16, 16, 3)).astype("float32") / 127.5 - 1.0
    mask = np.asarray(MEASUREMENT.masks(np.arange(12), 16, 16))
    return x, mask, x * mask


def dataset(y, mask, size=5):
    return [
        {"observation": y[i : i + size], "mask": mask[i : i + size]} for i in range(0, len(y), size)
    ]


def test_hidden_pixels_are_observed_ones_and_about_the_share(observed):
    _, mask, y = observed
    batches = list(remasking.hide(dataset(y, mask), MEASUREMENT, share=0.2))
    hidden = 1.0 - np.concatenate([batch["mask"] for batch in batches])
    left = np.concatenate([batch["observation"] for batch in batches])
    clean = np.concatenate([batch["clean"] for batch in batches])
    assert (hidden <= mask).all()
    assert hidden.sum() / mask.sum() == pytest.approx(0.2, abs=0.05)
    np.testing.assert_array_equal(left, np.where(hidden > 0.5, 0.0, y))
    np.testing.assert_array_equal(clean, y)


def test_hiding_does_not_depend_on_the_batch_size(observed):
    _, mask, y = observed
    hidden = [
        np.concatenate([b["mask"] for b in remasking.hide(dataset(y, mask, size), MEASUREMENT)])
        for size in (5, 12)
    ]
    np.testing.assert_array_equal(*hidden)


def score(sampler, y, mask):
    batches = remasking.hide(dataset(y, mask), MEASUREMENT)
    return metrics.evaluate(remasking.scored_on_hidden(sampler, MEASUREMENT), batches, 2)


def test_a_sampler_that_knows_has_no_error(observed):
    x, mask, y = observed
    seen = []

    def knows(y, mask, num_samples, seed):
        start = sum(map(len, seen))
        seen.append(y)
        return np.repeat(x[start : start + len(y), None], num_samples, axis=1)

    scores = score(knows, y, mask)
    assert scores["mse_missing"] == scores["crps"] == 0.0
    assert scores["images"] == 12


def test_a_grey_sampler_has_the_second_moment_of_the_hidden_pixels(observed):
    _, mask, y = observed

    def grey(y, mask, num_samples, seed):
        unknown = np.where(mask > 0.5, y, 0.0)[:, None]
        return np.repeat(unknown, num_samples, axis=1)

    hidden = [1.0 - b["mask"] for b in remasking.hide(dataset(y, mask), MEASUREMENT)]
    hidden = np.broadcast_to(np.concatenate(hidden), y.shape) > 0.5
    assert score(grey, y, mask)["mse_missing"] == pytest.approx(float((y[hidden] ** 2).mean()))


def test_observations_alone_bring_their_masks(observed):
    _, mask, y = observed
    with_mask = remasking.hide([{"observation": y, "mask": mask}], MEASUREMENT)
    without = remasking.hide([y], MEASUREMENT)
    np.testing.assert_array_equal(next(with_mask)["mask"], next(without)["mask"])
