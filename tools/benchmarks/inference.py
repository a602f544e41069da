"""`tools/benchmark inference`: seconds and peak memory of whole images, beside cv2.inpaint.

Each row is measured in its own process, whose peak memory is reported. The first run includes
compilation. Images of 4 megapixels and more are timed once, in the first run.
"""

import sys
import time

import numpy as np

from benchmarks import models, timing

_LARGE = 4.0  # megapixels
_MISSING = 0.1  # fraction of the pixels under scratches
_OPENCV = {"cv2 Telea": "INPAINT_TELEA", "cv2 Navier-Stokes": "INPAINT_NS"}
MEAN = "predict_mean"


def run(options):
    """Measures the model `options["model"]` (None: the recommended one)."""
    result = {
        "benchmark": "inference",
        "settings": {n: options[n] for n in ("model", "megapixels", "num_samples", "repeats")},
        **timing.machine(("opencv-python-headless", "tensorflow")),
        "rows": [],
    }
    for megapixels in options["megapixels"]:
        for case in cases(options["num_samples"]):
            print(f"{megapixels} megapixels, {case} …", file=sys.stderr)
            settings = {
                "case": case,
                "megapixels": float(megapixels),
                "model": options["model"],
                "repeats": options["repeats"],
            }
            found = timing.in_process(sys.modules[__name__], settings)
            result["rows"].append({**settings, **found})
    return result


def cases(num_samples):
    """Returns the names of the cases: the mean, samples of each number, and OpenCV's methods."""
    return [MEAN, *(f"inpaint, {int(n)} samples" for n in num_samples), *_OPENCV]


def measure(settings):
    """Measures one row: `{"first_s", "median", "low", "high", "peak_mb", "added_mb", "sides"}`."""
    y, mask = image(settings["megapixels"])
    case = settings["case"]
    if case in _OPENCV:
        function = _opencv(case, y, mask)
    else:
        model = models.load(settings["model"])
        function = _predictor(model, case, y[None], mask[None])
    before = timing.peak_bytes()
    begun = time.perf_counter()
    function()
    first = time.perf_counter() - begun
    seconds = [first]
    if settings["megapixels"] < _LARGE:
        _, found = timing.in_turn({case: function}, settings["repeats"])
        seconds = found[case]
    peak = timing.peak_bytes()
    return {
        "first_s": first,
        **timing.summary(seconds),
        "peak_mb": peak / 1e6,
        "added_mb": (peak - before) / 1e6,
        "sides": list(mask.shape[:2]),
    }


def image(megapixels, seed=0):
    """Returns a soft random picture with scratches, of about `megapixels`.

    Returns:
        `(y, mask)`: uint8 `(H, W, 3)`; uint8 `(H, W, 1)`, 1 = observed.
    """
    import cv2

    height = max(8, round((megapixels * 2 / 3 * 1e6) ** 0.5))
    width = max(8, round(height * 1.5))
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (height // 32 + 2, width // 32 + 2, 3)).astype("uint8")
    y = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    mask = np.ones((height, width), "uint8")
    while mask.mean() > 1.0 - _MISSING:
        ends = [tuple(int(v) for v in random.integers(0, (width, height))) for _ in range(2)]
        cv2.line(mask, *ends, 0, thickness=int(random.integers(2, 6)))
    return y * mask[..., None], mask[..., None]


def _opencv(case, y, mask):
    import cv2

    return lambda: cv2.inpaint(y, 1 - mask[..., 0], 3, getattr(cv2, _OPENCV[case]))


def _predictor(model, case, y, mask):
    if case == MEAN:
        return lambda: model.predict_mean(y, mask)
    count = int(case.split()[1])
    return lambda: model.inpaint(y, mask, num_samples=count)


def table(result):
    """Returns the result as text."""
    settings = result["settings"]
    lines = [
        f"{settings['model'] or 'The recommended model'}; medians of {settings['repeats']} runs, "
        f"images of {_LARGE:g} megapixels and more once",
        f"{'':24s}{'pixels':>14s}{'s':>9s}{'from':>9s}{'to':>9s}{'first s':>9s}"
        f"{'peak MB':>9s}{'added MB':>10s}",
    ]
    for row in result["rows"]:
        sides = " x ".join(map(str, row["sides"]))
        seconds = (row[name] for name in ("median", "low", "high", "first_s"))
        lines.append(
            f"{row['case']:24s}{sides:>14s}"
            + "".join(f"{value:9.2f}" for value in seconds)
            + f"{row['peak_mb']:9.0f}{row['added_mb']:10.0f}"
        )
    return "\n".join(lines)
