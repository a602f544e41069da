"""Evaluation of more images than one machine holds: the statistics as Apache Beam's CombineFns.

How a runner splits the images up changes the results by rounding only. Needs the extra `beam`.

>>> features = images | keras_uai.metrics.beam.Features("efficientnet_lite0")
>>> statistics = features | beam.CombineGlobally(keras_uai.metrics.beam.StatisticsFn(dataset="mine"))
"""

import apache_beam as beam
import numpy as np

from keras_uai.metrics import extractors
from keras_uai.metrics.scores import Scores, image_sums
from keras_uai.metrics.statistics import Moments, Statistics


class StatisticsFn(beam.CombineFn):
    """Features -> `Statistics` (mean and covariance, float64), the distances' second step.

    Elements are features `(D,)` of one image or `(N, D)` of several.

    Args:
        **stamp: what the statistics owe their value to: `extractor.stamp()`, `dataset`, `split`,
            `seed`; `images` is counted.
    """

    def __init__(self, **stamp):
        self.stamp = stamp

    def create_accumulator(self):
        return Moments()

    def add_input(self, moments, features):
        moments.update(np.atleast_2d(features))
        return moments

    def merge_accumulators(self, accumulators):
        merged = Moments()
        for moments in accumulators:
            merged.merge(moments)
        return merged

    def compact(self, moments):
        moments.flush()
        return moments

    def extract_output(self, moments):
        found = moments.mean_and_covariance()
        return Statistics({**self.stamp, "images": moments.count}, None, found)


class ScoresFn(beam.CombineFn):
    """Rows of `ImageSums` -> `Scores`: MSE, PSNR, SSIM, CRPS, spread and skill, with intervals.

    An image costs 15 numbers, of which the intervals are drawn.

    Args:
        num_samples: K, how many samples an image the rows were made from.
    """

    def __init__(self, num_samples):
        self.num_samples = num_samples

    def create_accumulator(self):
        return []

    def add_input(self, rows, row):
        rows.append(row)
        return rows

    def merge_accumulators(self, accumulators):
        return [row for rows in accumulators for row in rows]

    def extract_output(self, rows):
        if not rows:
            raise ValueError("There is no image to score. Received: no row of ImageSums")
        # In an order that no runner chooses, so that sums and intervals are the same every time.
        # (NaN, which the spread of one sample is, has no place among numbers.)
        rows = sorted(rows, key=lambda row: tuple(np.nan_to_num(list(row.values()))))
        table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return Scores.from_table(table, self.num_samples)


class Features(beam.PTransform):
    """Images `(H, W, C)` in [-1, 1] -> features `(N, D)` in portions, the distances' first step.

    Args:
        extractor: name, see `keras_uai.metrics.extractors.get`; each worker loads its own.
        portion: images a call of the network, at most.
    """

    def __init__(self, extractor, portion=32):
        super().__init__()
        self.extractor, self.portion = extractor, portion

    def expand(self, images):
        return (
            images
            | "Portions" >> beam.BatchElements(max_batch_size=self.portion)
            | "Extract" >> beam.ParDo(_Extract(self.extractor))
        )


class _Extract(beam.DoFn):
    def __init__(self, name):
        self.name = name

    def setup(self):
        self.extractor = extractors.get(self.name)

    def process(self, images):
        yield self.extractor(np.stack(images))


class ImageSums(beam.DoFn):
    """Dicts of one image, `"clean"`, `"samples"` and `"mask"` -> what `ScoresFn` takes.

    Shapes as in `keras_uai.metrics.scores.image_sums`.
    """

    def process(self, image):
        yield image_sums(image["clean"], image["samples"], image["mask"], image.get("known"))
