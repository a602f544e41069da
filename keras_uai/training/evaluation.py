"""Scores of a run and of baselines on validation images, and pictures of samples."""

import os

import keras

from keras_uai import callbacks, metrics
from keras_uai.training import distribution

#: Baselines beside every model, with their names in tables.
BASELINES = {
    "linear_interpolation": "linear interpolation",
    "nearest": "nearest neighbour",
    "mean_colour": "mean colour",
}
#: Share of the observed pixels that is hidden for scores where no clean images are known.
HOLDOUT = 0.2
_COLUMNS = {"mse": 4, "psnr": 2, "ssim": 3}  # and their decimals


class Evaluator:
    """Scores a model on validation images.

    Without clean images, observed pixels are hidden from the model and scored (`metrics.holdout`).

    Args:
        settings: dict of `configuration.resolve`.
        data: the run's `data.Data`.
        model: an `InpaintingModel`.
    """

    def __init__(self, settings, data, model):
        self.settings = settings
        self.data = data
        self.model = model
        self.extractor = None
        if settings["extractor"] and data.has_clean:
            name = settings["extractor"]
            # Missing weights are an error now, not after the training.
            self.extractor = metrics.extractors.get(None if name == "auto" else name)

    def dataset(self, images, split="validation"):
        """Returns batches of the split that can be scored."""
        dataset = self.data.scored(images, split)
        if self.data.has_clean:
            return dataset
        return metrics.holdout(dataset, self.model.measurement, HOLDOUT)

    def scores(self):
        """Returns `{"model": scores, "linear_interpolation": scores, ...}`; `{}` for no images."""
        images, samples = self.settings["eval_images"], self.settings["num_samples"]
        if not images:
            return {}
        found = {"model": self._score(self.model, samples)}
        if self.model.generator.predicts_mean:
            predictor = metrics.predictors.of_model(self.model)
            mean = metrics.predictors.predicted_mean(predictor)
            found["model_mean"] = self._score(mean, 1)
        for name in BASELINES:
            found[name] = self._score(name, 1)
        return found

    def _score(self, predictor, samples):
        images = self.settings["eval_images"]
        return metrics.evaluate(
            predictor,
            self.dataset(images, self.settings["eval_split"]),
            samples,
            measurement=self.model.measurement,
            max_images=images,
            extractor=self.extractor,
            progress="Scores",
        )

    def describe_data(self):
        """Returns a dict of JSON values that says which images were scored, and by which features."""
        names = ("data", "split_seed", "measurement", "mask_from", "image_size", "center_crop")
        found = {
            "split": self.settings["eval_split"],
            "holdout": None if self.data.has_clean else HOLDOUT,
        }
        if self.extractor is not None:
            found |= self.extractor.provenance()
        return found | {name: self.settings[name] for name in names}

    def title(self):
        """Returns the title of the table of scores."""
        settings = self.settings
        split = settings["eval_split"]
        trained_on = split == "test" and self.data.train_split == "train"
        known = "trained on as damaged" if trained_on else "never trained on"
        text = f"{split} images of {settings['data']}, {settings['measurement']}, {known}"
        return text if self.data.has_clean else f"{text}; on pixels that were hidden for this"


class Monitor(keras.callbacks.Callback):
    """Adds scores of some validation images to the logs every few epochs, and draws a picture.

    Nothing is scored where the training ends or is interrupted.

    Args:
        evaluator: the run's `Evaluator`.
        folder: path of the run; pictures are written to `grids/`.
        group: the run's `distribution` group, whose chief runs this. Default: one process.
    """

    def __init__(self, evaluator, folder, group=None):
        super().__init__()
        settings = evaluator.settings
        self.group = group or distribution.SingleProcess()
        self.every = settings["eval_every"]
        self.folder = folder
        self.scores = None
        self.grid = None
        if images := settings["monitor_images"]:
            self.scores = callbacks.Scores(
                evaluator.dataset(images),
                num_samples=settings["num_samples"],
                max_images=images,
                progress=False,
            )
        if images := settings["grid_images"]:
            self.grid = callbacks.ImageGrid(
                evaluator.data.scored(images),
                folder,
                num_images=images,
                max_samples=settings["grid_samples"],
            )

    def set_model(self, model):
        super().set_model(model)
        for part in (self.scores, self.grid):
            if part is not None:
                part.set_model(model)

    def on_epoch_end(self, epoch, logs=None):
        if not self.every or (epoch + 1) % self.every or self.model.stop_training:
            return
        with self.group.chief_only():
            if self.scores is not None:
                logs.update({f"val_{n}": value for n, value in self.scores.measure().items()})
            self.draw(f"{int(self.model.step):06d}")

    def draw(self, name):
        """Writes `grids/NAME.png` of the same images with the same seeds; returns its path."""
        if self.grid is None:
            return None
        path = os.path.join(self.folder, "grids", f"{name}.png")
        metrics.figures.save_png(self.grid.draw(), path)
        return path


def table(scores, title):
    """Returns the table that a run prints at its end.

    Args:
        scores: dict of `Evaluator.scores`.
        title: string of `Evaluator.title`.
    """
    if not scores:
        return "No images were scored (--eval_images=0)."
    model, samples = scores["model"], scores["model"]["num_samples"]
    columns = {name: digits for name, digits in _COLUMNS.items() if name in model}
    distance = next((name for name in model if name == "fid" or name.startswith("frechet_")), None)
    if distance:
        columns[distance] = 1
    rows = [
        ("this model, one sample", model),
        (f"this model, mean of {samples}", {n: model.get(f"{n}_of_mean") for n in columns}),
        *([("this model, predicted mean", scores["model_mean"])] if "model_mean" in scores else []),
        *((words, scores[name]) for name, words in BASELINES.items()),
    ]
    head = "".join(f"{name.split('_')[0].upper():>9s}" for name in columns)
    lines = [f"{model['images']} {title}:", f"{'':28s}{head}"]
    for words, row in rows:
        lines.append(f"{words:28s}" + "".join(_cell(row.get(n), d) for n, d in columns.items()))
    if distance:
        lines.append(f"FRECHET/FID: {distance}, from {model['images']} images")
    lines.append(
        f"diversity: std {model['std']:.3f} over {samples} samples per image; spread-skill "
        f"{model['spread_skill']:.2f}\n(1: the spread equals the error, 0: z is ignored); "
        f"CRPS {model['crps']:.4f}"
    )
    return "\n".join(lines)


def _cell(value, digits):
    return f"{'-':>9s}" if value is None else f"{value:9.{digits}f}"
