"""Callbacks that put numbers into `logs`."""

from keras_uai.callbacks.base import Periodic
from keras_uai.callbacks.parts import CalibrationPart, DistancePart, ScorePart, nothing
from keras_uai.measurements.base import check_integer
from keras_uai.metrics.evaluation import sample_batches


class Measuring(Periodic):
    """One pass over a data set of its own, whose numbers go into `logs`; the arguments of all here.

    Args:
        dataset: batches of the callback's own, `{"observation": y, "clean": x}` and "mask" where
            masks are explicit, such as `datasets.load(..., "withheld", clean=True)`; gone through
            anew each time.
        parts: what to gather, see `keras_uai.callbacks.parts`; each class here has its own.
        every: measure after the first epoch, every so many epochs, and the last. After the others,
            NaN stands in `logs`, which EarlyStopping counts as no improvement.
        num_samples: samples an image, K; they share the part of G that depends on y alone.
        max_images: use so many images; None for all.
        seed: of the samples, which are the same each time but for what G has learnt.
        prefix: before the names in `logs`. Where `fit` has `validation_data`, too, the model's own
            numbers of the same name are replaced: choose another prefix to have both.
        progress: whether to show a bar where it takes longer than two seconds.
    """

    needs_clean = True

    def __init__(
        self, dataset, parts, every=1, num_samples=10, max_images=1000, seed=0, prefix="val_",
        progress=True,
    ):  # fmt: skip
        super().__init__(every)
        name = type(self).__name__
        self.dataset, self.parts = dataset, parts
        self.num_samples = check_integer(name, "num_samples", num_samples, 1)
        if max_images is not None:
            check_integer(name, "max_images", max_images, 1)
        self.max_images = max_images
        self.seed, self.prefix, self.progress = seed, prefix, progress

    def measure(self):
        """The numbers of the model as it is: `{name: float}`, names without prefix."""
        for part in self.parts:
            part.start()
        for batch in sample_batches(
            self.model.inpaint,
            self.dataset,
            self.num_samples,
            self.seed,
            getattr(self.model, "measurement", None),
            self.max_images,
            self.progress and type(self).__name__,
            needs_clean=self.needs_clean,
        ):
            for part in self.parts:
                part.update(batch)
        return {name: value for part in self.parts for name, value in part.result().items()}

    def on_epoch_end(self, epoch, logs=None):
        if self.is_due(epoch):
            found = self.measure()
            self._names = tuple(found)  # the first epoch is measured, so they are always known
        else:
            found = nothing(self._names)
        if logs is not None:
            logs.update({self.prefix + name: value for name, value in found.items()})


class FrechetInceptionDistance(Measuring):
    """`val_fid`: Fréchet distance between x_tilde and x (section 3.4; Heusel et al. 2017).

    With another extractor than Inception it is no FID and is called `val_frechet_<extractor>`.

    Cost: a pass of `max_images` images through G and through the extractor (with efficientnet_lite0
    about 35 ms an image on two cores, so 1,000 images take half a minute; the clean images' features
    are made once), and some seconds for the distance itself.

    Args (others: see `Measuring`):
        extractor: see `keras_uai.metrics.extractors.get`; by default the canonical Inception where
            it is on this machine, else efficientnet_lite0.
        reference: `Statistics` of clean images or their file (tools/reference_statistics); by
            default the data set's own clean images. With a reference, the data set needs none.
        kernel: whether to add the kernel distance, `val_kid` or `val_kernel_<extractor>`.
        stamp: dict of what else the numbers owe their value to, such as `{"split": "withheld",
            "split_seed": 0}`, to stand beside what is known here.

    `stamp` holds what the last number owes its value to: extractor, weights, resize, images and
    seed; it is printed with the first one, unless `progress` is off.
    """

    def __init__(
        self, dataset, every=1, extractor=None, reference=None, kernel=False, max_images=1000,
        seed=0, stamp=None, prefix="val_", progress=True,
    ):  # fmt: skip
        self._distance = DistancePart(extractor, reference, kernel)
        self._given_stamp = stamp or {}
        super().__init__(dataset, [self._distance], every, 1, max_images, seed, prefix, progress)
        self.needs_clean = reference is None

    @property
    def stamp(self):
        found = self._distance.stamp
        return found and {**found, "seed": self.seed, **self._given_stamp}

    def measure(self):
        first, found = self.stamp is None, super().measure()
        if first and self.progress:
            stamp = ", ".join(f"{name} {value}" for name, value in self.stamp.items())
            print(f"\n{self.prefix}{next(iter(found))}: {stamp}")
        return found


