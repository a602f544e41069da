"""Image grids in the layout of figures 4 and 5: observation on top, samples below, then their mean
and where they differ. Drawn with Pillow; small images are enlarged without smoothing.
"""

import numpy as np

from keras_uai.metrics import checks
from keras_uai.metrics.drawing import BACKGROUND, INK, font

CELL = 96  # pixels: smaller images are enlarged by a whole factor until they are about as large
GAP = 4
# Colours of the uncertainty map from 0 to its largest value: dark, so that certain pixels recede.
_MAP = np.array(
    [(0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21),
     (250, 193, 39), (252, 255, 164)], "float64",
)  # fmt: skip


def sample_grid(y, samples, clean=None, *, max_samples=None, uncertainty=True, limit=None):
    """A picture of observations and their reconstructions, one column an image.

    Args:
        y: observations, `(N, H, W, C)` in [-1, 1].
        samples: `(N, K, H, W, C)` in [-1, 1].
        clean: originals, `(N, H, W, C)`, for a last row; or None.
        max_samples: show so many of the K samples; mean and uncertainty are of all.
        uncertainty: whether to add the rows "mean" and "std" (where K is at least 2): the mean of
            the samples, and per pixel their standard deviation averaged over channels.
        limit: the standard deviation shown brightest; by default the largest 99.5% quantile.

    Returns:
        uint8 `(height, width, 3)`; `save_png` writes it.

    One channel is shown as grey, of two the first as grey, of more than three the first three.
    """
    y = checks.images("y", y)
    samples = checks.samples("samples", samples, y.shape)
    rows = [("y", to_rgb(y))]
    shown = samples.shape[1] if max_samples is None else min(max_samples, samples.shape[1])
    for k in range(shown):
        rows.append((f"sample {k + 1}", to_rgb(samples[:, k])))
    if uncertainty and samples.shape[1] > 1:
        rows.append(("mean", to_rgb(samples.astype("float64").mean(axis=1))))
        deviation = samples.astype("float64").std(axis=1, ddof=1).mean(axis=-1)
        limit = limit or float(np.quantile(deviation, 0.995)) or 1.0
        rows.append((f"std\n0 to {limit:.2f}", colour_map(deviation / limit)))
    if clean is not None:
        rows.append(("x", to_rgb(checks.images("clean", clean))))
    return table(rows)


def comparison_grid(y, reconstructions, clean=None):
    """A picture of observations and what several methods make of them, one column an image.

    Args:
        y: observations, `(N, H, W, C)` in [-1, 1].
        reconstructions: `{name: (N, H, W, C)}`, a row each.
        clean: originals, `(N, H, W, C)`, for a last row; or None.

    Returns:
        uint8 `(height, width, 3)`.
    """
    y = checks.images("y", y)
    rows = [("y", to_rgb(y))]
    for name, images in reconstructions.items():
        images = checks.images(name, images)
        if images.shape != y.shape:
            raise ValueError(
                f"Reconstructions must have the shape of y, {y.shape}. "
                f"Received: {name} of shape {images.shape}"
            )
        rows.append((name.replace("_", "\n").replace(", ", ",\n"), to_rgb(images)))
    if clean is not None:
        rows.append(("x", to_rgb(checks.images("clean", clean))))
    return table(rows)


def models_grid(y, samples, clean=None, *, max_samples=2):
    """A picture of the same observations through several models, one column a model.

    Args:
        y: observations, `(N, H, W, C)` in [-1, 1], the first column.
        samples: `{name: (N, K, H, W, C)}`, a column each with the name on top; a sample a row. Of a
            model without z, pass K = 1: its one image stands in the first of an observation's rows.
        clean: originals, `(N, H, W, C)`, for a last column; or None.
        max_samples: rows an observation.

    Returns:
        uint8 `(height, width, 3)`.
    """
    y = checks.images("y", y)
    columns = {"y": y[:, None]}
    for name, images in samples.items():
        columns[name] = checks.samples(name, images, y.shape)[:, :max_samples]
    if clean is not None:
        columns["x"] = checks.images("clean", clean)[:, None]
    count = max(images.shape[1] for images in columns.values())
    rows = []
    for image in range(len(y)):
        for sample in range(count):
            cells = [c[image, sample] if sample < c.shape[1] else None for c in columns.values()]
            rows.append(("", [None if c is None else to_rgb(c[None])[0] for c in cells]))
    names = [name.replace("_", "\n").replace(" ", "\n") for name in columns]
    return table(rows, names)


