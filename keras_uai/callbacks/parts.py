"""The numbers a callback can gather in one pass: each part takes batches with samples and ends in a
dict of floats.
"""

import math

from keras_uai import metrics
from keras_uai.metrics.statistics import Gathering


class ScorePart:
    """Scores of `keras_uai.metrics.scores`, by name; those that K or the data do not allow are left
    out.
    """

    def __init__(self, names):
        self.names = names

    def start(self):
        self._scores = metrics.Scores()

    def update(self, batch):
        self._scores.update(batch.get("clean"), batch["samples"], batch["mask"], batch.get("known"))

    def result(self):
        found = self._scores.result()
        return {name: found[name] for name in self.names if name in found}


class CalibrationPart:
    """`calibration_error` of `keras_uai.metrics.calibration`."""

    def start(self):
        self._calibration = metrics.Calibration()

    def update(self, batch):
        self._calibration.update(
            batch["clean"], batch["samples"], batch["mask"], batch.get("known")
        )

    def result(self):
        return {"calibration_error": self._calibration.result()["calibration_error"]}


class DistancePart:
    """Fréchet distance between one sample of each image and reference images, and the kernel
    distance where it is asked for.

    Args:
        extractor: see `keras_uai.metrics.extractors.get`; made when first needed.
        reference: `Statistics`, the path of a file of them, or None for the clean images of the
            data set, whose features are then kept after the first time.
        kernel: whether to add the kernel distance.
    """

    def __init__(self, extractor=None, reference=None, kernel=False):
        self._identifier, self._reference, self._kernel = extractor, reference, kernel
        self._extractor = None
        self.stamp = None

    @property
    def extractor(self):
        if self._extractor is None:
            self._extractor = metrics.extractors.get(self._identifier)
        return self._extractor

    @property
    def names(self):
        names = (self.extractor.frechet_name, self.extractor.kernel_name)
        return names if self._kernel else names[:1]

    def start(self):
        if isinstance(self._reference, str) or hasattr(self._reference, "__fspath__"):
            self._reference = metrics.Statistics.load(self._reference)
        self._samples = Gathering(self.extractor)
        self._clean = Gathering(self.extractor) if self._reference is None else None

    def update(self, batch):
        if "known" in batch:
            raise ValueError(
                "A distance between images needs whole clean images, and these are known in part "
                "only. Received: batches of keras_uai.metrics.holdout. Pass reference statistics "
                "and the damaged images themselves instead."
            )
        self._samples.update(batch["samples"][:, 0])
        if self._clean is not None:
            if "clean" not in batch:
                raise ValueError(
                    "Without `reference`, the Fréchet distance is measured to the data set's clean "
                    "images: load it with clean=True, or pass reference statistics. "
                    f"Received: batches with {sorted(batch)}"
                )
            self._clean.update(batch["clean"])

    def result(self):
        if self._clean is not None:
            self._reference, self._clean = self._clean.statistics(), None
        samples = self._samples.statistics()
        known = {"reference_images": self._reference.count}
        for name in ("dataset", "split", "seed", "content"):
            if name in self._reference.stamp:
                known[f"reference_{name}"] = self._reference.stamp[name]
        self.stamp = {**samples.stamp, **known}
        found = {self.names[0]: metrics.frechet_distance(self._reference, samples)}
        if self._kernel:
            found[self.names[1]] = metrics.kernel_distance(self._reference, samples)[0]
        return found


def nothing(names):
    """NaN for each name: what stands in `logs` after an epoch that was not measured."""
    return dict.fromkeys(names, math.nan)
