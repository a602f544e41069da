"""Which images an evaluation is of, and how they are damaged: options and a run's settings in, batches
out.
"""

import os

import numpy as np

from keras_uai import datasets, measurements
from keras_uai.datasets import damage, folder
from keras_uai.metrics import checks, evaluation, references

DATA = ("data", "split_seed", "image_size", "crop_size", "channels", "measurement", "mask_from")
HOLDOUT = 0.2  # share of the observed pixels hidden where no image is clean
DIFFERENT = (
    0.1  # mean difference at observed pixels, of -1 to 1, above which two images are of two scenes
)


class EvaluationData:
    """The data of an evaluation.

    Args:
        options: dict of `data`, `data_dir`, `split`, `split_seed`, `image_size`, `crop_size`,
            `channels`, `measurement`, `mask_from`, `clean_data`, `holdout`, `images`; None where not
            given.
        sampler: `samplers.Sampler` or None; what its run and its measurement say holds where no
            option says otherwise.
        clean_only: load clean images and damage none.
        scored: hide some observed pixels of images that are not known clean; else they are as they are.
    """

    def __init__(self, options, sampler=None, clean_only=False, scored=True):
        known = {} if sampler is None else sampler.settings
        given = {
            name: known.get(name) if options.get(name) is None else options[name] for name in DATA
        }
        if not given["data"]:
            raise ValueError(
                "Which images? Name a data set or a folder (--data). Received: data=None"
            )
        if sampler is not None and sampler.image_shape and given["image_size"] is None:
            given["image_size"] = sampler.image_shape[0]
        self.given, self.options, self.clean_only = given, options, clean_only
        self.damaged = given["mask_from"] is not None
        self.measurement = None if clean_only else _measurement(given, sampler)
        if self.measurement is None and not self.damaged and not clean_only:
            raise ValueError(
                'How are the images damaged? Say --measurement="DropPixel(0.9)" or the like, or '
                "--mask_from for images that are damaged already. Received: neither"
            )
        self.clean_data = options.get("clean_data")
        if self.clean_data is not None:
            self._check_clean_data()
        self.knows_clean = not self.damaged or self.clean_data is not None
        self.holdout = options.get("holdout") or None
        if scored and not self.knows_clean:
            self.holdout = self.holdout or HOLDOUT
        self.seed = given["split_seed"] or 0
        self._loaded = None

    @property
    def has_whole_images(self):
        """Whether whole clean images are known, and not pixels hidden from damaged ones only."""
        return self.knows_clean and self.holdout is None

    @property
    def identity(self):
        """What names the images, for stamps."""
        name = self.given["data"]
        name = name if name in datasets.NAMES else os.path.basename(os.path.abspath(name))
        return {"dataset": name, "split": self.options["split"], "seed": self.seed}

    def stamp(self):
        """All that says which images, damaged how; `content` is a digest of the pixels."""
        found = references.content(self.batches())
        damage = None if self.damaged else repr(self.measurement)
        return {**self.identity, **found, "measurement": damage, "holdout": self.holdout}

    def batches(self):
        """The batches, from the first image on, in the same order each time."""
        if self._loaded is None:
            self._loaded = self._load()
            if self.measurement is None and self.damaged:
                self.measurement = measurements.Empirical.from_dataset(self._loaded)
        if self.holdout:
            return evaluation.holdout(self._loaded, self.measurement, self.holdout)
        return self._loaded

    def first(self, count):
        """The first `count` images as one batch (see `evaluation.unpack`); all for None."""
        batches, seen = [], 0
        for batch in self.batches():
            room = None if count is None else count - seen
            if room is not None and room <= 0:
                break
            needs_clean = self.knows_clean or self.holdout is not None
            batches.append(evaluation.unpack(batch, self.measurement, room, needs_clean))
            seen += len(batches[-1]["observation"])
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    def _load(self):
        if self.clean_only:
            return self._split(self.given["data"], measurement=measurements.DropPixel(0.0))
        if not self.damaged:
            return self._split(self.given["data"], measurement=self.measurement)
        aside = self.clean_data is not None
        damaged = self._split(self.given["data"], mask_from=self.given["mask_from"], index=aside)
        if not aside:
            return damaged
        clean = self._split(self.clean_data, measurement=measurements.DropPixel(0.0), index=True)
        return _WithClean(damaged, clean)

    def _split(self, data, measurement=None, mask_from=None, index=False):
        return datasets.load(
            data,
            self.options["split"],
            image_size=self.given["image_size"],
            crop_size=self.given["crop_size"],
            channels=self.given["channels"],
            mask_from=mask_from,
            measurement=measurement,
            seed=self.seed,
            limit=self.options["images"],
            batch_size=64,
            shuffle=False,
            clean=mask_from is None,
            index=index,
            data_dir=self.options["data_dir"],
        )

    def _check_clean_data(self):
        """Two folders with the same names, extensions aside: then splits choose the same images of both."""
        if not self.damaged:
            raise ValueError(
                "--clean_data goes with images that are damaged already (--mask_from); others are clean themselves. "
                f"Received: clean_data={self.clean_data!r}"
            )
        here, there = (_stems(path) for path in (self.given["data"], self.clean_data))
        alone = sorted(here ^ there)
        if alone:
            raise ValueError(
                "--clean_data must hold the clean image of each damaged one under the same name, and no others. "
                f"Received: {len(here)} damaged and {len(there)} clean images; only in one of the folders: {alone[0]}"
            )


