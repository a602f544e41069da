"""What the paper measures (section 3.4), whether the diversity is right, and the baselines to
compare with.
"""

from keras_uai.metrics import baselines, scores
from keras_uai.metrics.evaluation import evaluate
from keras_uai.metrics.scores import Scores

__all__ = ["Scores", "baselines", "evaluate", "scores"]
