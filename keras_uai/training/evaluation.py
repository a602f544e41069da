"""Scores of a run during the training and at its end, and pictures of samples."""

import os

import keras

from keras_uai import callbacks, files, metrics
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


class Monitor(keras.callbacks.Callback):
    """Adds scores of some validation images to the logs every few epochs, and draws a picture.

    Nothing is scored where the training ends or is interrupted. Without clean images, observed
    pixels are hidden from the model and scored (`metrics.holdout`). Only the group's chief runs it.
    """

    def __init__(self, settings, data, model, folder, group=None):
        super().__init__()
        self.set_model(model)
        self.group = group or distribution.SingleProcess()
        self.every = settings["eval_every"]
        self.folder = os.path.join(folder, "grids")
        self.scores = self.grid = None
        if images := settings["monitor_images"]:
            dataset = data.scored(images)
            if not data.has_clean:
                dataset = metrics.holdout(dataset, model.measurement)
            self.scores = callbacks.Scores(
                dataset, num_samples=settings["num_samples"], max_images=images, progress=False
            )
            self.scores.set_model(model)
        if images := settings["grid_images"]:
            shown = {"num_images": images, "max_samples": settings["grid_samples"]}
            self.grid = callbacks.ImageGrid(data.scored(images), self.folder, **shown)
            self.grid.set_model(model)

    def on_epoch_end(self, epoch, logs=None):
        if not self.every or (epoch + 1) % self.every or self.model.stop_training:
            return
        with self.group.chief_only():
            if self.scores is not None:
                logs.update({f"val_{n}": value for n, value in self.scores.measure().items()})
            self.draw(f"{int(keras.ops.convert_to_numpy(self.model.step)):06d}")

    def draw(self, name):
        """Writes `grids/NAME.png` of the same images with the same seeds; returns its path."""
        if self.grid is None:
            return None
        path = os.path.join(self.folder, f"{name}.png")
        files.write_image(path, self.grid.draw())
        return path


def score(settings, folder, data_dir=None, warnings=()):
    """Scores a run's saved model, and baselines beside it, as `tools/evaluate` does.

    `warnings` are sentences for the description of the result.
    Returns the dict in `results.json` of the run's folder `evaluation`; None for `eval_images=0`.
    """
    if not settings["eval_images"]:
        return None
    options = {
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
        "warnings": list(warnings),
    }
    return commands.evaluate(options)[0]


def values(result):
    """Returns the scores of a result without their intervals, `{method: {score: value}}`."""
    methods = result["methods"] if result else {}
    return {
        name: {n: score["value"] for n, score in method["scores"].items()}
        | {"num_samples": method["num_samples"]}
        for name, method in methods.items()
    }


def table(result):
    """Returns the table that a run prints at its end, of the result of `score`."""
    if not result:
        return "No images were scored (--eval_images=0)."
    scores, samples = values(result), result["num_samples"]
    model = scores[commands.MODEL]
    decimals = {"mse": 4, "psnr": 2, "ssim": 3}
    decimals |= {n: 1 for n in model if n.startswith(("fid", "frechet_")) and "_of_mean" not in n}
    names = [name for name in decimals if name in model]
    rows = {
        "this model, one sample": model,
        f"this model, mean of {samples}": {n: model.get(f"{n}_of_mean") for n in names},
        "this model, predicted mean": scores.get(commands.PREDICTED_MEAN),
        **{words: scores[name] for name, words in BASELINES.items()},
    }
    head = "".join(f"{name.split('_')[0].upper():>9s}" for name in names)
    lines = [result["description"], f"{'':28s}{head}"]
    for words, row in rows.items():
        if row is not None:
            cells = [f"{row[n]:.{decimals[n]}f}" if row.get(n) is not None else "-" for n in names]
            lines.append(f"{words:28s}{''.join(f'{cell:>9s}' for cell in cells)}")
    return "\n".join(lines) + (
        f"\ndiversity: std {model['std']:.3f} over {samples} samples per image; spread-skill "
        f"{model['spread_skill']:.2f}\n(1: the spread equals the error, 0: z is ignored); "
        f"CRPS {model['crps']:.4f}"
    )
