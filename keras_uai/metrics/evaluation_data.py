"""The images of an evaluation, damaged: from flags and a run's settings to batches."""

import os

import numpy as np

from keras_uai import datasets, measurements
from keras_uai.datasets import damage, folder
from keras_uai.metrics import checks, statistics
from keras_uai.metrics.batches import holdout, image_seeds, unpacked

# Settings that come from the model's run unless flags give them.
DATA = ("data", "split_seed", "image_size", "center_crop", "channels", "measurement", "mask_from")
HOLDOUT = 0.2  # share of the observed pixels hidden if no image is clean
DIFFERENT = 0.1  # mean difference at observed pixels above which two images show different scenes


class EvaluationData:
    """The data of an evaluation: whole images, in the same order each time.

    Args:
        options: dict of the flags `data`, `data_dir`, `split`, `split_seed`, `image_size`,
            `center_crop`, `channels`, `measurement`, `mask_from`, `never_fill`, `clean_data`,
            `holdout` and `images`; None or absent if not given.
        model: `Predictor`, whose settings and measurement are the defaults; or None.
        clean_only: bool, whether to load clean images without damage.
        scored: bool, whether to hide some observed pixels of images that are not known clean.

    Attributes:
        values: the `ValueScaling` of the images.
        measurement: the `Measurement`; None before `batches` if it is that of the data set's masks.
        holdout: share of the observed pixels that are hidden, or None.
    """

    def __init__(self, options, model=None, clean_only=False, scored=True):
        settings = {} if model is None else model.settings
        self.given = {
            n: settings.get(n) if options.get(n) is None else options.get(n) for n in DATA
        }
        if not self.given["data"]:
            raise ValueError("`--data` must name a data set or a folder. Received: none")
        if model is not None and self.given["image_size"] is None:
            size = (model.image_shape or (None,))[:-1]
            self.given["image_size"] = None if None in size else tuple(size) or None
        self.options = options
        self.clean_only = clean_only
        has_holes = str(self.given["data"]).endswith((".npy", ".npz"))  # NaN
        has_holes &= self.given["measurement"] is None and not clean_only
        self.is_damaged = self.given["mask_from"] is not None or has_holes
        self.measurement = None if clean_only else self._measurement(model)
        self.clean_data = options.get("clean_data")
        if self.clean_data is not None:
            self._check_clean_data()
        self.knows_clean = not self.is_damaged or self.clean_data is not None
        self.holdout = options.get("holdout") or None
        if scored and not self.knows_clean:
            self.holdout = self.holdout or HOLDOUT
        self.seed = self.given["split_seed"] or 0
        self.values = None if model is None else model.values
        if self.values is None:
            self.values = datasets.scan_values(self.given["data"], **self._arguments())
        self._loaded = None

    @property
    def has_whole_images(self):
        """Whether whole clean images are known, not only pixels hidden from damaged ones."""
        return self.knows_clean and self.holdout is None

    @property
    def identity(self):
        """The entries of the provenance that name the images."""
        name = self.given["data"]
        name = name if name in datasets.NAMES else os.path.basename(os.path.abspath(name))
        return {"dataset": name, "split": self.options["split"], "seed": self.seed}

    def provenance(self):
        """Returns all that determines the images and their damage."""
        found = statistics.content(self.batches())
        damage = None if self.is_damaged else repr(self.measurement)
        return {**self.identity, **found, "measurement": damage, "holdout": self.holdout}

    def batches(self):
        """Returns an iterable of batches for `keras_uai.metrics.evaluate`."""
        if self._loaded is None:
            self._loaded = self._load()
            if self.measurement is None and self.is_damaged:
                self.measurement = measurements.Empirical.from_dataset(self._loaded)
        if self.holdout:
            return holdout(self._loaded, self.measurement, self.holdout)
        return self._loaded

    def shown(self, first, count, seed=0):
        """Returns some images as lists of arrays, for figures.

        Args:
            first: integer, position of the first image.
            count: number of images.
            seed: integer, of the samples.

        Returns:
            dict of `observation`, `mask` and `clean` (None if not known whole): lists of arrays;
            and `seeds`, int64 `(count,)`.
        """
        found = {"observation": [], "mask": [], "clean": []}
        needs_clean = self.knows_clean or self.holdout is not None
        for batch in unpacked(self.batches(), self.measurement, first, first + count, needs_clean):
            for name, images in found.items():
                images.extend(batch.get(name, ()))
        if not found["mask"]:
            raise ValueError(
                f"`--first` must be less than the number of {self.options['split']} images. "
                f"Received: --first={first}"
            )
        found["seeds"] = image_seeds(seed, first + np.arange(len(found["mask"])))
        if not self.has_whole_images:
            found["clean"] = None
        return found

    def _measurement(self, model):
        text = self.given["measurement"]
        if text is not None and not str(text).startswith("Empirical"):
            return measurements.get(text)
        found = None if model is None else model.measurement
        if found is None and not self.is_damaged:
            raise ValueError(
                '`--measurement` must say how images are damaged, such as "DropPixel(0.9)", or '
                "`--mask_from` where the masks of damaged images are. Received: neither"
            )
        return found

    def _load(self):
        if self.clean_only or not self.is_damaged:
            undamaged = measurements.DropPixel(0.0)
            return self._split(measurement=undamaged if self.clean_only else self.measurement)
        if self.clean_data is None:
            return self._split()
        clean = self._split(self.clean_data, measurement=measurements.DropPixel(0.0), index=True)
        return _WithClean(self._split(index=True), clean)

    def _arguments(self, measurement=None):
        names = ("image_size", "center_crop", "channels")
        return {
            **{name: self.given[name] for name in names},
            "split": self.options["split"],
            "mask_from": None if measurement is not None else self.given["mask_from"],
            "seed": self.seed,
            "limit": self.options.get("images"),
            "data_dir": self.options.get("data_dir"),
        }

    def _split(self, data=None, measurement=None, index=False):
        return datasets.load(
            data or self.given["data"],
            **self._arguments(measurement),
            measurement=measurement,
            values=self.values,
            never_fill=self.options.get("never_fill"),
            batch_size=64,
            shuffle=False,
            clean=measurement is not None,
            index=index,
        )

    def _check_clean_data(self):
        """Both folders must have the same names, so that splits choose the same images of both."""
        if not self.is_damaged:
            raise ValueError(
                "`--clean_data` is for images that are damaged already (--mask_from). "
                f"Received: --clean_data={self.clean_data!r} alone"
            )
        here, there = (_stems(path) for path in (self.given["data"], self.clean_data))
        if alone := sorted(here ^ there):
            raise ValueError(
                "`--clean_data` must hold the clean image of each damaged one under the same name, "
                f"and no others. Received: {len(here)} damaged and {len(there)} clean images; only "
                f"in one of the folders: {alone[0]}"
            )


