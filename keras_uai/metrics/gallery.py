"""One picture of what several presets make of images they never saw: the README's gallery."""

import numpy as np

from keras_uai import datasets
from keras_uai.metrics import checks, evaluation, figures, samplers
from keras_uai.metrics.drawing import BACKGROUND, FAINT, INK, font
from keras_uai.metrics.evaluation_data import EvaluationData

# Samples an image, of which the uncertainty is, and the mean where a model predicts none.
DRAWN = 10
HEAD, NAME_SIZE, TEXT_SIZE = 34, 17, 14  # pixels above a band, and of its letters


def draw(options):
    """Draws the presets that `options` (the flags of tools/gallery) name; returns the PNG's path."""
    names = list(options["presets"] or ())
    if not names:
        raise ValueError("Which presets? Name them (--presets=A,B). Received: none")
    bands = [
        band(name, {**options, **_shown(data, options)})
        for name, data in zip(names, _data(options["data"], names), strict=True)
    ]
    picture = gallery(bands, max_samples=options["num_samples"])
    figures.save_png(picture, options["out"])
    return options["out"]


def band(preset, options):
    """What `gallery` shows of a preset: its images are those from `options["first"]` on of the split, not chosen."""
    from keras_uai.models import preset_files

    model = samplers.load(preset)
    first = options["first"]
    data = EvaluationData({**options, "images": None}, model, scored=False)
    batch = data.first(first + options["images"])
    batch = {name: values[first:] for name, values in batch.items()}
    y, mask = batch["observation"], batch["mask"]
    if not len(y):
        raise ValueError(
            f"{data.identity['dataset']} has fewer {options['split']} images. Received: --first={first}"
        )
    seeds = evaluation.image_seeds(options["seed"], np.arange(first, first + len(y)))
    samples = model.sample(y, mask, max(options["num_samples"], DRAWN), seeds)
    about = preset_files.read_json(preset_files.find(preset), preset_files.METADATA)
    return {
        "name": model.name,
        "description": about.get("description", ""),
        "y": y,
        "samples": samples,
        "mean": samples.mean(axis=1) if model.mean is None else model.mean(y, mask),
        "clean": batch["clean"] if data.has_whole_images else None,
    }


def gallery(bands, *, max_samples=5):
    """A picture of a band a preset: its name, then a row an image.

    Args:
        bands: dicts of `name` and `description`; observations `y` and their `mean`, `(N, H, W, C)`; `samples`
            `(N, K, H, W, C)`, K at least 2; and `clean` `(N, H, W, C)`, or None.
        max_samples: show so many of the K samples; the uncertainty, their standard deviation averaged over channels,
            is of all, and its colours mean the same in all bands.

    Returns:
        uint8 `(height, width, 3)`; `figures.save_png` writes it.
    """
    from PIL import Image, ImageDraw

    deviations = []
    for one in bands:
        samples = checks.samples("samples", one["samples"], one["y"].shape)
        deviations.append(samples.astype("float64").std(axis=1, ddof=1).mean(axis=-1))
    limit = max(float(np.quantile(deviation, 0.995)) for deviation in deviations) or 1.0
    shown = min(max_samples, *(one["samples"].shape[1] for one in bands))
    titles = ["observation", *(f"sample {k + 1}" for k in range(shown)), "mean"]
    titles += [f"uncertainty\nstd, 0 to {limit:.2f}", "truth"]
    parts = []
    for one, deviation in zip(bands, deviations, strict=True):
        columns = [figures.to_rgb(one["y"])]
        columns += [figures.to_rgb(one["samples"][:, k]) for k in range(shown)]
        columns += [figures.to_rgb(one["mean"]), figures.colour_map(deviation / limit)]
        clean = one["clean"]
        columns.append([None] * len(deviation) if clean is None else figures.to_rgb(clean))
        rows = [("", list(cells)) for cells in zip(*columns, strict=True)]
        parts.append(figures.table(rows, titles if not parts else ()))
    width = max(part.shape[1] for part in parts)
    canvas = Image.new("RGB", (width, sum(p.shape[0] + HEAD for p in parts)), BACKGROUND)
    pen, top = ImageDraw.Draw(canvas), 0
    for one, part in zip(bands, parts, strict=True):
        name, text = font(NAME_SIZE), font(TEXT_SIZE)
        left, foot = 2 * figures.GAP, top + HEAD - 2 * figures.GAP
        pen.text((left, foot), one["name"], INK, name, "ls")
        left += name.getlength(one["name"]) + 3 * figures.GAP
        pen.text((left, foot), one["description"], FAINT, text, "ls")
        canvas.paste(Image.fromarray(part), (0, top + HEAD))
        top += HEAD + part.shape[0]
    return np.asarray(canvas)


def _data(given, names):
    """A data set or folder a preset, or None, which stands for its own."""
    given = given.split(",") if given else [None]
    if len(given) == 1:
        return [None if _has_own(name) else given[0] for name in names]
    if len(given) != len(names):
        raise ValueError(
            f"--data names one data set for all presets, or one a preset: {len(names)}. Received: {len(given)}"
        )
    return given


def _shown(data, options):
    """The data flags of a preset: a crop is of folders alone."""
    named = data is None or data in datasets.NAMES
    return {"data": data, "crop_size": None if named else options.get("crop_size")}


def _has_own(name):
    """Whether a preset was trained on a data set that is known by its name."""
    from keras_uai.models import preset_files

    about = preset_files.read_json(preset_files.find(name), preset_files.METADATA)
    return about.get("evaluate", {}).get("data") in datasets.NAMES
