"""Predictors: trained models and baselines behind one interface, for evaluation and figures."""

import dataclasses
import os
from collections.abc import Callable

import numpy as np

from keras_uai.metrics import baselines


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A function that fills in images, with its origin.

    Args:
        sample: `(y, mask, num_samples, seed) -> (N, num_samples, H, W, C)`, where `seed` is an
            integer array `(N,)`, one number an image.
        name: name in tables.
        digest: text that changes with its weights.
        stochastic: whether samples of an image differ. If not, one sample is taken.
        mean: `(y, mask) -> (N, H, W, C)`, the mean that it predicts in one pass; or None.
        measurement, image_shape, values: those of its model; or None.
        inflation: factor of the samples' spread; see `keras_uai.sampling.calibrate_spread`.
        settings: data settings that it was trained with; `{}` if not known.
    """

    sample: Callable
    name: str = "predictor"
    digest: str = "unknown"
    stochastic: bool = True
    mean: Callable | None = None
    measurement: object = None
    image_shape: tuple | None = None
    values: object = None
    inflation: float = 1.0
    settings: dict = dataclasses.field(default_factory=dict)

    @property
    def is_bounded(self):
        """Whether values lie in [-1, 1], as those of 8 and 16-bit images."""
        return self.values is None or self.values.is_bounded


def get(identifier):
    """Returns a predictor from one, a model with `inpaint`, a baseline's name, or a function."""
    if isinstance(identifier, Predictor):
        return identifier
    if isinstance(identifier, str):
        return baseline(identifier)
    if callable(getattr(identifier, "inpaint", None)):
        predicts_mean = getattr(getattr(identifier, "generator", None), "predicts_mean", False)
        return Predictor(
            identifier.inpaint,
            identifier.name,
            stochastic=getattr(identifier, "stochastic", True),
            mean=identifier.predict_mean if predicts_mean else None,
            measurement=getattr(identifier, "measurement", None),
            image_shape=getattr(identifier, "image_shape", None),
            values=getattr(identifier, "values", None),
            inflation=getattr(getattr(identifier, "sampler", None), "inflation", 1.0),
        )
    if callable(identifier):
        return Predictor(identifier)
    raise ValueError(
        "A predictor must be a model with `inpaint`, the name of a baseline, or a function "
        f"(y, mask, num_samples, seed) -> samples. Received: {identifier!r}"
    )


def baseline(name):
    """Returns a baseline of `keras_uai.metrics.baselines`, by its name, as a predictor."""
    return Predictor(_repeated(baselines.get(name)), name, name, stochastic=False)


def predicted_mean(predictor):
    """Returns the mean that a model predicts in one pass, as a deterministic predictor."""
    predictor = get(predictor)
    return dataclasses.replace(predictor, sample=_repeated(predictor.mean), stochastic=False)


def _repeated(fill):
    """Returns a sampler, all of whose samples are `fill(y, mask)`."""

    def sample(y, mask=None, num_samples=1, seed=0):
        return np.repeat(np.asarray(fill(y, mask))[:, None], num_samples, axis=1)

    return sample


def load(path, sampler=None):
    """Loads a trained model as a predictor.

    Args:
        path: a preset's name or folder, a run's folder (experiments/run.py), or a saved model
            (`*.keras`).
        sampler: text such as `"OneStage()"` or `"TwoStage(4, 1.2)"`, in place of the model's own.

    Raises:
        ValueError: if there is no such model, or it cannot use the sampler.
    """
    from keras_uai import presets  # presets build on models; only commands load them

    found = presets.load_model(os.fspath(path))
    if sampler is not None:
        found.model.sampler = sampler
    own = getattr(found.model, "sampler", None)
    digest = found.digest if own is None else f"{found.digest} {own!r}"
    known = {"name": found.name, "digest": digest, "settings": found.settings}
    return dataclasses.replace(get(found.model), **known)
