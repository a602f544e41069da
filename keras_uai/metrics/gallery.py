"""One picture of the reconstructions of several presets on images they never saw."""

import numpy as np

from keras_uai import datasets
from keras_uai.metrics import figures, predictors
from keras_uai.metrics.evaluation_data import EvaluationData

NUM_SAMPLES = 10  # of which the uncertainty is, and the mean if the model predicts none


def draw(options):
    """Draws the gallery of tools/gallery.

    Args:
        options: dict of the command's flags.

    Returns:
        The path of the PNG.
    """
    from keras_uai import presets

    if not options["presets"]:
        raise ValueError("`--presets` must name at least one preset. Received: none")
    bands = []
    models = [predictors.load(name) for name in options["presets"]]
    for model, data in zip(models, _data(options["data"], models), strict=True):
        description = presets.metadata(options["presets"][len(bands)]).get("description", "")
        bands.append(band(model, {**options, **_shown(data, options)}, description))
    figures.save_png(gallery(bands, max_samples=options["num_samples"]), options["out"])
    return options["out"]


def band(model, options, description=""):
    """Returns a band of `gallery`: images of the split, from `options["first"]` on."""
    data = EvaluationData({**options, "images": None}, model, scored=False)
    found = data.shown(options["first"], options["images"], options["seed"])
    samples = draw_samples(model, found, max(options["num_samples"], NUM_SAMPLES))
    cut = figures.cutter(options.get("view"))
    return {
        "title": f"{model.name}: {description}" if description else model.name,
        "y": cut(found["observation"]),
        "samples": cut(samples, 1),
        "mean": cut(draw_mean(model, found, samples)),
        "clean": cut(found["clean"]),
    }


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


def gallery(bands, *, max_samples=5):
    """Draws a band a preset: its title, then a row an image.

    Args:
        bands: dicts of `title`; `y`, `mean` and `clean` (or None), lists of images `(H, W, C)`; and
            `samples`, a list of `(K, H, W, C)`, K at least 2.
        max_samples: number of samples that are shown. The uncertainty is of all, and its colours
            mean the same in all bands.

    Returns:
        uint8 `(height, width, 3)`; `figures.save_png` writes it.
    """
    deviations = [
        [s.astype("float64").std(axis=0, ddof=1).mean(axis=-1) for s in one["samples"]]
        for one in bands
    ]
    limit = max(figures.brightest(of_band) for of_band in deviations)
    count = min(max_samples, *(len(s) for one in bands for s in one["samples"]))
    names = ["observation", *(f"sample {k + 1}" for k in range(count)), "mean"]
    names += [f"uncertainty\nstd, 0 to {limit:.2f}", "truth"]
    pictures = []
    for one, of_band in zip(bands, deviations, strict=True):
        rows = []
        for i, deviation in enumerate(of_band):
            images = [one["y"][i], *one["samples"][i][:count], one["mean"][i]]
            row = [figures.to_rgb(image) for image in images]
            row.append(figures.colour_map(deviation / limit))
            row.append(None if one["clean"] is None else figures.to_rgb(one["clean"][i]))
            rows.append(row)
        pictures.append(figures.grid(rows, None, None if pictures else names, one["title"]))
    width = max(picture.shape[1] for picture in pictures)
    return np.concatenate(
        [
            np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255)
            for p in pictures
        ]
    )


def _data(given, models):
    """Returns a data set or folder a model, or None, which stands for its own."""
    given = given.split(",") if given else [None]
    if len(given) == 1:
        return [
            None if model.settings.get("data") in datasets.NAMES else given[0] for model in models
        ]
    if len(given) != len(models):
        raise ValueError(
            "`--data` must name one data set for all presets, or one a preset "
            f"({len(models)}). Received: {len(given)}"
        )
    return given


def _shown(data, options):
    """The data flags of a preset; a crop is of folders alone."""
    is_named = data is None or data in datasets.NAMES
    return {"data": data, "center_crop": None if is_named else options.get("center_crop")}
