"""Runs: from flags to a numbered folder with a trained model, its scores and its pictures.

`experiments/run.py` has the flags, this package the work. `settings` makes one complete dict of
flags and preset, `building` data and model of it, `training` trains within a budget that an
interruption does not hurt, `evaluation` scores, `runner` puts it together.
"""

from keras_uai.experiment import runner, settings
from keras_uai.experiment.runner import UsageError, main, run
from keras_uai.experiment.settings import resolve

__all__ = ["UsageError", "main", "resolve", "run", "runner", "settings"]
