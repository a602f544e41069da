"""From settings to data sets and to a compiled model."""

import itertools

import keras

from keras_uai import datasets, measurements
from keras_uai.experiment import settings as settings_module


def load(settings, places, split, **overrides):
    """`keras_uai.datasets.load` with the settings' data.

    Args:
        settings: dict of `settings.resolve`.
        places: dict with `"data_dir"` and `"download"`.
        split: as for `datasets.load`.
        **overrides: further arguments of it.
    """
    measurement = settings["measurement"]
    arguments = {
        "image_size": settings["image_size"],
        "crop_size": settings["crop_size"],
        "channels": settings["channels"],
        "mask_from": settings["mask_from"],
        "measurement": None if settings["mask_from"] else measurements.get(measurement),
        "seed": settings["split_seed"],
        "strict": settings["strict"],
        "data_dir": places.get("data_dir"),
        "download": bool(places.get("download")),
    }
    return datasets.load(settings["data"], split, **{**arguments, **overrides})


def train_data(settings, places, start_epoch=0):
    """The batches of one epoch to train on; the next iteration makes those of the next."""
    cls = settings_module.model_classes()[settings["model"]]
    batch_size = settings["batch_size"]
    dataset = load(
        settings, places, "train", batch_size=batch_size, limit=settings["limit"],
        clean=cls.needs_clean, start_epoch=start_epoch,
    )  # fmt: skip
    parts = settings["micro_batches"]
    if parts > 1 and len(dataset) == 1:
        size = len(keras.tree.flatten(next(iter(dataset)))[0])
        if size % parts:
            raise ValueError(
                f"The data set has {size} images to train on, less than a batch, and they cannot "
                f"be cut into {parts} micro-batches. Received: --batch_size={batch_size} "
                f"--micro_batches={parts}"
            )
    return dataset


def stream(settings, places, step):
    """The training batches from step `step` on, without end: a function of the seed and the step.

    That is what makes a resumed run see what an uninterrupted one would have seen.
    """
    epoch, done = divmod(step, len(train_data(settings, places)))
    dataset = train_data(settings, places, start_epoch=epoch)
    if keras.backend.backend() == "tensorflow":
        return dataset.repeat().skip(done).prefetch(2)

    def batches():
        first = done
        for _ in itertools.count():
            for number in range(first, len(dataset)):
                yield dataset[number]
            dataset.on_epoch_end()
            first = 0

    return batches()


def withheld_data(settings, places, limit, batch_size=50):
    """Up to `limit` withheld images, with the clean ones where the data set has them."""
    clean = settings["mask_from"] is None
    return load(settings, places, "withheld", limit=limit, batch_size=batch_size, clean=clean)


def make_measurement(settings, places):
    """The measurement: given by its parameters, or by the masks of the damaged images."""
    text = settings["measurement"]
    if not text.startswith("Empirical"):
        return measurements.get(text)
    arguments = settings_module.empirical_arguments(text)
    return measurements.Empirical.from_dataset(train_data(settings, places), **arguments)


def make_model(settings, image_shape, measurement, total_steps=None):
    """The compiled model, with fresh weights that depend on `settings["seed"]` only.

    Args:
        settings: dict of `settings.resolve`.
        image_shape: `(height, width, channels)`.
        measurement: a `Measurement`.
        total_steps: where the training ends; None where the clock ends it.
    """
    keras.config.set_dtype_policy(settings["precision"])
    keras.utils.set_random_seed(settings["seed"])
    cls = settings_module.model_classes()[settings["model"]]
    model = cls(image_shape, measurement, **settings_module.model_arguments(settings))
    optimizers = [
        keras.optimizers.Adam(
            learning_rate(settings, settings[name], total_steps),
            beta_1=settings["beta_1"],
            beta_2=settings["beta_2"],
        )
        for name in ("learning_rate", "discriminator_learning_rate")
    ]
    jit_compile = {"auto": "auto", "true": True, "false": False}[settings["jit_compile"]]
    model.compile(
        *optimizers,
        gan_loss=settings["gan_loss"],
        loss_weights=settings_module.loss_weights(settings),
        micro_batches=settings["micro_batches"],
        jit_compile=jit_compile,
    )
    return model


def learning_rate(settings, rate, total_steps):
    """A Keras schedule where the number of steps is known, else the rate that
    `learning_rate.FollowBudget` then changes.
    """
    warmup, cosine = settings["warmup_steps"], settings["schedule"] == "cosine"
    if not by_schedule(settings) or not (warmup or cosine):
        return rate
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        decay_steps=max(1, (total_steps or warmup + 1) - warmup),
        alpha=0.0 if cosine else 1.0,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )


def by_schedule(settings):
    """Whether the learning rate is a function of the step alone."""
    return settings["minutes"] is None or settings["schedule"] == "constant"


def image_shape(dataset):
    """`(height, width, channels)` of a data set's images."""
    batch = next(iter(dataset))
    y = batch["observation"] if isinstance(batch, dict) else batch
    return tuple(int(n) for n in y.shape[1:])


def total_steps(settings, steps_per_epoch):
    """Where the training ends by number of steps; None where only the clock ends it."""
    limits = [settings["steps"]]
    if settings["epochs"]:
        limits.append(settings["epochs"] * steps_per_epoch)
    return min((limit for limit in limits if limit), default=None)
