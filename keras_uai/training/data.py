"""Data sets of a run: the training batches from any step on, and the images to score."""

import functools

import keras

from keras_uai import datasets, measurements
from keras_uai.training import configuration
from keras_uai.training.settings import model_classes

#: Settings that are arguments of `datasets.load` under the same name.
SETTINGS = (
    "image_size",
    "crop_size",
    "center_crop",
    "channels",
    "mask_from",
    "random_horizontal_flip",
    "strict",
)


class Data:
    """The data of a run.

    Args:
        settings: dict of `configuration.resolve`.
        data_dir, download: as for `datasets.load`.
    """

    def __init__(self, settings, data_dir=None, download=False):
        self.settings = settings
        self.has_clean = settings["mask_from"] is None
        self.required_images = required_images(settings)
        self.train_split = train_split(settings)
        self._arguments = {
            **{name: settings[name] for name in SETTINGS},
            "measurement": measurements.get(settings["measurement"]) if self.has_clean else None,
            "seed": settings["split_seed"],
            "data_dir": data_dir,
            "download": bool(download),
        }
        self._scored = {}

    @functools.cached_property
    def values(self):
        """The `ValueScaling` of the data."""
        return datasets.scan_values(self.settings["data"], self.train_split, **self._arguments)

    def load(self, split, **arguments):
        """Calls `datasets.load` with the settings' data."""
        arguments = {**self._arguments, "values": self.values, **arguments}
        return datasets.load(self.settings["data"], split, **arguments)

    def _train(self, **arguments):
        return self.load(
            self.train_split,
            batch_size=self.settings["batch_size"],
            limit=self.settings["limit"],
            clean="clean" in self.required_images,
            unpaired="unpaired" in self.required_images,
            **arguments,
        )

    @functools.cached_property
    def train(self):
        """An epoch of training batches; kept, so that images are decoded once."""
        return self._train()

    @property
    def steps_per_epoch(self):
        """Steps from one row of the log to the next: by default once through the data."""
        return self.settings["steps_per_epoch"] or len(self.train)

    def stream(self, step):
        """Returns the endless training batches from a step on, a function of seed and step."""
        stream = datasets.stream(self._train(repeat=True, start_batch=step))
        if keras.backend.backend() == "tensorflow":
            return stream
        return ((batch,) for batch in stream)  # Keras takes generators of tuples

    def scored(self, limit, split="validation"):
        """Returns up to `limit` whole images to score, with clean ones where the data has them.

        Args:
            limit: integer.
            split: `"validation"`, or `"test"`, which supervised models were not trained on either.
        """
        key = (limit, split)
        if key not in self._scored:
            batch_size = 50 if self.settings["crop_size"] is None else 4
            self._scored[key] = self.load(
                split, limit=limit, batch_size=batch_size, clean=self.has_clean
            )
        return self._scored[key]

    @functools.cached_property
    def image_shape(self):
        """`(height, width, channels)`; `(None, None, channels)` of models trained on crops."""
        shape = tuple(int(n) for n in _observation(next(iter(self.train))).shape[1:])
        return shape if self.settings["crop_size"] is None else (None, None, shape[-1])

    @functools.cached_property
    def measurement(self):
        """The measurement, of its parameters or of the masks of damaged images."""
        text = self.settings["measurement"]
        if not text.startswith("Empirical"):
            return measurements.get(text)
        arguments = configuration.empirical_arguments(text)
        return measurements.Empirical.from_dataset(self.train, **arguments)


def required_images(settings):
    """Returns the names of the clean images that the model is trained with."""
    return model_classes()[settings["model"]].required_images


def train_split(settings):
    """Returns the split to train on.

    It is everything except the validation split; with supervision the test split is left out, too;
    with unpaired clean images it is the half of the rest that these do not come from.
    """
    required = required_images(settings)
    if "unpaired" in required:
        return "damaged"
    return "supervised_train" if required else "train"


def _observation(batch):
    return batch["observation"] if isinstance(batch, dict) else batch
