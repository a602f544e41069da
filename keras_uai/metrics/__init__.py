"""Scores of reconstructions, calibration of samples, distances between sets of images, baselines.

`evaluate` scores a model or a baseline on images whose true values are known. Distances are made in
three steps: features (`extractors`), `statistics`, `distances`. Baselines that need no training are
in `baselines`, pictures in `figures`.
"""

from keras_uai.metrics import figures
from keras_uai.metrics.batches import holdout
from keras_uai.metrics.distances import frechet_distance, kernel_distance
from keras_uai.metrics.evaluation import evaluate
from keras_uai.metrics.scores import Scores
from keras_uai.metrics.statistics import Statistics

__all__ = ["Scores", "Statistics", "evaluate", "figures", "frechet_distance", "holdout"]
__all__ += ["kernel_distance"]