class MeanSquaredError(Measuring):
    """`val_mse`: mean squared error between x_tilde and x over whole images in [-1, 1] (section
    3.4), and `val_mse_missing`, over missing pixels.

    With `num_samples` above 1 these are averages over samples, and `val_mse_of_mean` is the error of
    the mean of the samples. Cost: a pass of `max_images` images through G.

    Args: see `Measuring`.
    """

    def __init__(
        self, dataset, every=1, num_samples=1, max_images=1000, seed=0, prefix="val_", progress=True
    ):
        names = ("mse", "mse_missing", *(("mse_of_mean",) if num_samples > 1 else ()))
        parts = [ScorePart(names)]
        super().__init__(dataset, parts, every, num_samples, max_images, seed, prefix, progress)


class SampleStandardDeviation(Measuring):
    """`val_std`: standard deviation of 10 samples, averaged over the missing pixels of 1,000 images
    (section 3.4). A model that ignores z has 0.

    Cost: a pass of `max_images` images through the part of G that depends on y, and `num_samples` as
    many through the rest.

    Args: see `Measuring`.
    """

    needs_clean = False

    def __init__(
        self, dataset, every=1, num_samples=10, max_images=1000, seed=0, prefix="val_",
        progress=True,
    ):  # fmt: skip
        check_integer("SampleStandardDeviation", "num_samples", num_samples, 2)
        parts = [ScorePart(("std",))]
        super().__init__(dataset, parts, every, num_samples, max_images, seed, prefix, progress)


class Calibration(Measuring):
    """Is the diversity right? `val_spread_skill` (1 = calibrated, below 1 = too little), `val_crps`
    and `val_calibration_error`, how far the coverage of intervals is off on average.

    Cost: as `SampleStandardDeviation`.

    Args: see `Measuring`.
    """

    def __init__(
        self, dataset, every=1, num_samples=10, max_images=1000, seed=0, prefix="val_",
        progress=True,
    ):  # fmt: skip
        check_integer("Calibration", "num_samples", num_samples, 2)
        parts = [ScorePart(("spread_skill", "crps")), CalibrationPart()]
        super().__init__(dataset, parts, every, num_samples, max_images, seed, prefix, progress)


class Evaluation(Measuring):
    """All of the above from the same samples, for the cost of one pass: `val_mse`,
    `val_mse_missing`, `val_mse_of_mean`, `val_std`, `val_crps`, `val_spread_skill`,
    `val_calibration_error`, and with `extractor` also the distances.

    Args (others: see `Measuring`):
        extractor: None for no distance; `True` for the default; else see
            `FrechetInceptionDistance`, as for `reference` and `kernel`.
    """

    def __init__(
        self, dataset, every=1, num_samples=10, max_images=1000, seed=0, extractor=None,
        reference=None, kernel=False, prefix="val_", progress=True,
    ):  # fmt: skip
        check_integer("Evaluation", "num_samples", num_samples, 2)
        names = ("mse", "mse_missing", "mse_of_mean", "std", "crps", "spread_skill")
        parts = [ScorePart(names), CalibrationPart()]
        if extractor is not None:
            chosen = None if extractor is True else extractor
            parts.append(DistancePart(chosen, reference, kernel))
        super().__init__(dataset, parts, every, num_samples, max_images, seed, prefix, progress)
