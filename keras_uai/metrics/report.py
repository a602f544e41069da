"""What an evaluation ends in: every score of every method with its interval, as JSON and Markdown."""

import json
import math
import os
import warnings

import numpy as np

from keras_uai.metrics import calibration, distances, figures
from keras_uai.metrics.statistics import Statistics

# column: (title, decimals, factor)
COLUMNS = {
    "mse": ("MSE", 4, 1),
    "mse_missing": ("MSE, missing", 4, 1),
    "psnr": ("PSNR", 2, 1),
    "ssim": ("SSIM", 3, 1),
    "crps": ("CRPS", 4, 1),
    "std": ("std", 3, 1),
    "spread_skill": ("spread-skill", 2, 1),
}
_OF_MEAN = {"mse", "mse_missing", "psnr", "ssim"}
RESULTS = "results.json"
NORMAL_95 = 1.959964
JACKKNIFE_FROM = 100  # images: with fewer, the intervals would say more of chance than of error


def method_scores(gathered, stochastic=True):
    """`{score: {"value", "low", "high"}}` with 95% bootstrap intervals over images.

    Args:
        gathered: `gathering.Gathered`.
        stochastic: whether the sampler has a z; if not, its std and spread are 0, also of one sample.
    """
    values, intervals = gathered.scores.result(), gathered.scores.bootstrap()
    found = {
        name: {"value": values[name], "low": low, "high": high}
        for name, (low, high) in intervals.items()
    }
    if not stochastic:
        for name in ("std", "spread", "spread_skill"):
            found[name] = {"value": 0.0, "low": 0.0, "high": 0.0}
    return found


def method_distances(features, reference, extractor):
    """Fréchet and kernel distance to clean images, with 95% intervals by the jackknife.

    It does not warn of few images: what prints the numbers says how many there were.

    Args:
        features: `(N, D)`, of one reconstruction of each of the reference's images.
        reference: `Statistics` of the clean images, with features.
        extractor: `Extractor` of both.
    """
    statistics = Statistics({**reference.stamp}, features)
    measures = {
        extractor.frechet_name: distances.frechet_distance,
        extractor.kernel_name: lambda a, b: distances.kernel_distance(a, b, None)[0],
    }
    found = {}
    for name, measure in measures.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = measure(statistics, reference)
        half = math.nan
        if statistics.count >= JACKKNIFE_FROM:
            half = NORMAL_95 * distances.standard_error(measure, statistics, reference)
        found[name] = {"value": value, "low": value - half, "high": value + half}
    return found


def calibration_result(gathered):
    """`calibration.summarize` of a sampler, with `calibration_error`'s 95% interval; or None."""
    rows, k = gathered.calibration, gathered.scores.num_samples
    if rows is None:
        return None
    rows = rows[rows[:, : k + 1].any(axis=1)]  # an image without a missing pixel has none to say
    if not len(rows):
        return None
    result = calibration.summarize(rows.sum(axis=0), k)
    generator = np.random.default_rng(0)
    errors = [
        calibration.summarize(rows[generator.integers(0, len(rows), len(rows))].sum(axis=0), k)[
            "calibration_error"
        ]
        for _ in range(200)
    ]
    result["calibration_error_interval"] = [float(v) for v in np.quantile(errors, (0.025, 0.975))]
    return result


def table(result):
    """The result as Markdown: a line on what was measured, and a row a method.

    Args:
        result: dict with "description" (text), "methods" (`{name: {"scores", "num_samples"}}`).
    """
    methods = result["methods"]
    names = [name for name in COLUMNS if any(name in m["scores"] for m in methods.values())]
    first = next(iter(methods.values()))["scores"]
    measured = [
        name
        for name in first
        if name.startswith(("fid", "kid", "frechet", "kernel")) and not name.endswith("_of_mean")
    ]
    head = [_distance_title(name) for name in measured] + [COLUMNS[name][0] for name in names]
    lines = [result["description"], "", "| " + " | ".join(["method", *head]) + " |"]
    lines.append("| --- |" + " ---: |" * len(head))
    for method, found in methods.items():
        scores, k = found["scores"], found["num_samples"]
        title = f"{method}, one sample" if k > 1 else method
        cells = [_distance_cell(scores.get(name), name) for name in measured]
        cells += [_cell(scores.get(name), *COLUMNS[name][1:]) for name in names]
        lines.append("| " + " | ".join([title, *cells]) + " |")
        if k > 1:
            cells = [_distance_cell(scores.get(f"{name}_of_mean"), name) for name in measured]
            cells += [
                _cell(scores.get(f"{name}_of_mean"), *COLUMNS[name][1:]) if name in _OF_MEAN else ""
                for name in names
            ]
            lines.append("| " + " | ".join([f"{method}, mean of {k}", *cells]) + " |")
    return "\n".join(lines) + "\n"


def write(folder, result, pictures):
    """Writes `results.json`, `table.md`, the calibration plot and `{name: picture}` as PNG.

    Returns:
        the paths written.
    """
    os.makedirs(folder, exist_ok=True)
    texts = {RESULTS: json.dumps(plain(result), indent=2) + "\n", "table.md": table(result)}
    for name, text in texts.items():
        path = os.path.join(folder, name)
        with open(f"{path}.partial", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.partial", path)
    calibrated = {
        name: method["calibration"]
        for name, method in result["methods"].items()
        if method.get("calibration")
    }
    if calibrated:
        plotted = next(iter(calibrated.values())) if len(calibrated) == 1 else calibrated
        pictures = {**pictures, "calibration": figures.calibration_plot(plotted)}
    for name, picture in pictures.items():
        figures.save_png(picture, os.path.join(folder, f"{name}.png"))
    return [os.path.join(folder, name) for name in (*texts, *(f"{n}.png" for n in pictures))]


def plain(value):
    """`value` with NaN and infinities as None, which JSON has words for."""
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
    return _cell(score, 1 if name.startswith(("fid", "frechet")) else 2, _factor(name))


def _factor(name):
    return 1000 if name.startswith(("kid", "kernel")) else 1


def _cell(score, decimals, factor=1):
    """`0.0546 ± 0.0012`: half the width of the 95% interval."""
    if score is None or score["value"] is None or not math.isfinite(score["value"]):
        return ""
    value, half = score["value"] * factor, (score["high"] - score["low"]) / 2 * factor
    text = f"{value:.{decimals}f}"
    return f"{text} ± {half:.{decimals}f}" if math.isfinite(half) and half > 0 else text