def calibration_plot(results):
    """Coverage, ranks and error by spread, side by side; dashed is a calibrated sampler.

    Args:
        results: what `Calibration.result` returns, or several of them as `{name: result}`.

    Returns:
        uint8 `(height, width, 3)`.
    """
    from keras_uai.metrics.drawing import COLOURS, Panel, side_by_side

    if "coverage" in results:
        results = {"": results}
    largest = max(max(r["spread_error"][k]) for r in results.values() for k in ("spread", "error"))
    top = min(1.0, 1.1 * largest) or 1.0
    ranks = next(iter(results.values()))["ranks"]
    highest = max(max(r["ranks"]) for r in results.values())
    panels = [
        Panel("Coverage (dashed: calibrated)", "nominal coverage", "clean values inside"),
        Panel(
            "Ranks of the clean values",
            f"rank among {len(ranks) - 1} samples",
            "fraction",
            (-0.5, len(ranks) - 0.5),
            (0, min(1.0, 1.25 * highest)),
        ),
        Panel(
            "Error by predicted spread", "spread of the samples", "error of their mean",
            (0, top), (0, top),
        ),
    ]  # fmt: skip
    panels[0].diagonal()
    panels[2].diagonal()
    for (name, result), colour in zip(results.items(), COLOURS * len(results), strict=False):
        panels[0].line(result["coverage"]["nominal"], result["coverage"]["observed"], colour)
        spread, error = result["spread_error"]["spread"], result["spread_error"]["error"]
        panels[2].line(spread, error, colour)
        if len(results) == 1:
            panels[1].bars(result["ranks"], colour)
        else:
            panels[1].line(range(len(ranks)), result["ranks"], colour)
        if name:
            panels[0].legend(name, colour)
    panels[1].level(1.0 / len(ranks))
    return side_by_side(panels)


def colour_map(values):
    """Values in [0, 1] (others are clipped) as colours from black over red to light yellow.

    Returns:
        uint8 `(..., 3)`.
    """
    at = np.clip(values, 0.0, 1.0) * (len(_MAP) - 1)
    anchors = np.arange(len(_MAP))
    channels = [np.interp(at, anchors, _MAP[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype("uint8")


def save_png(picture, path):
    """Writes a uint8 picture `(height, width, 3)` as PNG; makes the folder where it is missing."""
    import os

    from PIL import Image

    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    Image.fromarray(picture).save(path, format="PNG")


def to_rgb(images):
    """Images `(..., C)` in [-1, 1] as uint8 `(..., 3)`."""
    images = images[..., :3] if images.shape[-1] >= 3 else images[..., :1]
    eight_bits = np.clip(np.rint((images.astype("float64") + 1.0) * 127.5), 0, 255).astype("uint8")
    return np.repeat(eight_bits, 3 // images.shape[-1], axis=-1)


def table(rows, titles=()):
    """Labelled rows of equally many pictures, `(H, W, 3)` or None, one below the other; `titles`
    stand above the columns.
    """
    from PIL import Image, ImageDraw

    count, (height, width) = len(rows[0][1]), rows[0][1][0].shape[:2]
    zoom = max(1, round(CELL / max(height, width)))
    cell_height, cell_width = height * zoom, width * zoom
    size = max(11, min(16, cell_height // 6))
    text = font(size)
    margin = GAP + round(max(text.getlength(line) for name, _ in rows for line in name.split("\n")))
    head = max((GAP + (title.count("\n") + 1) * (size + 5) for title in titles), default=0)
    canvas = Image.new(
        "RGB",
        (margin + GAP + count * (cell_width + GAP), head + GAP + len(rows) * (cell_height + GAP)),
        BACKGROUND,
    )
    draw = ImageDraw.Draw(canvas)
    lefts = [margin + GAP + column * (cell_width + GAP) for column in range(count)]
    for title, left in zip(titles, lefts, strict=False):
        place = (left + cell_width // 2, head)
        draw.multiline_text(place, title, INK, text, "md", align="center")
    for row, (name, pictures) in enumerate(rows):
        top = head + GAP + row * (cell_height + GAP)
        draw.multiline_text((margin, top + cell_height // 2), name, INK, text, "rm", align="right")
        for left, picture in zip(lefts, pictures, strict=True):
            if picture is None:
                continue
            enlarged = picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
            canvas.paste(Image.fromarray(enlarged), (left, top))
    return np.asarray(canvas)