class _WithClean:
    """Damaged batches with the clean images behind them, as often as wanted.

    Args:
        damaged, clean: batches with "index", of one split of two folders with the same names. Either may have skipped
            images that cannot be read or have no observed pixel: those that are in both are left.
    """

    def __init__(self, damaged, clean):
        self.damaged, self.clean = damaged, clean

    def __iter__(self):
        aside, paired = _one_by_one(self.clean), False
        index, image = next(aside)
        for batch in self.damaged:
            found, rows, images = evaluation.unpack(batch, needs_clean=False), [], []
            for row, wanted in enumerate(checks.to_numpy(batch["index"])):
                while index < wanted:  # both ascend
                    index, image = next(aside, (np.inf, None))
                if index == wanted:
                    rows.append(row)
                    images.append(image)
            if rows:
                found = {name: values[rows] for name, values in found.items()}
                yield _same_scenes({**found, "clean": np.stack(images)})
                paired = True
        if not paired:
            raise ValueError(
                "No damaged image that can be used has a clean one that can be read. "
                "Received: none in common"
            )


def _one_by_one(batches):
    """`(index, clean image)` of the batches' images."""
    for batch in batches:
        clean = evaluation.unpack(batch)["clean"]
        yield from zip(checks.to_numpy(batch["index"]), clean, strict=True)


def _same_scenes(batch):
    """The batch, or an error where an observation is not of its clean image."""
    difference = np.abs(batch["observation"] - batch["clean"]) * batch["mask"]
    seen = batch["mask"].sum((1, 2, 3)) * difference.shape[-1]
    worst = float((difference.sum((1, 2, 3)) / np.maximum(seen, 1)).max())
    if worst > DIFFERENT:
        raise ValueError(
            "Some clean image shows something else than the observed pixels of the damaged one: were they "
            "cropped alike? --crop_size is that of both, in pixels of each. Received: a mean difference of "
            f"{worst:.2f} (-1 is black, 1 white)"
        )
    return batch


def _stems(path):
    if not os.path.isdir(path):
        raise ValueError(f"There is no such folder. Received: {path!r}")
    images, _ = damage.split_listing(folder.listing(path)[0])
    return {os.path.splitext(image)[0] for image in images}


def _measurement(given, sampler):
    text = given["measurement"]
    if text is not None and not str(text).startswith("Empirical"):
        return measurements.get(text)
    return None if sampler is None else sampler.measurement
