"""`tools/benchmark serving`: an export against the model it was made of.

`bare` is the compiled function of the model that draws the samples and the mean, without the checks
and statistics of a service. `files` decodes PNGs with alpha and encodes samples, mean and std.
"""

import io
import tempfile

import numpy as np
from PIL import Image

from benchmarks import models, timing

_BATCH, _SAMPLES = 32, 10
_WARM_UP = 3
_ROUNDS = 20  # per unit of --repeats, since runs take milliseconds
_SIZE = (64, 64)

#: name: (case, reference, target of the ratio)
TARGETS = {
    "SavedModel / bare, 1 image": ("SavedModel, 1 image", "bare, 1 image", "<= 1.1"),
    "SavedModel / bare, 32 images": ("SavedModel, 32 images", "bare, 32 images", "<= 1.1"),
    "predict / SavedModel, 1 image": ("predict, 1 image", "SavedModel, 1 image", ">= 5"),
    "10 samples / 1 sample": ("SavedModel, 10 samples", "SavedModel, 1 image", "<= 6"),
    "files / floats, 32 images": ("files, 32 images", "SavedModel, 32 images", "<= 1.2"),
    "float16 / float32, 1 image": ("float16, 1 image", "SavedModel, 1 image", ""),
}


def run(options):
    """Measures the model `options["model"]` (None: the recommended one)."""
    import tensorflow as tf

    machine = timing.machine(("tensorflow", "keras"))
    model = models.load(options["model"])
    rounds = _ROUNDS * options["repeats"]
    with tempfile.TemporaryDirectory() as folder:
        paths = [model.export(f"{folder}/{w}/1", weights=w) for w in ("float32", "float16")]
        loaded = [tf.saved_model.load(path) for path in paths]
        cases = _cases(model, *(module.signatures for module in loaded))
        timing.in_turn(cases, _WARM_UP)
        _, seconds = timing.in_turn(cases, rounds)
    ratios = {}
    for name, (case, against, target) in TARGETS.items():
        low, ratio, high = np.percentile(np.divide(seconds[case], seconds[against]), (25, 50, 75))
        ratios[name] = {"median": ratio, "low": low, "high": high, "target": target}
    return {
        "benchmark": "serving",
        "settings": {
            "model": options["model"],
            "size": models.size(model, _SIZE),
            "rounds": rounds,
        },
        **machine,
        "rows": {name: _quartiles(found) for name, found in seconds.items()},
        "ratios": {n: {k: _plain(v) for k, v in r.items()} for n, r in ratios.items()},
    }


def table(result):
    """Returns the result as text."""
    settings = result["settings"]
    shape = " x ".join(map(str, settings["size"]))
    lines = [
        f"{settings['model'] or 'The recommended model'}, {shape}, "
        f"{settings['rounds']} runs in turn; medians and quartiles",
        f"{'':32s}{'ms':>10s}{'from':>10s}{'to':>10s}",
    ]
    for name, row in result["rows"].items():
        values = (1000 * row[key] for key in ("median", "low", "high"))
        lines.append(f"{name:32s}" + "".join(f"{value:10.2f}" for value in values))
    lines.append(f"{'':32s}{'ratio':>10s}{'from':>10s}{'to':>10s}{'target':>10s}")
    for name, row in result["ratios"].items():
        values = (row[key] for key in ("median", "low", "high"))
        lines.append(
            f"{name:32s}" + "".join(f"{v:10.2f}" for v in values) + f"{row['target']:>10s}"
        )
    return "\n".join(lines)


def _cases(model, signatures, signatures_16):
    """Returns `{name: function that runs it once}`."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    height, width = models.size(model, _SIZE)
    channels = model.image_shape[-1]
    pixels = random.integers(0, 256, (_BATCH, height, width, channels)).astype("uint8")
    mask = random.random((_BATCH, height, width, 1)) < 0.1
    y = np.where(mask, pixels / np.float32(127.5) - 1, np.float32(model.measurement.tau))
    mask = mask.astype("float32")
    files = [_png(p, m) for p, m in zip(pixels, mask, strict=True)]

    def bare(y, mask, seeds, num_samples):
        samples = model.inference.sample(y, mask, seeds, num_samples)
        if model.generator.predicts_mean:
            return samples, model.inference.mean(y, mask)
        return samples

    compiled = tf.function(bare, autograph=False, reduce_retracing=True)

    def of_model(count):
        feed = [tf.constant(y[:count]), tf.constant(mask[:count]), tf.range(count), tf.constant(1)]
        return lambda: compiled(*feed)

    def of(signature, count, num_samples=1):
        draws = {
            "seed": tf.range(count, dtype="int64"),
            "num_samples": tf.fill((count,), num_samples),
        }
        feed = {"y": tf.constant(y[:count]), "mask": tf.constant(mask[:count]), **draws}
        return lambda: signature(**feed)

    def of_files(count):
        feed = {"image_bytes": tf.constant(files[:count]), "mask_bytes": tf.constant([b""] * count)}
        feed |= {"seed": tf.range(count, dtype="int64"), "num_samples": tf.fill((count,), 1)}
        return lambda: signatures["image_bytes"](**feed)

    default = signatures["serving_default"]
    return {
        "bare, 1 image": of_model(1),
        "SavedModel, 1 image": of(default, 1),
        "float16, 1 image": of(signatures_16["serving_default"], 1),
        "predict, 1 image": lambda: model.predict(y[:1], verbose=0),
        "SavedModel, 10 samples": of(default, 1, _SAMPLES),
        "bare, 32 images": of_model(_BATCH),
        "SavedModel, 32 images": of(default, _BATCH),
        "files, 32 images": of_files(_BATCH),
    }


def _png(pixels, mask):
    alpha = (255 * mask[..., 0]).astype("uint8")
    image = Image.fromarray(np.squeeze(pixels, -1) if pixels.shape[-1] == 1 else pixels)
    image.putalpha(Image.fromarray(alpha))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _quartiles(seconds):
    low, median, high = np.percentile(seconds, (25, 50, 75))
    return {"median": _plain(median), "low": _plain(low), "high": _plain(high)}


def _plain(value):
    return value if isinstance(value, str) else float(value)
