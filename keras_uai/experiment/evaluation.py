"""What a run is worth: scores and baselines on withheld images, as a dict and as a table; pictures."""

import os

import keras

from keras_uai import callbacks, metrics
from keras_uai.callbacks.parts import DistancePart
from keras_uai.experiment import cells, distribution
from keras_uai.metrics.evaluation import sample_batches
from keras_uai.metrics.evaluation_data import HOLDOUT


class Evaluator:
    """Scores a model on withheld images; where there are no clean ones, on observed pixels that are
    hidden for it (`metrics.holdout`).

    Args:
        settings: the run's.
        data: its `data.Data`.
        model: an `InpaintingModel`.
    """

    def __init__(self, settings, data, model):
        self.settings, self.data, self.model = settings, data, model
        self.distance, name = None, settings["extractor"]
        if name and data.has_clean:
            self.distance = DistancePart(None if name == "auto" else name)
            _ = (
                self.distance.extractor
            )  # where its weights are missing: now, not after the training

    def dataset(self, images, split="withheld"):
        """Batches of the split that can be scored."""
        dataset = self.data.withheld(images, split=split)
        if self.data.has_clean:
            return dataset
        return metrics.holdout(dataset, self.model.measurement, HOLDOUT)

    def scores(self):
        """`{"model": {...}, "linear_interpolation": {...}, ...}`, as of `metrics.evaluate`; with an
        extractor also the Fréchet distance.
        """
        images, samples = self.settings["eval_images"], self.settings["num_samples"]
        if not images:
            return {}
        found = {"model": self._score(self.model.inpaint, images, samples)}
        if self.model.generator.predicts_mean:
            found["model_mean"] = self._score(self._mean, images, 1)
        for name in cells.BASELINES:
            found[name] = self._score(metrics.baselines.as_sampler(name), images, 1)
        return found

    def _score(self, sampler, images, samples):
        scores = metrics.Scores()
        if self.distance is not None:
            self.distance.start()
        for batch in sample_batches(
            sampler,
            self.dataset(images, self.settings["eval_split"]),
            samples,
            measurement=self.model.measurement,
            max_images=images,
            progress="Scores",
        ):
            scores.update(batch["clean"], batch["samples"], batch["mask"], batch.get("known"))
            if self.distance is not None:
                self.distance.update(batch)
        return scores.result() | (self.distance.result() if self.distance is not None else {})

    def _mean(self, y, mask, num_samples=1, seed=0):
        """The mean that G predicts in one pass, as a sampler."""
        return self.model.mean(y, mask)[:, None]

    def describe_data(self):
        """What the scores were made of, a dict of JSON values."""
        names = ("data", "split_seed", "measurement", "mask_from", "image_size", "crop_size")
        described = {
            "split": self.settings["eval_split"],
            "holdout": None if self.data.has_clean else HOLDOUT,
        }
        if self.distance is not None:
            described |= self.distance.extractor.stamp()
        return described | {name: self.settings[name] for name in names}

    def title(self):
        settings = self.settings
        split = settings["eval_split"]
        trained_on = split == "test" and self.data.train_split == "train"
        known = "trained on as damaged" if trained_on else "never trained on"
        what = f"{split} images of {settings['data']}, {settings['measurement']}, {known}"
        return what if self.data.has_clean else f"{what}; on pixels that were hidden for this"


class Monitor(keras.callbacks.Callback):
    """Every few epochs, and not where the training ends or is interrupted: scores on some withheld
    images into the logs as `val_...`, and a picture.

    Args:
        evaluator: the run's.
        folder: the run's; pictures go into `grids/`.
        group: the run's `distribution`, whose chief runs this.
    """

    def __init__(self, evaluator, folder, group=None):
        super().__init__()
        self.group = group or distribution.Alone()
        settings = evaluator.settings
        self.every, self.folder = settings["eval_every"], folder
        self.evaluation = self.grid = None
        if images := settings["monitor_images"]:
            self.evaluation = callbacks.Evaluation(
                evaluator.dataset(images),
                num_samples=settings["num_samples"],
                max_images=images,
                progress=False,
            )
        if images := settings["grid_images"]:
            self.grid = callbacks.ImageGrid(
                evaluator.data.withheld(images),
                folder,
                num_images=images,
                max_samples=settings["grid_samples"],
            )

    def set_model(self, model):
        super().set_model(model)
        for part in (self.evaluation, self.grid):
            if part is not None:
                part.set_model(model)

    def on_epoch_end(self, epoch, logs=None):
        if not self.every or (epoch + 1) % self.every or self.model.stop_training:
            return
        with self.group.solo():
            if self.evaluation is not None:
                logs.update({f"val_{n}": value for n, value in self.evaluation.measure().items()})
            self.draw(f"{int(self.model.step):06d}")

    def draw(self, name):
        """Writes `grids/NAME.png`, always of the same images with the same seeds; its path."""
        if self.grid is None:
            return None
        path = os.path.join(self.folder, "grids", f"{name}.png")
        metrics.figures.save_png(self.grid.draw(), path)
        return path


def table(scores, title):
    """`Evaluator.scores` as the lines that a run prints at its end."""
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
        *([("this model, its own mean", scores["model_mean"])] if "model_mean" in scores else []),
        *((words, scores[name]) for name, words in cells.BASELINES.items()),
    ]
    head = "".join(f"{name.split('_')[0].upper():>9s}" for name in columns)
    lines = [f"{model['images']} {title}:", f"{'':28s}{head}"]
    for words, row in rows:
        lines.append(f"{words:28s}" + "".join(_cell(row.get(n), d) for n, d in columns.items()))
    if distance:
        lines.append(f"FRECHET/FID: {distance}, from {model['images']} images")
    lines.append(
        f"diversity: std {model['std']:.3f} over {samples} samples an image; spread-skill "
        f"{model['spread_skill']:.2f}\n(1: the spread is as large as the error, 0: z is ignored); "
        f"CRPS {model['crps']:.4f}"
    )
    return "\n".join(lines)


def _cell(value, digits):
    return f"{'-':>9s}" if value is None else f"{value:9.{digits}f}"


_COLUMNS = {"mse": 4, "psnr": 2, "ssim": 3}  # and their decimals
