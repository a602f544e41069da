"""From settings to data sets: what to train on from any step on, and what to score on."""

import functools
import itertools

import keras

from keras_uai import datasets, measurements
from keras_uai.experiment import settings as settings_module


class Data:
    """The data of a run.

    Args:
        settings: dict of `settings.resolve`.
        data_dir, download: as for `datasets.load`.
    """

    def __init__(self, settings, data_dir=None, download=False):
        self.settings, self.data_dir, self.download = settings, data_dir, bool(download)
        self._withheld = {}
        self.has_clean = settings["mask_from"] is None
        self.model_class = settings_module.model_classes()[settings["model"]]
        self.train_split = train_split(settings)

    def load(self, split, **arguments):
        """`keras_uai.datasets.load` with the settings' data."""
        settings = self.settings
        return datasets.load(
            settings["data"],
            split,
            image_size=settings["image_size"],
            crop_size=settings["crop_size"],
            channels=settings["channels"],
            mask_from=settings["mask_from"],
            measurement=measurements.get(settings["measurement"]) if self.has_clean else None,
            seed=settings["split_seed"],
            strict=settings["strict"],
            data_dir=self.data_dir,
            download=self.download,
            **arguments,
        )

    def _train(self, start_epoch=0):
        settings = self.settings
        return self.load(
            self.train_split,
            batch_size=settings["batch_size"],
            limit=settings["limit"],
            clean=self.model_class.needs_clean,
            unpaired=self.model_class.needs_unpaired,
            start_epoch=start_epoch,
        )

    @functools.cached_property
    def train(self):
        """The batches to train on. Kept, so that images are decoded once."""
        dataset = self._train()
        parts, size = self.settings["micro_batches"], self.settings["batch_size"]
        if parts > 1 and len(dataset) == 1:
            found = len(_observation(next(iter(dataset))))
            if found % parts:
                raise ValueError(
                    f"There are {found} images to train on, less than a batch, and they cannot be "
                    f"cut into {parts} micro-batches. Received: --batch_size={size} "
                    f"--micro_batches={parts}"
                )
        return dataset

    @property
    def steps_per_epoch(self):
        """Steps from one line of the log to the next: once through the data by default."""
        return self.settings["steps_per_epoch"] or len(self.train)

    def stream(self, step):
        """The training batches from step `step` on, without end: a function of seed and step.

        That is what makes a resumed run see what an uninterrupted one would have seen.
        """
        epoch, done = divmod(step, len(self.train))
        dataset = self._train(epoch)
        if keras.backend.backend() == "tensorflow":
            # Each round of `repeat` makes a new iterator, and with it the next epoch's order.
            return dataset.repeat().skip(done).prefetch(2)

        epochs = (dataset.get_numpy_iterator() for _ in itertools.repeat(None))
        batches = itertools.chain.from_iterable(epochs)
        return (batch for batch in itertools.islice(batches, done, None))  # Keras takes generators

    def withheld(self, limit, batch_size=50, split="withheld"):
        """Up to `limit` withheld images, with the clean ones where the data set has them; or those
        of the split `"test"`, on which the supervised models were not trained either.
        """
        key = (limit, batch_size, split)
        if key not in self._withheld:
            self._withheld[key] = self.load(
                split, limit=limit, batch_size=batch_size, clean=self.has_clean
            )
        return self._withheld[key]

    @functools.cached_property
    def image_shape(self):
        """`(height, width, channels)`."""
        return tuple(int(n) for n in _observation(next(iter(self.train))).shape[1:])

    @functools.cached_property
    def measurement(self):
        """Given by its parameters, or by the masks of the damaged images."""
        text = self.settings["measurement"]
        if not text.startswith("Empirical"):
            return measurements.get(text)
        arguments = settings_module.empirical_arguments(text)
        return measurements.Empirical.from_dataset(self.train, **arguments)


def train_split(settings):
    """All but the withheld images; with supervision without the test images too, and with unpaired
    clean images only the half of the rest that these are not of.
    """
    cls = settings_module.model_classes()[settings["model"]]
    if cls.needs_unpaired:
        return "damaged"
    return "supervised_train" if cls.needs_clean else "train"


def _observation(batch):
    return batch["observation"] if isinstance(batch, dict) else batch
