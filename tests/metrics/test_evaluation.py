"""The same numbers from any batches, of any sizes, after any interruption; distances; bad data."""

import math

import numpy as np
import pytest

from keras_uai import metrics
from keras_uai.measurements import DropPixel
from keras_uai.metrics import baselines, evaluation, predictors, statistics
from keras_uai.metrics.batches import holdout, image_seeds, unpacked
from tests.metrics.test_statistics import pixels


@pytest.fixture
def data():
    x = np.random.default_rng(0).integers(0, 256, (10, 12, 12, 3)) / 127.5 - 1
    x = x.astype("float32")
    mask = np.array(DropPixel(0.7).masks(np.arange(10), 12, 12))
    return {"observation": x * mask, "mask": mask, "clean": x}


def batches(data, size, keys=("observation", "mask", "clean")):
    return [
        {key: data[key][i : i + size] for key in keys} for i in range(0, len(data["clean"]), size)
    ]


class Noise:
    """Counts its calls, and fails at one of them."""

    def __init__(self, fails_at=None):
        self.calls, self.fails_at = [], fails_at

    def __call__(self, y, mask, num_samples, seed):
        if len(self.calls) == self.fails_at:
            raise KeyboardInterrupt
        self.calls.append(len(y))
        size = (num_samples, *y.shape[1:])
        drawn = np.stack([np.random.default_rng(int(s)).uniform(-1, 1, size) for s in seed])
        return np.where(mask[:, None] > 0.5, y[:, None], drawn).astype("float32")


def noise(y, mask, num_samples, seed):
    return Noise()(y, mask, num_samples, seed)


def test_batches_change_nothing(data):
    assert metrics.evaluate(noise, batches(data, 10)) == metrics.evaluate(noise, batches(data, 3))


def test_whole_images_of_different_sizes():
    """The same as each alone: sums of values add up."""
    random, found = np.random.default_rng(0), []
    for height, width in ((12, 30), (40, 11), (13, 17)):
        x = random.uniform(-1, 1, (1, height, width, 2)).astype("float32")
        mask = (random.random(x.shape) < 0.4).astype("float32")
        found.append({"observation": x * mask, "mask": mask, "clean": x})
    scores = metrics.evaluate(noise, found, 3)
    seeds = image_seeds(0, np.arange(3))
    expected = metrics.Scores()
    for batch, seed in zip(found, seeds, strict=True):
        samples = noise(batch["observation"], batch["mask"], 3, [seed])
        expected.update(batch["clean"], samples, batch["mask"])
    assert scores == pytest.approx(expected.result(), nan_ok=True)
    assert metrics.evaluate("linear_interpolation", found)["images"] == 3


def test_the_mask_is_recovered_where_it_is_not_given(data):
    without = batches(data, 4, ("observation", "clean"))
    assert metrics.evaluate(noise, without) == metrics.evaluate(noise, batches(data, 4))
    measurement = DropPixel(0.7, tau=-1.0)
    data["observation"] = np.asarray(measurement(data["clean"], data["mask"]))
    without = batches(data, 4, ("observation", "clean"))
    found = list(unpacked(without, measurement))
    assert np.array_equal(np.concatenate([batch["mask"] for batch in found]), data["mask"])


def test_seeds_are_of_images_and_of_the_evaluation(data):
    assert metrics.evaluate(noise, batches(data, 5), seed=1) != metrics.evaluate(
        noise, batches(data, 5), seed=0
    )
    seeds = image_seeds(0, np.arange(1000))
    assert seeds.dtype == np.int64
    assert seeds.min() >= 0
    assert seeds.max() < 2**31
    assert len(np.unique(seeds)) == 1000
    assert np.array_equal(image_seeds(0, [7]), seeds[7:8])


def test_a_limit_cuts_inside_a_batch_and_a_start_skips_images(data):
    some = metrics.evaluate(noise, batches(data, 4), max_images=6)
    assert some["images"] == 6
    assert some == metrics.evaluate(noise, batches(data, 3), max_images=6)
    later = list(unpacked(batches(data, 4), skip=5, max_images=9))
    assert [len(batch["mask"]) for batch in later] == [3, 1]
    assert np.array_equal(np.concatenate([b["clean"] for b in later]), data["clean"][5:9])


def test_a_baseline_is_evaluated_as_it_is(data):
    expected = (baselines.nearest(data["observation"], data["mask"]) - data["clean"]) ** 2
    for predictor in ("nearest", predictors.baseline("nearest")):
        found = metrics.evaluate(predictor, batches(data, 5))
        assert found["mse"] == pytest.approx(expected.mean(), rel=1e-6)
        assert found["std"] == found["spread_skill"] == 0
        assert found["num_samples"] == 1


