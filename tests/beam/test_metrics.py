"""Statistics and scores gathered by Beam are the serial ones, however the elements are split up."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline as testing_pipeline
from apache_beam.testing import util

from keras_uai.metrics import Scores, Statistics, frechet_distance, statistics
from keras_uai.metrics import beam as combining
from keras_uai.metrics.scores import image_sums
from tests.metrics.test_statistics import features, pixels

STAMP = {"extractor": "e", "weights": "w", "resize": "none", "image_size": "4x4x3", "seed": 0}


_FOUND = []


def _keep(elements):
    """Functions travel to workers as bytes, but for those of modules; the workers are in this process."""
    _FOUND[:] = elements


def through_beam(elements, *transforms):
    """What a pipeline on the DirectRunner makes of elements: one value."""
    _FOUND.clear()
    with testing_pipeline.TestPipeline() as pipeline:
        result = pipeline | beam.Create(elements, reshuffle=True)
        for transform in transforms:
            result = result | transform
        util.assert_that(result, _keep)
    (value,) = _FOUND
    return value


def serial(rows):
    moments = statistics.Moments()
    moments.update(rows)
    return Statistics({**STAMP, "images": len(rows)}, None, moments.mean_and_covariance())


def same(found, expected):
    assert found.stamp == expected.stamp
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-13)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-12)


@pytest.mark.parametrize("portion", [1, 7, 600])
def test_statistics_of_single_rows_and_of_portions(portion):
    rows = features(1300)
    elements = [rows[i : i + portion] for i in range(0, len(rows), portion)]
    if portion == 1:
        elements = list(rows)  # (D,)
    found = through_beam(elements, beam.CombineGlobally(combining.StatisticsFn(**STAMP)))
    same(found, serial(rows))
    assert frechet_distance(found, serial(rows)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("split", [[0, 1300], [1, 1299], [512, 512, 276], [0, 0, 600, 0, 700]])
def test_accumulators_merge_to_the_serial_result(split):
    rows, function = features(1300), combining.StatisticsFn(**STAMP)
    accumulators = []
    for part in np.split(rows, np.cumsum(split)[:-1]):
        accumulator = function.create_accumulator()
        for row in part:
            accumulator = function.add_input(accumulator, row)
        accumulators.append(function.compact(accumulator))
    same(function.extract_output(function.merge_accumulators(accumulators)), serial(rows))


def test_merging_goes_on_after_it_was_merged():
    rows, function = features(30), combining.StatisticsFn(**STAMP)
    first, second = (
        function.add_input(function.create_accumulator(), part) for part in (rows[:10], rows[10:20])
    )
    merged = function.merge_accumulators([first, second])
    same(function.extract_output(function.add_input(merged, rows[20:])), serial(rows))
    same(function.extract_output(first), serial(rows[:10]))  # is not changed by it


def test_too_few_rows():
    function = combining.StatisticsFn(**STAMP)
    with pytest.raises(ValueError, match="at least 2 rows"):
        function.extract_output(function.create_accumulator())
    with pytest.raises(ValueError, match="no image to score"):
        combining.ScoresFn(2).extract_output([])


def test_features_are_the_extractors(monkeypatch):
    monkeypatch.setattr(combining.extractors, "get", lambda name: {"pixels": pixels()}[name])
    images = np.random.default_rng(0).uniform(-1, 1, (20, 4, 4, 3)).astype("float32")
    extractor = pixels()
    found = through_beam(
        list(images),
        combining.Features("pixels", portion=8),
        beam.CombineGlobally(combining.StatisticsFn(**extractor.stamp(), image_size="4x4x3")),
    )
    same(found, statistics.compute(extractor, [images], keep_features=False))


def test_scores():
    random = np.random.default_rng(0)
    clean = random.uniform(-1, 1, (9, 12, 12, 3))
    samples = clean[:, None] + random.normal(0, 0.1, (9, 4, 12, 12, 3))
    mask = (random.random((9, 12, 12, 1)) < 0.5).astype("float32")
    images = [
        {"clean": x, "samples": s, "mask": m}
        for x, s, m in zip(clean, samples.clip(-1, 1), mask, strict=True)
    ]
    found = through_beam(
        images,
        beam.ParDo(combining.ImageSums()),
        beam.CombineGlobally(combining.ScoresFn(num_samples=4)),
    )
    expected = Scores()
    expected.update(clean, samples.clip(-1, 1), mask)
    assert found.result() == pytest.approx(expected.result(), rel=1e-12)
    assert len(found) == 9
    # Of one sample some sums are NaN, and where all images have one mask they are looked at.
    for k in (4, 1):
        rows = [image_sums(x["clean"], x["samples"][:k], mask[0]) for x in images]
        function = combining.ScoresFn(num_samples=k)
        intervals = [
            function.extract_output(function.merge_accumulators(parts)).bootstrap(resamples=50)
            for parts in ([rows], [rows[5:], [], rows[:5]])
        ]
        assert intervals[0] == intervals[1]  # drawn from one order, whatever the order of arrival
