"""The images of an evaluation, damaged: from flags and a run's settings to batches."""

import functools
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
UNDAMAGED = "DropPixel(0.0)"


class EvaluationData:
    """The data of an evaluation: whole images, in the same order each time.

    Args:
        options: dict of the flags `data`, `data_dir`, `split`, `split_seed`, `image_size`,
            `center_crop`, `channels`, `measurement`, `mask_from`, `clean_data`, `holdout` and
            `images`; None or absent if not given.
        model: `Predictor`, whose settings and measurement are the defaults; or None.

    Attributes:
        values: the `ValueScaling` of the images.
        measurement: the `Measurement`; None before `batches` if it is that of the data set's masks.
        has_whole_images: whether whole clean images are known, not only hidden pixels.
        identity: the entries of the provenance that name the images.
    """

    def __init__(self, options, model=None):
        settings = model.settings if model else {}
        given = {n: settings.get(n) if options.get(n) is None else options[n] for n in DATA}
        if not given["data"]:
            raise ValueError("`--data` must name a data set or a folder. Received: none")
        if model and given["image_size"] is None and None not in (model.image_shape or (None,)):
            given["image_size"] = tuple(model.image_shape[:-1])
        self.given = given
        has_holes = str(given["data"]).endswith((".npy", ".npz"))  # NaN
        self.is_damaged = given["mask_from"] is not None or (
            has_holes and given["measurement"] is None
        )
        self.measurement = self._measurement(model)
        self.clean_data = options.get("clean_data")
        if self.clean_data is not None:
            self._check_clean_data()
        knows_clean = not self.is_damaged or self.clean_data is not None
        self.holdout = options.get("holdout")
        if self.holdout is None and not knows_clean:
            self.holdout = HOLDOUT
        self.has_whole_images = knows_clean and not self.holdout
        name, split, seed = given["data"], options["split"], given["split_seed"] or 0
        self.arguments = {
            **{name: given[name] for name in ("image_size", "center_crop", "channels")},
            "split": split,
            "seed": seed,
            "limit": options.get("images"),
            "data_dir": options.get("data_dir"),
        }
        self.values = model.values if model else None
        if self.values is None:
            masks = {"mask_from": given["mask_from"]}
            self.values = datasets.scan_values(given["data"], **self.arguments, **masks)
        name = name if name in datasets.NAMES else os.path.basename(os.path.abspath(name))
        self.identity = {"dataset": name, "split": split, "seed": seed}

    def provenance(self):
        """Returns all that determines the images and their damage."""
        found = statistics.content(self.batches())
        damage = None if self.is_damaged else repr(self.measurement)
        hidden = {"holdout": self.holdout or None}
        return {**self.identity, **found, "measurement": damage, **hidden}

    def batches(self):
        """Returns an iterable of batches for `keras_uai.metrics.evaluate`."""
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
                f"`--first` must be less than the number of {self.arguments['split']} images. "
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

    @functools.cached_property
    def _loaded(self):
        arguments = {**self.arguments, "values": self.values, "batch_size": 64, "shuffle": False}
        arguments["index"] = self.clean_data is not None
        data = self.given["data"]
        if not self.is_damaged:
            return datasets.load(data, **arguments, measurement=self.measurement, clean=True)
        found = datasets.load(data, **arguments, mask_from=self.given["mask_from"])
        if self.clean_data is not None:
            clean = datasets.load(self.clean_data, **arguments, measurement=UNDAMAGED, clean=True)
            found = Repeatable(_pairs, found, clean)
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
        if not os.path.isdir(self.clean_data):
            raise ValueError(f"`--clean_data` must be a folder. Received: {self.clean_data!r}")
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
        batch = {name: checks.to_numpy(value) for name, value in batch.items()}
        rows, found = [], []
        for row, wanted in enumerate(batch.pop("index")):
            while index < wanted:
                index, image = next(images, (np.inf, None))
            if index == wanted:
                _check_same_scene(batch["observation"][row], batch["mask"][row], image)
                rows.append(row)
                found.append(image)
        if rows:
            yield {**{n: v[rows] for n, v in batch.items()}, "clean": np.stack(found)}


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