class _WithClean:
    """Damaged batches with the clean images behind them.

    Args:
        damaged, clean: batches with "index", ascending, of one split of two folders with the same
            names. Images that either of them skipped (unreadable, no observed pixel) are left out.
    """

    def __init__(self, damaged, clean):
        self.damaged = damaged
        self.clean = clean

    def __iter__(self):
        aside, is_paired = _one_by_one(self.clean), False
        index, image = next(aside)
        for batch in self.damaged:
            rows, images = [], []
            for row, wanted in enumerate(checks.to_numpy(batch["index"])):
                while index < wanted:
                    index, image = next(aside, (np.inf, None))
                if index == wanted:
                    rows.append(row)
                    images.append(image)
            if rows:
                names = [name for name in batch if name != "index"]
                found = {name: checks.to_numpy(batch[name])[rows] for name in names}
                yield _same_scenes(found, images)
                is_paired = True
        if not is_paired:
            raise ValueError(
                "The damaged images must have clean ones that can be read. Received: no pair"
            )


def _one_by_one(batches):
    """Yields `(index, clean image)` of each image."""
    for batch in batches:
        images = (checks.to_numpy(batch[name]) for name in ("index", "clean"))
        yield from zip(*images, strict=True)


def _same_scenes(batch, images):
    """Returns the batch with its clean images, or raises if they show something else."""
    y = batch["observation"]
    if other := [image.shape for image in images if image.shape != y.shape[1:]]:
        raise ValueError(
            "A clean image must have the size of the damaged one. "
            f"Received: {other[0]} for {y.shape[1:]}"
        )
    mask = np.broadcast_to(batch["mask"], y.shape)
    difference = np.abs(y - images) * mask
    worst = float((difference.sum((1, 2, 3)) / np.maximum(mask.sum((1, 2, 3)), 1)).max())
    if worst > DIFFERENT:
        raise ValueError(
            "A clean image must show the same as the observed pixels of the damaged one. Check "
            "that both were cropped alike. Received: a mean difference of "
            f"{worst:.2f} (-1 is black, 1 white)"
        )
    return {**batch, "clean": np.stack(images)}


def _stems(path):
    if not os.path.isdir(path):
        raise ValueError(f"`--clean_data` must be a folder. Received: {path!r}")
    images, _ = damage.split_listing(folder.listing(path)[0])
    return {damage.stem(image) for image in images}