def test_tensors_are_taken(data):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(data).batch(4)
    assert metrics.evaluate(noise, dataset) == metrics.evaluate(noise, batches(data, 4))


def test_bad_data_sets_and_predictors_are_named(data):
    good = batches(data, 5)
    other_shape = {**good[0], "clean": good[0]["clean"][:, :6]}
    cases = [
        (
            noise,
            batches(data, 5, ("observation", "mask")),
            r"clean=True.*\['mask', 'observation'\]",
        ),
        (noise, [data["clean"]], r"clean=True.*Received: ndarray"),
        (noise, [], r"at least one image. Received: no batch"),
        (noise, [other_shape], r"same shape.*clean of shape"),
        (lambda y, mask, num_samples, seed: y, good, r"\(5, 10, 12, 12, 3\). Received: shape"),
        (lambda *a, **k: noise(*a, **k) * np.nan, good, "NaN"),
        ("median", good, "A baseline must be one of"),
        (3, good, "A predictor must be a model.*Received: 3"),
    ]
    for predictor, dataset, message in cases:
        with pytest.raises(ValueError, match=message):
            metrics.evaluate(predictor, dataset)


def test_pixels_never_to_be_filled_are_neither_scored_nor_counted(data):
    """Nor are true values that are NaN."""
    land = np.zeros_like(data["mask"])
    land[:, :4] = 1
    data["mask"][:, :4] = 0
    sea = {name: value[:, 4:] for name, value in data.items()}
    expected = metrics.evaluate("mean_colour", batches(sea, 4))
    data["never_fill"] = land
    keys = ("observation", "mask", "clean", "never_fill")
    data["observation"] = data["observation"] * data["mask"]
    found = metrics.evaluate("mean_colour", batches(data, 4, keys))
    names = ("mse", "mse_missing", "psnr", "crps", "spread_skill")
    assert [found[n] for n in names] == pytest.approx([expected[n] for n in names])
    data["clean"][:, :4] = np.nan
    for given in (keys, keys[:3]):
        again = metrics.evaluate("mean_colour", batches(data, 4, given))
        assert [again[n] for n in names] == pytest.approx([expected[n] for n in names])


def test_held_out_pixels_are_hidden_known_and_scored(data):
    measurement = DropPixel(0.7)
    damaged = batches(data, 4, ("observation",))
    made = holdout(damaged, measurement, 0.3)
    found = list(made)
    whole = {key: np.concatenate([batch[key] for batch in found]) for key in found[0]}
    assert np.array_equal(whole["known"], data["mask"])
    assert (whole["mask"] <= whole["known"]).all()
    hidden = 1 - whole["mask"].sum() / whole["known"].sum()
    assert hidden == pytest.approx(0.3, abs=0.1)
    assert np.array_equal(whole["observation"], data["observation"] * whole["mask"])
    assert np.array_equal(whole["clean"], data["observation"])
    again = list(holdout(batches(data, 3, ("observation", "mask")), measurement, 0.3))
    assert np.array_equal(np.concatenate([batch["mask"] for batch in again]), whole["mask"])
    scores = metrics.evaluate("nearest", made)
    filled = baselines.nearest(whole["observation"], whole["mask"])
    scored = (whole["known"] * (1 - whole["mask"]))[..., 0] > 0.5
    expected = ((filled - data["clean"]) ** 2)[scored].mean()
    assert scores["mse_missing"] == pytest.approx(expected, rel=1e-6)
    assert metrics.evaluate(noise, made) == metrics.evaluate(noise, made)


def test_the_fraction_to_be_held_out(data):
    with pytest.raises(ValueError, match=r"fraction=1"):
        holdout([], DropPixel(0.5), 1)


# -- features and distances ------------------------------------------------------------------------


def run(data, sampler, size=4, k=3, **kwargs):
    return evaluation.run(
        sampler, batches(data, size), k, extractor=pixels(), clean_features=True, **kwargs
    )


def test_features_are_of_the_first_sample_the_mean_and_the_true_images(data):
    found = run(data, noise)
    seeds = image_seeds(0, np.arange(10))
    samples = noise(data["observation"], data["mask"], 3, seeds)
    expected = {"sample": samples[:, 0], "mean": samples.mean(axis=1), "clean": data["clean"]}
    for kind, images in expected.items():
        statistics = found.statistics(kind)
        assert statistics.features == pytest.approx(images.reshape(10, -1), abs=1e-6)
        assert statistics.provenance["image_size"] == "12x12x3"
        assert statistics.count == 10


