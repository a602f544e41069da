"""`tools/benchmark data`: loading and damaging of images against the training step.

Batches are made of clean images in two ways: resized to a square, and as random crops of whole
images. The first epoch decodes the images; later epochs read them from memory. The backend selects
the engine: tf.data, or the threads that feed other backends (KERAS_BACKEND=jax).
"""

import pathlib
import tempfile
import time

import numpy as np
from PIL import Image

from benchmarks import timing

WANTED = 10  # times the speed of the step
_SIDE = 64
_FILE = (240, 320)  # height and width of the generated files


def run(options):
    """Measures the images of `options["data"]` (None: generated files)."""
    names = ("data", "images", "width", "batch_size", "repeats", "step")
    result = {
        "benchmark": "data",
        "settings": {name: options[name] for name in names},
        **timing.machine(("numpy", "pillow")),
        "step_images_per_s": _step_rate(options) if options["step"] else None,
        "rows": {},
    }
    with tempfile.TemporaryDirectory() as made:
        folder = options["data"] or _files(pathlib.Path(made), options["images"])
        for name, arguments in cases().items():
            first, later = _epochs(folder, arguments, options)
            row = {"first": first, "later": timing.summary(later)}
            if options["step"]:
                slowest = min(first, row["later"]["median"])
                row["times_the_step"] = slowest / result["step_images_per_s"]
            result["rows"][name] = row
    return result


def cases():
    """Returns `{name: arguments of datasets.load}`: each kind of measurement, squares and crops."""
    from keras_uai import measurements

    holes = measurements.Patch(2, _SIDE // 4, border=0).masks(np.arange(64), _SIDE, _SIDE)
    empirical = measurements.Empirical(1.0 - np.array(holes))
    kinds = {
        "DropPixel(0.9)": measurements.DropPixel(0.9),
        "Patch(90, 10)": measurements.Patch(90, 10),
        "Empirical, 64 masks": empirical,
    }
    squares = {
        f"squares, {name}": {"image_size": _SIDE, "measurement": kind}
        for name, kind in kinds.items()
    }
    crops = {
        f"crops, {name}": {"crop_size": _SIDE, "measurement": kind, "random_horizontal_flip": True}
        for name, kind in kinds.items()
    }
    return squares | crops


def _epochs(folder, arguments, options):
    """Returns images/s of the first epoch, and a list of those of later ones."""
    from keras_uai import datasets

    dataset = datasets.load(
        folder,
        "all",
        batch_size=options["batch_size"],
        limit=options["images"],
        shuffle=True,
        cache="memory",
        **arguments,
    )
    rates = []
    for _ in range(1 + options["repeats"]):
        begun = time.perf_counter()
        images = 0
        for batch in dataset:
            images += len(batch["observation"] if isinstance(batch, dict) else batch)
        rates.append(images / (time.perf_counter() - begun))
    return rates[0], rates[1:]


def _step_rate(options):
    """Returns images/s of a training step of the paper's model."""
    from benchmarks import step_cases

    settings = {"image_size": _SIDE, "width": options["width"], "gradient_accumulation_steps": 1}
    model = step_cases.make_model(settings)
    y, _ = step_cases.make_batch(model, options["batch_size"])
    model.train_on_batch(y)
    _, seconds = timing.in_turn({"step": lambda: model.train_on_batch(y)}, options["repeats"])
    return options["batch_size"] / float(np.median(seconds["step"]))


def _files(folder, count):
    """Writes JPEG files of soft random pictures; returns the folder."""
    random = np.random.default_rng(0)
    for i in range(count):
        small = random.integers(0, 256, (8, 6, 3)).astype("uint8")
        picture = Image.fromarray(small).resize(_FILE[::-1], Image.Resampling.BICUBIC)
        picture.save(folder / f"{i:06d}.jpg", quality=90)
    return str(folder)


def table(result):
    """Returns the result as text."""
    settings = result["settings"]
    step = result["step_images_per_s"]
    files = settings["data"] or f"JPEG files of {_FILE[1]} x {_FILE[0]} pixels"
    lines = [
        f"Images/s of {_SIDE} x {_SIDE} from {files}, {settings['images']:,} images at most, "
        f"batches of {settings['batch_size']}; later epochs: medians of {settings['repeats']}"
    ]
    if step:
        lines.append(f"A step of width {settings['width']}: {step:.1f} images/s")
    times = f"{'x step':>9s}" if step else ""
    lines.append(f"{'':32s}{'first':>9s}{'later':>9s}{'from':>9s}{'to':>9s}{times}")
    for name, row in result["rows"].items():
        rates = (row["first"], *(row["later"][key] for key in ("median", "low", "high")))
        times = f"{row['times_the_step']:9.0f}" if step else ""
        lines.append(f"{name:32s}" + "".join(f"{rate:9,.0f}" for rate in rates) + times)
    if step:
        worst = min(row["times_the_step"] for row in result["rows"].values())
        lines.append(f"The slowest is {worst:.0f} times the step; wanted: {WANTED}")
    return "\n".join(lines)
