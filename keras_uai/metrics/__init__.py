"""What the paper measures (section 3.4), whether the diversity is right, and what to compare with.

Scores of samples against clean images: `evaluate`, `Scores`, `Calibration`. Distances between sets
of images, in three steps: features (`extractors`), `statistics`, `distances`. Baselines:
`baselines`. Pictures: `figures`.
"""

from keras_uai.metrics import (
    baselines,
    calibration,
    distances,
    extractors,
    figures,
    references,
    scores,
    stamps,
    statistics,
)
from keras_uai.metrics.calibration import Calibration
from keras_uai.metrics.distances import frechet_distance, kernel_distance
from keras_uai.metrics.evaluation import evaluate, holdout
from keras_uai.metrics.scores import Scores
from keras_uai.metrics.statistics import Statistics

__all__ = [
    "Calibration",
    "Scores",
    "Statistics",
    "baselines",
    "calibration",
    "distances",
    "evaluate",
    "extractors",
    "figures",
    "frechet_distance",
    "holdout",
    "kernel_distance",
    "references",
    "scores",
    "stamps",
    "statistics",
]
