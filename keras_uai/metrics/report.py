"""Results of an evaluation as JSON and Markdown: every score of every method with its interval."""

import json
import math
import os

from keras_uai import files
from keras_uai.metrics import figures, scores

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
_OF_MEAN = {"mse_missing_8bit", "mse", "mse_missing", "psnr", "ssim"}
_DISTANCES = ("fid", "kid", "frechet", "kernel")
RESULTS = "results.json"


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
    names = [name for name in COLUMNS if any(name in found for found in all_scores)]
    if "mse_missing_8bit" in names:  # the same in other units
        names = [name for name in names if name != "mse_missing"]
    measured = [n for n in all_scores[0] if n.startswith(_DISTANCES) and not n.endswith("_of_mean")]
    by_distance = any(set(scores.BY_DISTANCE) & set(found) for found in all_scores)
    titles = [COLUMNS[name][0] for name in names] + [BY_DISTANCE] * by_distance
    titles += [_distance_title(name) for name in measured]
    lines = [result["description"], ""]
    if result.get("command"):
        lines[1:1] = ["", f"`{result['command']}`"]
    lines.append("| " + " | ".join(["method", *titles]) + " |")
    lines.append("| --- |" + " ---: |" * len(titles))
    for method, found in methods.items():
        k = found["num_samples"]
        for of_mean in (False, True)[: 1 + (k > 1)]:
            suffix = "_of_mean" if of_mean else ""
            cells = []
            for name in names:
                there = not of_mean or name in _OF_MEAN
                score = found["scores"].get(name + suffix) if there else None
                cells.append(_cell(score, *COLUMNS[name][1:]))
            if by_distance:
                cells.append("" if of_mean else _by_distance(found["scores"]))
            cells += [_distance_cell(found["scores"].get(name + suffix), name) for name in measured]
            title = (
                method if k < 2 else f"{method}, " + (f"mean of {k}" if of_mean else "one sample")
            )
            lines.append("| " + " | ".join([title, *cells]) + " |")
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
        figures.save_png(picture, os.path.join(folder, f"{name}.png"))
    return [os.path.join(folder, name) for name in (*texts, *(f"{n}.png" for n in pictures))]


def plain(value):
    """Returns `value` with NaN and infinities as None, since JSON has no such numbers."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _distance_title(name):
    kind, _, extractor = name.partition("_")
    words = {"fid": "FID", "kid": "KID x 1000", "frechet": "Fréchet", "kernel": "kernel x 1000"}
    return words[kind] + (f" ({extractor})" if extractor else "")


def _distance_cell(score, name):
    is_kernel = name.startswith(("kid", "kernel"))
    return _cell(score, 2 if is_kernel else 1, 1000 if is_kernel else 1)


def _by_distance(found):
    """For example `0.98 / 1.02 / 1.05 / -`: spread-skill in the bins of distance."""
    values = [(found.get(name) or {}).get("value") for name in scores.BY_DISTANCE]
    return " / ".join("-" if v is None or not math.isfinite(v) else f"{v:.2f}" for v in values)


def _cell(score, decimals, factor=1):
    """For example `0.0546 ± 0.0012`: half the width of the 95% interval."""
    if score is None or score["value"] is None or not math.isfinite(score["value"]):
        return ""
    value = score["value"] * factor
    text = f"{value:.{decimals}f}"
    if score["low"] is None:
        return text
    half = (score["high"] - score["low"]) / 2 * factor
    return f"{text} ± {half:.{decimals}f}" if math.isfinite(half) and half > 0 else text
