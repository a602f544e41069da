"""What a run is worth: scores and baselines on withheld images, as a dict and as a table."""

import keras

from keras_uai import metrics
from keras_uai.experiment import remasking

#: Baselines that stand beside every model, with the table's words for them.
BASELINES = {
    "linear_interpolation": "linear interpolation",
    "nearest": "nearest neighbour",
    "mean_colour": "mean colour",
}


class Evaluator:
    """Scores a model on withheld images; where there are no clean ones, on observed pixels hidden
    again (see `remasking`).

    Args:
        settings: the run's.
        data: its `data.Data`.
        model: an `InpaintingModel`.
    """

    def __init__(self, settings, data, model):
        self.settings, self.data, self.model = settings, data, model
        self.has_clean = data.has_clean
        name = settings["extractor"]
        self.extractor = None
        if name and self.has_clean:
            self.extractor = metrics.extractors.get(None if name == "auto" else name)

    def scores(self):
        """`{"model": {...}, "linear_interpolation": {...}, ...}`, as of `metrics.evaluate`."""
        images, samples = self.settings["eval_images"], self.settings["num_samples"]
        if not images:
            return {}
        found = {"model": self._score(self.model.inpaint, images, samples, progress=True)}
        if self.model.generator.predicts_mean:
            found["model_mean"] = self._score(self._mean, images, 1)
        for name in BASELINES:
            found[name] = self._score(metrics.baselines.as_sampler(name), images, 1)
        if self.extractor is not None:
            for name, distance in self._distances(images).items():
                found[name][self.extractor.frechet_name] = distance
        return found

    def monitor_scores(self):
        """The model's scores on a few images, for the log."""
        images = self.settings["monitor_images"]
        return (
            self._score(self.model.inpaint, images, self.settings["num_samples"]) if images else {}
        )

    def _score(self, sampler, images, samples, progress=False):
        dataset = self.data.withheld(images)
        measurement = self.model.measurement
        if not self.has_clean:
            dataset = remasking.hide(dataset, measurement)
            sampler = remasking.scored_on_hidden(sampler, measurement)
        scores = metrics.evaluate(
            sampler, dataset, samples, measurement=measurement, progress=progress
        )
        if self.has_clean:
            return scores
        return {name: value for name, value in scores.items() if name in _ON_MISSING}

    def _mean(self, y, mask, num_samples=1, seed=0):
        """The mean that G predicts in one pass, as a sampler."""
        return self.model.mean(y, mask)[:, None]

    def _distances(self, images):
        """Fréchet distances between clean images and one sample of each."""

        def statistics(sampler):
            dataset = self.data.withheld(images)
            if sampler is None:
                return metrics.statistics.compute(self.extractor, dataset)
            batches = metrics.evaluation.sample_batches(
                sampler, dataset, 1, measurement=self.model.measurement
            )
            return metrics.statistics.compute(self.extractor, (b["samples"][:, 0] for b in batches))

        clean = statistics(None)
        samplers = {"model": self.model.inpaint}
        samplers |= {name: metrics.baselines.as_sampler(name) for name in BASELINES}
        return {
            name: metrics.frechet_distance(statistics(sampler), clean)
            for name, sampler in samplers.items()
        }

    def describe_data(self):
        """What the scores were made of, a dict of JSON values."""
        names = ("data", "split_seed", "measurement", "mask_from", "image_size", "crop_size")
        described = {"split": "withheld", "clean": self.has_clean}
        if self.extractor is not None:
            described |= self.extractor.stamp()
        return described | {name: self.settings[name] for name in names}

    def title(self):
        settings = self.settings
        what = f"withheld images of {settings['data']}, {settings['measurement']}, never trained on"
        return what if self.has_clean else f"{what}; on observed pixels that were hidden again"


class Monitor(keras.callbacks.Callback):
    """Every few epochs: scores on some withheld images into the logs as `val_...`, and a grid.

    Args:
        settings: the run's.
        evaluator: an `Evaluator`.
        pictures: a `grids.Grids`.
    """

    names = ("mse", "mse_of_mean", "mse_missing_of_mean", "std", "spread_skill", "crps")

    def __init__(self, settings, evaluator, pictures):
        super().__init__()
        self.every, self.evaluator, self.pictures = settings["eval_every"], evaluator, pictures

    def on_epoch_end(self, epoch, logs=None):
        if not self.every or (epoch + 1) % self.every or self.model.stop_training:
            return  # at the end of the training everything is scored
        scores = self.evaluator.monitor_scores()
        logs.update({f"val_{name}": scores[name] for name in self.names if name in scores})
        self.pictures.draw(f"{int(self.model.step):06d}")


def table(scores, title):
    """`Evaluator.scores` as the lines that a run prints at its end."""
    if not scores:
        return "No images were scored (--eval_images=0)."
    model, samples = scores["model"], scores["model"]["num_samples"]
    columns = dict(_COLUMNS) if "mse" in model else {"mse_missing": 4}
    distance = next((name for name in model if name == "fid" or name.startswith("frechet_")), None)
    if distance:
        columns[distance] = 1
    rows = [
        ("this model, one sample", model),
        (f"this model, mean of {samples}", {n: model.get(f"{n}_of_mean") for n in columns}),
        *([("this model, its own mean", scores["model_mean"])] if "model_mean" in scores else []),
        *((words, scores[name]) for name, words in BASELINES.items()),
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


def _cell(value, decimals):
    return f"{'-':>9s}" if value is None else f"{value:9.{decimals}f}"


_COLUMNS = {"mse": 4, "psnr": 2, "ssim": 3}  # and their decimals
_ON_MISSING = (
    "mse_missing", "mse_missing_of_mean", "std", "crps", "spread", "skill", "spread_skill",
    "images", "num_samples",
)  # fmt: skip