@pytest.mark.filterwarnings("ignore:.*images have no full covariance")
def test_distances_are_those_of_metrics(data):
    reference = metrics.statistics.compute(pixels(), [data["clean"]])
    found = run(data, noise)
    expected = metrics.frechet_distance(found.statistics(), reference)
    for given in (None, reference):
        scores = metrics.evaluate(
            noise, batches(data, 4), 3, extractor=pixels(), kernel=True, reference=given
        )
        assert scores["frechet_pixels"] == pytest.approx(expected)
        kernel, _ = metrics.kernel_distance(found.statistics(), reference)
        assert scores["kernel_pixels"] == pytest.approx(kernel)


@pytest.mark.parametrize("enough", [True, False])
def test_intervals(data, monkeypatch, enough):
    monkeypatch.setattr(evaluation, "JACKKNIFE_FROM", 10 if enough else 11)
    monkeypatch.setattr(evaluation.distances, "standard_error", lambda *_: 1.0)
    found = run(data, noise)
    intervals = found.intervals(found.statistics("clean"))
    for name, value in found.scores.result().items():
        if name in intervals and math.isfinite(value):
            assert intervals[name]["value"] == value
            assert intervals[name]["low"] < value < intervals[name]["high"]
    assert {"mse", "std", "crps", "mse_missing_8bit", "ssim_of_mean"} <= set(intervals)
    for name in ("frechet_pixels", "kernel_pixels_of_mean"):
        half = intervals[name]["high"] - intervals[name]["value"]
        assert half == pytest.approx(1.959964) if enough else math.isnan(half)
    assert not set(found.intervals()) & {"frechet_pixels", "kernel_pixels"}


def test_large_images_are_compared_in_windows():
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (2, 150, 140, 1)).astype("float32")
    mask = (random.random((2, 150, 140, 1)) < 0.5).astype("float32")
    dataset = [{"observation": x * mask, "mask": mask, "clean": x}]
    found = evaluation.run("nearest", dataset, extractor=pixels(), feature_crop=8)
    filled = baselines.nearest(x * mask, mask)
    parts = [filled[window] for window in statistics.windows(mask, 0, 8)]
    assert len(parts) == 2 * statistics.WINDOWS
    expected = np.repeat(np.stack(parts), 3, axis=-1).reshape(16, -1)
    assert np.array_equal(found.statistics().features, expected)


def test_distances_need_whole_true_images(data):
    made = holdout(batches(data, 4, ("observation",)), DropPixel(0.7), 0.3)
    with pytest.raises(ValueError, match=r"whole true images.*known in part"):
        evaluation.run(noise, made, extractor=pixels())
    with pytest.raises(ValueError, match=r'whole true images.*without "clean"'):
        metrics.evaluate(
            noise, batches(data, 4, ("observation",)), extractor=pixels(), needs_clean=False
        )


def test_spread_alone_needs_no_true_images(data):
    without = metrics.evaluate(noise, batches(data, 4, ("observation",)), 3, needs_clean=False)
    assert without["std"] == metrics.evaluate(noise, batches(data, 4), 3)["std"]
    assert "mse" not in without
    alone = metrics.evaluate(noise, [data["observation"]], 3, needs_clean=False)
    assert alone == without


# -- interruption ----------------------------------------------------------------------------------


def same(a, b):
    assert str(a.scores.result()) == str(b.scores.result())
    assert str(a.scores.calibration()) == str(b.scores.calibration())
    for kind in ("sample", "mean", "clean"):
        assert np.array_equal(a.statistics(kind).features, b.statistics(kind).features)
    assert a.statistics().provenance == b.statistics().provenance
    assert str(a.intervals(a.statistics("clean"))) == str(b.intervals(b.statistics("clean")))


@pytest.mark.parametrize(("fails_at", "size"), [(1, 4), (2, 4), (2, 3)])
def test_an_interrupted_evaluation_goes_on(data, tmp_path, monkeypatch, fails_at, size):
    monkeypatch.setattr(evaluation, "SAVE_SECONDS", -1.0)
    path, settings = tmp_path / "out" / "state.npz", {"seed": 0}
    with pytest.raises(KeyboardInterrupt):
        run(data, Noise(fails_at), path=path, settings=settings)
    rest, done = Noise(), Noise()
    same(run(data, rest, size, path=path, settings=settings), run(data, Noise()))
    assert sum(rest.calls) == 10 - 4 * fails_at
    same(run(data, done, path=path, settings=settings), run(data, Noise()))
    assert not done.calls
    assert [p.name for p in path.parent.iterdir()] == ["state.npz"]


def test_other_files_are_refused(data, tmp_path):
    path = tmp_path / "state.npz"
    run(data, noise, path=path, settings={"seed": 0})
    with pytest.raises(ValueError, match=r"--restart.*seed is 0 and not 1"):
        run(data, noise, path=path, settings={"seed": 1})
    path.write_text("no state")
    with pytest.raises(ValueError, match="must be the state of an evaluation"):
        run(data, noise, path=path)
