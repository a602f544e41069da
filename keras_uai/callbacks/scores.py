"""Callbacks that put scores into `logs`."""

import math
import os

from keras_uai.callbacks.base import Periodic
from keras_uai.checks import check_integer
from keras_uai.metrics import Statistics, evaluation, extractors
from keras_uai.metrics.scores import NEEDS_TWO_SAMPLES

NAMES = (
    "mse",
    "mse_missing",
    "mse_of_mean",
    "std",
    "crps",
    "spread_skill",
    "coverage_90",
    "calibration_error",
)


class Scores(Periodic):
    """Scores the model on a data set and puts the numbers into `logs`.

    The numbers are those of `keras_uai.metrics.evaluate`, on whole images of any sizes, all from
    the same samples. Cost: one pass of `max_images` images through the part of G that depends on y
    alone, and `num_samples` passes through the rest. The extractor efficientnet_lite0 takes about
    35 ms an image on two cores.

    In `logs` the names begin with `val_`. If `fit` has `validation_data`, too, the model's own
    numbers of the same name are replaced.

    Args:
        dataset: batches of the callback's own, see `metrics.evaluate`, such as
            `datasets.load(..., "validation", clean=True)`; iterated anew each time.
        names: scores of `keras_uai.metrics.scores`, or `"calibration_error"`. Default: `NAMES`.
        every: runs after the first epoch, every so many epochs, and after the last. After the
            others, `logs` hold NaN, which EarlyStopping counts as no improvement. Default: 1.
        num_samples: samples an image, K. Default: 10.
        max_images: number of images to use; None for all. Default: 1000.
        seed: integer. The noise is the same each time. Default: 0.
        extractor: adds the Fréchet distance: True for the default extractor, else see
            `metrics.extractors.get`. Default: None.
        reference: `Statistics` of true images, or their file (tools/reference_statistics). Default:
            those of the data set.
        progress: whether to show a progress bar if it takes longer than two seconds.

    Attributes:
        provenance: dict of all that the last distance depends on, or None. It is printed with the
            first distance if `progress` is set.
    """

    def __init__(
        self,
        dataset,
        names=NAMES,
        every=1,
        num_samples=10,
        max_images=1000,
        seed=0,
        extractor=None,
        reference=None,
        progress=True,
    ):
        super().__init__(every)
        least = 2 if {*NEEDS_TWO_SAMPLES, "calibration_error"} & set(names) else 1
        self.dataset = dataset
        self.names = tuple(names)
        self.num_samples = check_integer(type(self).__name__, "num_samples", num_samples, least)
        self.max_images = max_images
        self.seed = seed
        self.extractor = extractor
        self.reference = reference
        self.progress = progress
        self.provenance = None
        self._logged = ()

    def measure(self):
        """Returns the numbers of the model as it is, `{name: float}`, without prefix."""
        if self.extractor is not None:
            self.extractor = extractors.get(None if self.extractor is True else self.extractor)
        if isinstance(self.reference, (str, os.PathLike)):
            self.reference = Statistics.load(self.reference)
        owns_reference = self.extractor is not None and self.reference is None
        found = evaluation.run(
            self.model,
            self.dataset,
            self.num_samples,
            self.seed,
            max_images=self.max_images,
            extractor=self.extractor,
            clean_features=owns_reference,
            needs_clean=owns_reference or not set(self.names) <= {"std", "spread"},
            progress=self.progress and type(self).__name__,
        )
        if owns_reference:
            self.reference = found.statistics("clean")
        scores = found.result(self.reference)
        if "calibration_error" in self.names:
            scores |= found.scores.calibration(resamples=0) or {}
        names = [name for name in self.names if name in scores]
        if self.extractor is not None:
            names.append(self.extractor.frechet_name)
            self._note(found.statistics().provenance)
        return {name: scores[name] for name in names}

    def on_epoch_end(self, epoch, logs=None):
        found = dict.fromkeys(self._logged, math.nan)
        if self.is_due(epoch):
            found = self.measure()
            self._logged = tuple(found)  # the first epoch is scored, so they are always known
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in found.items()})

    def _note(self, provenance):
        """Keeps the provenance of a distance, and prints it once."""
        known = {**provenance, "reference_images": self.reference.count, "seed": self.seed}
        for name in ("dataset", "split", "content"):
            if name in self.reference.provenance:
                known[f"reference_{name}"] = self.reference.provenance[name]
        if self.provenance is None and self.progress:
            text = ", ".join(f"{name} {value}" for name, value in known.items())
            print(f"\nval_{self.extractor.frechet_name}: {text}")
        self.provenance = known


class MeanSquaredError(Scores):
    """`val_mse`: mean squared error between x_tilde and x over whole images (section 3.4).

    Also `val_mse_missing`, over missing pixels, and `val_mse_of_mean`, of the mean of several
    samples. Arguments: see `Scores`.
    """

    def __init__(self, dataset, every=1, num_samples=1, **kwargs):
        names = ("mse", "mse_missing", "mse_of_mean")[: 3 if num_samples > 1 else 2]
        super().__init__(dataset, names, every, num_samples, **kwargs)


class SampleStandardDeviation(Scores):
    """`val_std`: standard deviation of the samples, averaged over missing pixels (section 3.4).

    A model that ignores z has 0. The data set needs no true images. Arguments: see `Scores`.
    """

    def __init__(self, dataset, every=1, num_samples=10, **kwargs):
        super().__init__(dataset, ("std",), every, num_samples, **kwargs)


class FrechetInceptionDistance(Scores):
    """`val_fid`: Fréchet distance between x_tilde and x (section 3.4; Heusel et al. 2017).

    With another extractor than Inception it is no FID, and called `val_frechet_<extractor>`. The
    default extractor is Inception if it is on this machine, else efficientnet_lite0. Arguments: see
    `Scores`.
    """

    def __init__(self, dataset, every=1, extractor=True, num_samples=1, **kwargs):
        super().__init__(dataset, (), every, num_samples, extractor=extractor, **kwargs)
