"""Results of an evaluation as JSON and Markdown: every score of every method with its interval."""

import json
import math
import os

from keras_uai import files
from keras_uai.metrics import figures, scores
from keras_uai.sampling.calibration import LARGE_INFLATION

# column: (title, decimals, factor)
COLUMNS = {
    "mse_missing_8bit": ("squared error, missing (8 bit)", 1, 1),
    "mse": ("MSE", 4, 1),
    "mse_missing": ("MSE, missing", 4, 1),
    "psnr": ("PSNR", 2, 1),
    "ssim": ("SSIM", 3, 1),
    "crps": ("CRPS", 4, 1),
    "std": ("std", 3, 1),
    "spread_skill": ("spread-skill", 2, 1),
    "coverage_90": ("coverage of 90%", 2, 1),
}
BY_DISTANCE = "spread-skill at 1, 2-4, 5-16, >16 pixels"
# Distances, whose names end with the extractor's.
_DISTANCES = {
    "fid": ("FID", 1, 1),
    "frechet": ("Fréchet", 1, 1),
    "kid": ("KID x 1000", 2, 1000),
    "kernel": ("kernel x 1000", 2, 1000),
}
RESULTS = "results.json"


def describe(result):
    """Returns a description of the evaluation: images, damage, samples, extractor, seeds."""
    data, extractor = result["data"], result["extractor"]
    size = "mixed sizes" if data["image_size"] == "mixed" else data["image_size"]
    text = (
        f"{data['images']:,} images of {data['dataset']} ({data['split']}, seed {data['seed']}), "
        f"{size}, {data['measurement'] or 'damaged as they are'}"
    )
    if data["holdout"]:
        text += f"; scored on about {data['holdout']:.0%} of the observed pixels, which were hidden"
    text += f"; {result['num_samples']} samples an image, seed {result['seed']}."
    if extractor:
        what = f"{data['images']:,} reconstructions"
        if extractor["images"] != data["images"]:
            what = f"{extractor['images']:,} windows of {extractor['crop']} pixels around damage"
        text += (
            f" Distances: {extractor['extractor']} (weights {extractor['weights']}, resize "
            f"{extractor['resize']}), {what} against the clean images."
        )
        if extractor["images"] <= extractor["dimensions"]:
            text += (
                f" So few images have no full covariance in {extractor['dimensions']:,} dimensions:"
                " the Fréchet distance is too large, and compares only with one of as many images."
            )
    text += " ± is half of the 95% interval over images."
    inflation = (result["model"] or {}).get("inflation", 1.0)
    if inflation > LARGE_INFLATION:
        text += (
            f" Warning: the samples' spread is inflated by {inflation:.3g}, above "
            f"{LARGE_INFLATION}: they hardly differ by themselves, and it may be noise."
        )
    return " ".join([text, *result.get("warnings", [])])


def table(result):
    """Formats a result as Markdown: a line on what was measured, and a row a method.

    Args:
        result: dict with "description" (text), "methods" (`{name: {"scores", "num_samples"}}`), and
            "command" (text) where it is known.

    Returns:
        Text. A method with several samples has a row of one sample and one of their mean.
    """
    methods = result["methods"]
    all_scores = [method["scores"] for method in methods.values()]
    columns = {n: c for n, c in COLUMNS.items() if any(n in found for found in all_scores)}
    if "mse_missing_8bit" in columns:  # the same in other units
        columns.pop("mse_missing", None)
    if any(set(scores.BY_DISTANCE) & set(found) for found in all_scores):
        columns["by_distance"] = (BY_DISTANCE,)
    for name in all_scores[0]:
        kind, _, extractor = name.partition("_")
        if kind in _DISTANCES and not name.endswith("_of_mean"):
            title, *rest = _DISTANCES[kind]
            columns[name] = (title + (f" ({extractor})" if extractor else ""), *rest)
    lines = ["", f"`{result['command']}`"] if result.get("command") else []
    lines = [result["description"], *lines, ""]
    lines.append(f"| {' | '.join(['method', *(column[0] for column in columns.values())])} |")
    lines.append("| --- |" + " ---: |" * len(columns))
    for method, found in methods.items():
        k = found["num_samples"]
        rows = {"one sample": "", f"mean of {k}": "_of_mean"} if k > 1 else {"": ""}
        for title, suffix in rows.items():
            cells = [f"{method}, {title}" if title else method]
            for name, column in columns.items():
                if name == "by_distance":
                    cells.append("" if suffix else _by_distance(found["scores"]))
                else:
                    cells.append(_cell(found["scores"].get(name + suffix), *column[1:]))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write(folder, result, pictures):
    """Writes `results.json`, `table.md`, the calibration plot and `{name: picture}` as PNG.

    Returns:
        The paths written.
    """
    texts = {RESULTS: json.dumps(plain(result), indent=2) + "\n", "table.md": table(result)}
    for name, text in texts.items():
        files.atomic_write(os.path.join(folder, name), text)
    found = {n: method.get("calibration") for n, method in result["methods"].items()}
    if calibrated := {name: value for name, value in found.items() if value}:
        pictures = {**pictures, "calibration": figures.calibration_plot(calibrated)}
    for name, picture in pictures.items():
        files.write_image(os.path.join(folder, f"{name}.png"), picture)
    return [os.path.join(folder, name) for name in (*texts, *(f"{n}.png" for n in pictures))]


def plain(value):
    """Returns `value` with NaN and infinities as None, since JSON has no such numbers."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _by_distance(found):
    """For example `0.98 / 1.02 / 1.05 / -`: spread-skill in the bins of distance."""
    values = [(found.get(name) or {}).get("value") for name in scores.BY_DISTANCE]
    return " / ".join("-" if v is None or not math.isfinite(v) else f"{v:.2f}" for v in values)


def _cell(score, decimals, factor):
    """For example `0.0546 ± 0.0012`: half the width of the 95% interval."""
    if score is None or score["value"] is None or not math.isfinite(score["value"]):
        return ""
    text = f"{score['value'] * factor:.{decimals}f}"
    if score["low"] is None:
        return text
    half = (score["high"] - score["low"]) / 2 * factor
    return f"{text} ± {half:.{decimals}f}" if math.isfinite(half) and half > 0 else text
