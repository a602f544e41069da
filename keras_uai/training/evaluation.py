"""Scores of a run during the training and at its end, and pictures of samples."""

import os

import keras

from keras_uai import callbacks, metrics
from keras_uai.metrics import commands
from keras_uai.training import distribution

#: Baselines beside every model, with their names in tables.
BASELINES = {
    "linear_interpolation": "linear interpolation",
    "nearest": "nearest neighbour",
    "mean_colour": "mean colour",
}
#: Folder of the final scores in a run's folder.
FOLDER = "evaluation"
_COLUMNS = {"mse": 4, "psnr": 2, "ssim": 3}  # and their decimals


class Monitor(keras.callbacks.Callback):
    """Adds scores of some validation images to the logs every few epochs, and draws a picture.

    Nothing is scored where the training ends or is interrupted. Without clean images, observed
    pixels are hidden from the model and scored (`metrics.holdout`).

    Args:
        settings: dict of `configuration.resolve`.
        data: the run's `data.Data`.
        model: an `InpaintingModel`.
        folder: path of the run; pictures are written to `grids/`.
        group: the run's `distribution` group, whose chief runs this. Default: one process.
    """

    def __init__(self, settings, data, model, folder, group=None):
        super().__init__()
        self.group = group or distribution.SingleProcess()
        self.every = settings["eval_every"]
        self.folder = folder
        self.scores = None
        self.grid = None
        if images := settings["monitor_images"]:
            dataset = data.scored(images)
            if not data.has_clean:
                dataset = metrics.holdout(dataset, model.measurement)
            self.scores = callbacks.Scores(
                dataset,
                num_samples=settings["num_samples"],
                max_images=images,
                progress=False,
            )
        if images := settings["grid_images"]:
            self.grid = callbacks.ImageGrid(
                data.scored(images), folder, num_images=images, max_samples=settings["grid_samples"]
            )
        self.set_model(model)

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


def check_extractor(settings):
    """Raises an error where the weights of the extractor are missing: before the training."""
    if settings["extractor"] and settings["mask_from"] is None:
        name = settings["extractor"]
        metrics.extractors.get(None if name == "auto" else name)


def score(settings, folder, data_dir=None):
    """Scores a run's saved model, and baselines beside it, as `tools/evaluate` does.

    Args:
        settings: dict of `configuration.resolve`.
        folder: path of the run, with its model.
        data_dir: as for `datasets.load`.

    Returns:
        The dict in `results.json` of the run's folder `evaluation`; None for `eval_images=0`.
    """
    if not settings["eval_images"]:
        return None
    given = {
        "model": folder,
        "data_dir": data_dir,
        "split": settings["eval_split"],
        "images": settings["eval_images"],
        "num_samples": settings["num_samples"],
        "seed": 0,
        "extractor": settings["extractor"] or "none",
        "references": os.path.join(os.path.dirname(os.path.abspath(folder)), "references"),
        "baselines": list(BASELINES),
        "grid": 0,
        "out": os.path.join(folder, FOLDER),
        "restart": False,
        "progress": True,
    }
    names = ("data", "split_seed", "image_size", "center_crop", "channels", "measurement")
    unset = dict.fromkeys((*names, "mask_from", "clean_data", "holdout", "sampler", "command"))
    return commands.evaluate({**unset, **given})[0]


def values(result):
    """Returns the scores of a result without their intervals, `{method: {score: value}}`."""
    methods = result["methods"] if result else {}
    return {
        method: {
            "num_samples": found["num_samples"],
            **{name: score["value"] for name, score in found["scores"].items()},
        }
        for method, found in methods.items()
    }


def table(result):
    """Returns the table that a run prints at its end.

    Args:
        result: dict of `score`.
    """
    if not result:
        return "No images were scored (--eval_images=0)."
    scores, samples = values(result), result["num_samples"]
    model = scores[commands.MODEL]
    columns = {name: digits for name, digits in _COLUMNS.items() if name in model}
    distance = next((name for name in model if name == "fid" or name.startswith("frechet_")), None)
    if distance:
        columns[distance] = 1
    rows = {
        "this model, one sample": model,
        f"this model, mean of {samples}": {n: model.get(f"{n}_of_mean") for n in columns},
        "this model, predicted mean": scores.get(commands.PREDICTED_MEAN),
        **{words: scores[name] for name, words in BASELINES.items()},
    }
    head = "".join(f"{name.split('_')[0].upper():>9s}" for name in columns)
    lines = [result["description"], f"{'':28s}{head}"]
    for words, row in rows.items():
        if row is not None:
            cells = [_cell(row.get(name), digits) for name, digits in columns.items()]
            lines.append(f"{words:28s}{''.join(cells)}")
    lines.append(
        f"diversity: std {model['std']:.3f} over {samples} samples per image; spread-skill "
        f"{model['spread_skill']:.2f}\n(1: the spread equals the error, 0: z is ignored); "
        f"CRPS {model['crps']:.4f}"
    )
    return "\n".join(lines)


def _cell(value, digits):
    return f"{'-':>9s}" if value is None else f"{value:9.{digits}f}"
