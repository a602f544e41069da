"""Data sets of a run: the training batches from any step on, and the images to score."""

import functools

import keras
import numpy as np

from keras_uai import datasets, measurements
from keras_uai.datasets import opening
from keras_uai.training import configuration


class Data:
    """The data of a run; `data_dir` and `download` are as for `datasets.load`."""

    def __init__(self, settings, data_dir=None, download=False):
        self.settings = settings
        self.has_clean = settings["mask_from"] is None
        names = ("image_size", "crop_size", "center_crop", "channels", "mask_from", "strict")
        self._arguments = {
            **{name: settings[name] for name in (*names, "random_horizontal_flip")},
            "measurement": measurements.get(settings["measurement"]) if self.has_clean else None,
            "seed": settings["split_seed"],
            "data_dir": data_dir,
            "download": download,
        }

    @functools.cached_property
    def values(self):
        """The `ValueScaling` of the data."""
        split = train_split(self.settings)
        return datasets.scan_values(self.settings["data"], split, **self._arguments)

    def fingerprint(self):
        """Returns `{"images": number, "digest": text}` of the images, wherever they are."""
        source = opening.make_source(self.settings["data"], **self._arguments)
        return {"images": source.size, "digest": source.content_digest()}

    def check_same(self, saved):
        """Raises a ValueError where the images are not those of a saved fingerprint."""
        if saved and saved != (now := self.fingerprint()):
            raise ValueError(
                "A run is resumed with the images it was started with; names or contents differ. "
                f"Received: --data={self.settings['data']} with {now['images']} images, "
                f"fingerprint {now['digest']}; the run has {saved['images']}, {saved['digest']}. "
                "Put them back, or start a new run"
            )

    def load(self, split, **arguments):
        """Calls `datasets.load` with the settings' data."""
        arguments = {**self._arguments, "values": self.values, **arguments}
        return datasets.load(self.settings["data"], split, **arguments)

    def _train(self, **arguments):
        required = configuration.MODELS[self.settings["model"]].required_images
        return self.load(
            train_split(self.settings),
            batch_size=self.settings["batch_size"],
            limit=self.settings["limit"],
            clean="clean" in required,
            unpaired="unpaired" in required,
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

    def images_of_step(self, step, most=32):
        """Returns the names of the images of a step's batch as text, the largest values first."""
        dataset = self._train(repeat=True, index=True, start_batch=step)
        batch = {n: keras.ops.convert_to_numpy(v) for n, v in next(iter(dataset)).items()}
        largest = np.abs(batch["observation"]).max(axis=(1, 2, 3))
        order = np.argsort(-largest, kind="stable")
        names = datasets.labels(dataset, batch["index"][order[:most]])
        found = [
            f"{name} ({value:.3g})" for name, value in zip(names, largest[order], strict=False)
        ]
        return ", ".join(found + ([f"and {len(order) - most} more"] if len(order) > most else []))

    def scored(self, limit, split="validation"):
        """Returns up to `limit` whole images to score, with clean ones where the data has them."""
        batch_size = 50 if self.settings["crop_size"] is None else 4
        return self.load(split, limit=limit, batch_size=batch_size, clean=self.has_clean)

    @functools.cached_property
    def image_shape(self):
        """`(height, width, channels)`; `(None, None, channels)` of models trained on crops."""
        batch = next(iter(self.train))
        y = batch["observation"] if isinstance(batch, dict) else batch
        shape = tuple(int(n) for n in y.shape[1:])
        return shape if self.settings["crop_size"] is None else (None, None, shape[-1])

    @functools.cached_property
    def measurement(self):
        """The measurement, of its parameters or of the masks of damaged images."""
        text = self.settings["measurement"]
        if not text.startswith("Empirical"):
            return measurements.get(text)
        arguments = configuration.empirical_arguments(text)
        return measurements.Empirical.from_dataset(self.train, **arguments)


def train_split(settings):
    """Returns the split to train on.

    It is everything except the validation split; with supervision the test split is left out, too;
    with unpaired clean images it is the half of the rest that these do not come from.
    """
    required = configuration.MODELS[settings["model"]].required_images
    if "unpaired" in required:
        return "damaged"
    return "supervised_train" if required else "train"
