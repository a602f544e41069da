"""`tools/benchmark data`: how fast batches of damaged images come, against the training step in the same run.

Images are decoded, cropped and resized once ("decoding"); the first epoch does that and draws the masks, later ones
know them.
Both engines are measured: tf.data, and the threads that feed the other backends.
"""

import pathlib
import tempfile
import time

import numpy as np
from PIL import Image

from benchmarks import step_cases, timing

WANTED = 10  # times the step's rate
_SIDES = (32, 64)
_FILE = (109, 89)  # height and width of the files that are made: CelebA's, halved


def run(options):
    """Measures the images of `options["data"]` (None: files made for it); a JSON-able dict."""
    machine = timing.machine(("numpy", "pillow", "tensorflow", "keras"))
    result = {
        "benchmark": "data",
        "settings": {
            n: options[n] for n in ("data", "images", "width", "batch_size", "repeats", "step")
        },
        **machine,
        "sides": {},
    }
    with tempfile.TemporaryDirectory() as made:
        folder = options["data"] or _files(pathlib.Path(made), options["images"])
        for side in _SIDES:
            result["sides"][str(side)] = _side(folder, side, options)
    return result


def measurements(side):
    """`{name: measurement}`: each kind there is."""
    from keras_uai import measurements as kinds

    holes = kinds.Patch(2, side // 4, border=0).masks(np.arange(64), side, side)
    return {
        "DropPixel(0.9)": kinds.DropPixel(0.9),
        "Patch(90, 10)": kinds.Patch(90, 10),
        f"Patch(1, {side // 2})": kinds.Patch(1, side // 2),
        "Empirical, 64 masks": kinds.Empirical(1.0 - np.array(holes)[..., 0]),
    }


def _side(folder, side, options):
    """Rates at one size of images."""
    step = _step_rate(side, options) if options["step"] else None
    found = {"step_images_per_s": step, "rows": {}}
    for name, measurement in measurements(side).items():
        begun = time.perf_counter()
        dataset = _load(folder, side, measurement, options)
        if "decoding_images_per_s" not in found:
            kept = dataset._keras_uai_elements[0]  # the decoded images live as long as these
            found["decoding_images_per_s"] = len(kept.indices) / (time.perf_counter() - begun)
        for engine, first, later in _epochs(dataset, options["repeats"]):
            once = found["decoding_images_per_s"]
            # An epoch that begins with decoding them all.
            row = {"first": 1.0 / (1.0 / first + 1.0 / once), "later": timing.summary(later)}
            if step:
                row["times_the_step"] = min(row["first"], row["later"]["median"]) / step
            found["rows"][f"{name}, {engine}"] = row
    del kept
    return found


def _load(folder, side, measurement, options):
    from keras_uai import datasets

    return datasets.load(
        folder, "all", side, measurement, options["batch_size"],
        crop_size=min(_FILE) if options["data"] is None else None,
        limit=options["images"], shuffle=True, cache="memory",
    )  # fmt: skip


def _epochs(dataset, repeats):
    """`(engine, images/s of the first epoch, [images/s of later ones])` of both engines."""
    from keras_uai.datasets.batches import Batches

    elements = dataset._keras_uai_elements[0]
    for engine, batches in (("tf.data", dataset), ("threads", Batches(elements))):
        rates = []
        for _ in range(1 + repeats):
            begun, images = time.perf_counter(), 0
            for batch in batches:
                images += len(batch["observation"] if isinstance(batch, dict) else batch)
            rates.append(images / (time.perf_counter() - begun))
        yield engine, rates[0], rates[1:]


def _step_rate(side, options):
    """images/s of our training step, a short measurement."""
    settings = {"image_size": side, "width": options["width"], "micro_batches": 1}
    model = step_cases.make_model(settings)
    y, _ = step_cases.make_batch(model, options["batch_size"])
    _, step = step_cases.keras_step(model, y)
    step()
    _, seconds = timing.in_turn({"step": step}, options["repeats"])
    return options["batch_size"] / float(np.median(seconds["step"]))


def _files(folder, count):
    """JPEG files of soft random pictures."""
    random = np.random.default_rng(0)
    for i in range(count):
        small = random.integers(0, 256, (8, 6, 3)).astype("uint8")
        picture = Image.fromarray(small).resize(_FILE[::-1], Image.Resampling.BICUBIC)
        picture.save(folder / f"{i:06d}.jpg", quality=90)
    return str(folder)


def table(result):
    """The result as text."""
    settings = result["settings"]
    lines = [
        f"Images/s of {settings['data'] or 'JPEG files of 89 x 109'}, {settings['images']:,} images at most, "
        f"batches of {settings['batch_size']}; later epochs: medians of {settings['repeats']}"
    ]
    for side, found in result["sides"].items():
        step = found["step_images_per_s"]
        lines.append(
            f"{side} x {side}: decoded and resized once at {found['decoding_images_per_s']:,.0f} images/s"
            + (f"; a step of width {settings['width']} takes {step:.1f} images/s" if step else "")
        )
        times = f"{'x step':>9s}" if step else ""
        lines.append(f"{'':32s}{'first':>9s}{'later':>9s}{'from':>9s}{'to':>9s}{times}")
        for name, row in found["rows"].items():
            rates = (row["first"], *(row["later"][key] for key in ("median", "low", "high")))
            times = f"{row['times_the_step']:9.0f}" if step else ""
            lines.append(f"{name:32s}" + "".join(f"{rate:9,.0f}" for rate in rates) + times)
        if step:
            worst = min(row["times_the_step"] for row in found["rows"].values())
            lines.append(f"The slowest is {worst:.0f} times the step; wanted: {WANTED}")
    return "\n".join(lines)
