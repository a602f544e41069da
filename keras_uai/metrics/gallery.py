"""One picture of the reconstructions of several presets on images they never saw."""

import numpy as np

from keras_uai import datasets
from keras_uai.metrics import figures, predictors
from keras_uai.metrics.evaluation_data import EvaluationData

NUM_SAMPLES = 10  # of which the uncertainty is, and the mean if the model predicts none


def draw(options):
    """Draws a band a preset: its title, then a row an image.

    Args:
        options: dict of the flags of tools/gallery.

    Returns:
        The path of the PNG.
    """
    from keras_uai import presets

    names, count = options["presets"], options["num_samples"]
    if not names:
        raise ValueError("`--presets` must name at least one preset. Received: none")
    models = [predictors.load(name) for name in names]
    cut = figures.cutter(options.get("view"))
    bands = []
    for model, data in zip(models, _data(options["data"], models), strict=True):
        given = {**options, "images": None, "data": data}
        if data is None or data in datasets.NAMES:
            given["center_crop"] = None  # a crop is of folders alone
        found = EvaluationData(given, model, scored=False).shown(
            options["first"], options["images"], options["seed"]
        )
        samples = draw_samples(model, found, max(count, NUM_SAMPLES))
        clean = found["clean"] or [np.ones_like(y) for y in found["observation"]]
        shown = (found["observation"], samples, clean, draw_mean(model, found, samples))
        bands.append([cut(images) for images in shown])
    # Colours mean the same in all bands.
    limit = max(figures.brightest(figures.deviations(band[1])) for band in bands)
    pictures = []
    for name, model, (y, samples, clean, mean) in zip(names, models, bands, strict=True):
        description = presets.metadata(name).get("description")
        title = f"{model.name}: {description}" if description else model.name
        rows = figures.sample_rows(y, samples, clean, mean=mean, max_samples=count, limit=limit)
        cells = list(zip(*rows.values(), strict=True))
        pictures.append(figures.grid(cells, (), () if pictures else list(rows), title))
    width = max(picture.shape[1] for picture in pictures)
    pictures = [
        np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in pictures
    ]
    figures.save_png(np.concatenate(pictures), options["out"])
    return options["out"]


def draw_samples(model, found, num_samples):
    """Returns the samples of images of `EvaluationData.shown`, a list of `(K, H, W, C)`."""
    given = zip(found["observation"], found["mask"], found["seeds"], strict=True)
    return [
        model.sample(y[None], mask[None], num_samples=num_samples, seed=np.array([seed]))[0]
        for y, mask, seed in given
    ]


def draw_mean(model, found, samples):
    """Returns the predicted means, or those of the samples, a list of `(H, W, C)`."""
    if model.mean is None:
        return [of_image.mean(axis=0) for of_image in samples]
    given = zip(found["observation"], found["mask"], strict=True)
    return [model.mean(y[None], mask[None])[0] for y, mask in given]


def _data(given, models):
    """Returns a data set or folder a model, or None, which stands for its own."""
    given = given.split(",") if given else [None]
    if len(given) == 1:
        return [None if m.settings.get("data") in datasets.NAMES else given[0] for m in models]
    if len(given) != len(models):
        raise ValueError(
            "`--data` must name one data set for all presets, or one a preset "
            f"({len(models)}). Received: {len(given)}"
        )
    return given
