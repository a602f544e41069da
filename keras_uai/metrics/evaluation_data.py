"""The images of an evaluation, damaged: from flags and a run's settings to batches."""

import os

import numpy as np

from keras_uai import datasets, measurements
from keras_uai.datasets import damage, folder
from keras_uai.metrics import checks, statistics
from keras_uai.metrics.batches import Repeatable, holdout, image_seeds, unpacked

# Settings that come from the model's run unless flags give them.
DATA = ("data", "split_seed", "image_size", "center_crop", "channels", "measurement", "mask_from")
HOLDOUT = 0.2  # share of the observed pixels hidden if no image is clean
DIFFERENT = 0.1  # mean difference at observed pixels above which two images show different scenes
_UNDAMAGED = measurements.DropPixel(0.0)


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
        has_whole_images: whether whole clean images are known, not only hidden pixels.
        identity: the entries of the provenance that name the images.
    """

    def __init__(self, options, model=None, clean_only=False, scored=True):
        settings = model.settings if model else {}
        given = {n: settings.get(n) if options.get(n) is None else options[n] for n in DATA}
        if not given["data"]:
            raise ValueError("`--data` must name a data set or a folder. Received: none")
        if model and given["image_size"] is None and None not in (model.image_shape or (None,)):
            given["image_size"] = tuple(model.image_shape[:-1])
        self.given = given
        self.options = options
        has_holes = str(given["data"]).endswith((".npy", ".npz"))  # NaN
        self.is_damaged = given["mask_from"] is not None or (
            has_holes and given["measurement"] is None and not clean_only
        )
        self.measurement = _UNDAMAGED if clean_only else self._measurement(model)
        self.clean_data = options.get("clean_data")
        if self.clean_data is not None:
            self._check_clean_data()
        knows_clean = not self.is_damaged or self.clean_data is not None
        default = HOLDOUT if scored and not knows_clean else None
        self.holdout = options.get("holdout") or default
        self.has_whole_images = knows_clean and self.holdout is None
        self.seed = given["split_seed"] or 0
        self.values = model.values if model else None
        if self.values is None:
            arguments = {**self._arguments(), "mask_from": given["mask_from"]}
            self.values = datasets.scan_values(given["data"], **arguments)
        name = given["data"]
        name = name if name in datasets.NAMES else os.path.basename(os.path.abspath(name))
        self.identity = {"dataset": name, "split": options["split"], "seed": self.seed}
        self._loaded = None

    def provenance(self):
        """Returns all that determines the images and their damage."""
        found = statistics.content(self.batches())
        damage = None if self.is_damaged else repr(self.measurement)
        return {**self.identity, **found, "measurement": damage, "holdout": self.holdout}

    def batches(self):
        """Returns an iterable of batches for `keras_uai.metrics.evaluate`."""
        if self._loaded is None:
            self._loaded = self._load()
        if self.holdout:
            return holdout(self._loaded, self.measurement, self.holdout)
        return self._loaded

    def shown(self, first, count, seed=0):
        """Returns `count` images from the position `first` on, for figures.

        It is a dict of `observation`, `mask` and `clean` (None if not known whole), lists of
        arrays, and `seeds`, int64 `(count,)`.
        """
        found = {"observation": [], "mask": [], "clean": []}
        for batch in unpacked(self.batches(), self.measurement, first, first + count, False):
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
        found = model.measurement if model else None
        if found is None and not self.is_damaged:
            raise ValueError(
                '`--measurement` must say how images are damaged, such as "DropPixel(0.9)", or '
                "`--mask_from` where the masks of damaged images are. Received: neither"
            )
        return found

    def _arguments(self):
        return {
            **{name: self.given[name] for name in ("image_size", "center_crop", "channels")},
            "split": self.options["split"],
            "seed": self.seed,
            "limit": self.options.get("images"),
            "data_dir": self.options.get("data_dir"),
        }

    def _load(self):
        arguments = {
            **self._arguments(),
            "values": self.values,
            "never_fill": self.options.get("never_fill"),
            "batch_size": 64,
            "shuffle": False,
            "index": self.clean_data is not None,
        }
        data = self.given["data"]
        if not self.is_damaged or self.measurement is _UNDAMAGED:
            return datasets.load(data, **arguments, measurement=self.measurement, clean=True)
        found = datasets.load(data, **arguments, mask_from=self.given["mask_from"])
        if self.clean_data is not None:
            options = {"measurement": _UNDAMAGED, "clean": True}
            found = Repeatable(
                _pairs, found, datasets.load(self.clean_data, **arguments, **options)
            )
        if self.measurement is None:
            self.measurement = measurements.Empirical.from_dataset(found)
        return found

    def _check_clean_data(self):
        """Both folders must have the same names, so that splits choose the same images of both."""
        if not self.is_damaged:
            raise ValueError(
                "`--clean_data` is for images that are damaged already (--mask_from). "
                f"Received: --clean_data={self.clean_data!r} alone"
            )
        damaged, clean = (
            {damage.stem(path) for path in damage.split_listing(folder.listing(root)[0])[0]}
            for root in (self.given["data"], self.clean_data)
        )
        if alone := sorted(damaged ^ clean):
            raise ValueError(
                "`--clean_data` must hold the clean image of each damaged one under the same name, "
                f"and no others. Received: {len(damaged)} damaged and {len(clean)} clean images; "
                f"only in one of the folders: {alone[0]}"
            )


def _pairs(damaged, clean):
    """Yields damaged batches with the clean images behind them; both have "index", ascending.

    Images that either of the two skipped (unreadable, no observed pixel) are left out.
    """
    images = (
        pair
        for batch in clean
        for pair in zip(*(checks.to_numpy(batch[n]) for n in ("index", "clean")), strict=True)
    )
    index, image = next(images, (np.inf, None))
    for batch in damaged:
        rows, found = [], []
        for row, wanted in enumerate(checks.to_numpy(batch["index"])):
            while index < wanted:
                index, image = next(images, (np.inf, None))
            if index == wanted:
                rows.append(row)
                found.append(image)
        if rows:
            batch = {n: checks.to_numpy(v)[rows] for n, v in batch.items() if n != "index"}
            for y, mask, x in zip(batch["observation"], batch["mask"], found, strict=True):
                _check_same_scene(y, mask, x)
            yield {**batch, "clean": np.stack(found)}


def _check_same_scene(y, mask, x):
    seen = np.broadcast_to(mask > 0.5, y.shape)
    difference = np.abs(y - x)[seen].mean() if y.shape == x.shape else np.inf
    if difference > DIFFERENT:
        raise ValueError(
            "A clean image must show the same as the observed pixels of the damaged one: "
            "`--clean_data` must be a folder of images of the same names and sizes. Received: "
            f"images of {y.shape} and {x.shape}, a mean difference of {difference:.2f} (-1 is "
            "black, 1 white)"
        )
