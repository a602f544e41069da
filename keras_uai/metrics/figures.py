"""Image grids in the layout of the paper's figures 4 and 5, and calibration plots, by matplotlib.

Images are shown pixel by pixel, without smoothing: at their own size, or, if they are small,
enlarged by a whole factor.
"""

import numpy as np

from keras_uai import files
from keras_uai.metrics import checks

CELL = 96  # pixels; smaller images are enlarged by a whole factor until they are about as large
GAP = 4  # pixels between images
FONT_SIZES = (8, 12)  # points; beside small and large images
_DPI = 100


def sample_grid(
    y,
    samples=None,
    clean=None,
    *,
    mean=None,
    others=None,
    max_samples=None,
    uncertainty=True,
    limit=None,
):
    """Draws observations and their reconstructions, one column an image.

    Args:
        y: observations in network units, `(N, H, W, C)`, or a list of `(H, W, C)` of any sizes.
        samples: `(N, K, H, W, C)`, or a list of `(K, H, W, C)`; or None.
        clean: true images for a last row, like y; or None.
        mean: images for the row "mean", like y. Default: the mean of the samples.
        others: `{name: images}`, reconstructions of other methods, like y; a row each.
        max_samples: number of samples that are shown; mean and uncertainty are of all.
        uncertainty: whether to add the rows "mean" and "std" (if K is at least 2): the standard
            deviation of the samples at each pixel, averaged over channels.
        limit: standard deviation shown brightest. Default: the 99.5% quantile.

    Returns:
        uint8 `(height, width, 3)`; `save_png` writes it. One channel is shown as gray, of two the
        first as gray, of more than three the first three.
    """
    y = [checks.images("y", one[None], bounded=False)[0] for one in y]
    rows = {"y": _rgb("y", y, y)}
    if samples is not None:
        samples = [
            checks.samples("samples", s[None], one[None].shape, bounded=False)[0].astype("float64")
            for s, one in zip(samples, y, strict=True)
        ]
        count = min(len(s) for s in samples)
        for k in range(count if max_samples is None else min(max_samples, count)):
            rows[f"sample {k + 1}"] = [to_rgb(s[k]) for s in samples]
        if uncertainty and count > 1:
            mean = [s.mean(axis=0) for s in samples] if mean is None else mean
            rows["mean"] = _rgb("mean", mean, y)
            deviation = [s.std(axis=0, ddof=1).mean(axis=-1) for s in samples]
            limit = limit or brightest(deviation)
            rows[f"std\n0 to {limit:.2f}"] = [colour_map(d / limit) for d in deviation]
    for name, images in (others or {}).items():
        rows[name.replace("_", "\n").replace(", ", ",\n")] = _rgb(name, images, y)
    if clean is not None:
        rows["x"] = _rgb("clean", clean, y)
    return grid(list(rows.values()), list(rows))


def models_grid(y, samples, clean=None, *, max_samples=2):
    """Draws the same observations and their reconstructions by several models, one column a model.

    Args:
        y: see `sample_grid`; the first column.
        samples: `{name: samples}`, a column each, a sample a row. The one image of a model without
            z (K = 1) stands in the first of an observation's rows.
        clean: true images for a last column, like y; or None.
        max_samples: number of rows of an observation.

    Returns:
        uint8 `(height, width, 3)`.
    """
    columns = {"y": [one[None] for one in y]}
    for name, images in samples.items():
        columns[name] = [
            checks.samples(name, s[None], one[None].shape, bounded=False)[0][:max_samples]
            for s, one in zip(images, y, strict=True)
        ]
    if clean is not None:
        columns["x"] = [one[None] for one in clean]
    rows = []
    for image in range(len(y)):
        cells = [column[image] for column in columns.values()]
        for k in range(max(len(cell) for cell in cells)):
            rows.append([to_rgb(cell[k]) if k < len(cell) else None for cell in cells])
    return grid(rows, None, [name.replace("_", "\n").replace(" ", "\n") for name in columns])


def grid(rows, row_names=None, column_names=None, title=None):
    """Draws a table of images.

    Args:
        rows: lists of equally many uint8 `(h, w, 3)`, or None for an empty place.
        row_names: texts to the left of the rows, or None.
        column_names: texts above the columns, or None.
        title: text above all, or None.

    Returns:
        uint8 `(height, width, 3)`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    largest = max(max(cell.shape[:2]) for row in rows for cell in row if cell is not None)
    zoom = max(1, round(CELL / largest))
    rows = [[_enlarge(cell, zoom) for cell in row] for row in rows]
    widths = [max(_size(cell, 1) for cell in column) for column in zip(*rows, strict=True)]
    widths = [width or max(widths) for width in widths]  # of a column without images
    heights = [max(_size(cell, 0) for cell in row) for row in rows]
    font_size = FONT_SIZES[largest > 2 * CELL]
    line = round(1.5 * font_size * _DPI / 72)  # pixels
    names = row_names or []
    left = GAP + max([round(_text_width(name, font_size)) for name in names], default=0)
    head = line if title else 0
    above = head + max([line * (t.count("\n") + 1) for t in column_names or []], default=0)
    width = left + GAP + sum(w + GAP for w in widths)
    height = above + GAP + sum(h + GAP for h in heights)
    figure = Figure((width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    text = {"fontsize": font_size, "transform": None}
    if title:
        figure.text(GAP, height - GAP, title, ha="left", va="top", **text)
    tops = above + GAP + np.cumsum([0, *(h + GAP for h in heights[:-1])])
    lefts = left + GAP + np.cumsum([0, *(w + GAP for w in widths[:-1])])
    for name, at, w in zip(column_names or [], lefts, widths, strict=False):
        place = (at + w / 2, height - above)
        figure.text(*place, name, ha="center", va="bottom", linespacing=1.1, **text)
    for name, top, h in zip(names, tops, heights, strict=False):
        figure.text(left, height - top - h / 2, name, ha="right", va="center", **text)
    for row, top in zip(rows, tops, strict=True):
        for cell, at in zip(row, lefts, strict=True):
            if cell is not None:
                figure.figimage(cell, at, height - top - len(cell), origin="upper")
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def calibration_plot(results):
    """Plots coverage, ranks, and error by spread side by side; dashed is a calibrated sampler.

    Args:
        results: a result of `Scores.calibration`, or several as `{name: result}`.

    Returns:
        uint8 `(height, width, 3)`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    results = {"": results} if "coverage" in results else results
    figure = Figure((12, 4), dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    coverage, ranks, errors = figure.subplots(1, 3)
    largest = 0.0
    for name, result in results.items():
        of_ranks, by_spread = result["ranks"], result["spread_error"]
        coverage.plot(*(result["coverage"][k] for k in ("nominal", "observed")), "o-", label=name)
        errors.plot(by_spread["spread"], by_spread["error"], "o-")
        if len(results) == 1:
            ranks.bar(range(len(of_ranks)), of_ranks)
        else:
            ranks.plot(range(len(of_ranks)), of_ranks, "o-")
        ranks.axhline(1.0 / len(of_ranks), color="gray", linestyle="--")
        largest = max(largest, *by_spread["spread"], *by_spread["error"])
    if len(results) > 1:
        coverage.legend()
    for axes, end in ((coverage, 1.0), (errors, largest)):
        axes.plot([0, end], [0, end], color="gray", linestyle="--")
    coverage.set(title="Coverage", xlabel="nominal coverage", ylabel="true values inside")
    ranks.set(title="Ranks of true values", xlabel="rank among the samples", ylabel="fraction")
    errors.set(title="Error by predicted spread", xlabel="spread", ylabel="error of the mean")
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def cutter(text):
    """Returns a function that cuts the same part out of each image of a list.

    Args:
        text: "ROW,COLUMN,HEIGHT,WIDTH" in pixels, or None for whole images.

    Returns:
        `(images, axis=0) -> images`; `axis` is that of the rows. None stays None.
    """
    try:
        row, column, height, width = (
            (int(n) for n in text.split(",")) if text else (0, 0, None, None)
        )
    except ValueError:
        raise ValueError(
            f"`--view` must be four numbers, ROW,COLUMN,HEIGHT,WIDTH. Received: --view={text}"
        ) from None

    def view(images, axis=0):
        if images is None or height is None:
            return images
        window = (slice(row, row + height), slice(column, column + width))
        return [image[(slice(None),) * axis + window] for image in images]

    return view


def brightest(deviations):
    """Returns the 99.5% quantile of some arrays together, or 1 if it is 0."""
    values = np.concatenate([deviation.ravel() for deviation in deviations])
    return float(np.quantile(values, 0.995)) or 1.0


def colour_map(values):
    """Returns values in [0, 1] (others are clipped) as colours from black over red to yellow.

    Returns:
        uint8 `(..., 3)`.
    """
    import matplotlib

    found = matplotlib.colormaps["inferno"](np.clip(values, 0.0, 1.0), bytes=True)
    return np.asarray(found, "uint8")[..., :3]


def save_png(picture, path):
    """Writes a uint8 picture `(height, width, 3)` as PNG; makes the folder where it is missing."""
    files.write_image(path, picture)


def to_rgb(images):
    """Returns images `(..., C)` in network units as uint8 `(..., 3)`; -1 is black, 1 white."""
    images = images[..., :3] if images.shape[-1] >= 3 else images[..., :1]
    eight_bits = np.clip(np.rint((images.astype("float64") + 1.0) * 127.5), 0, 255).astype("uint8")
    return np.repeat(eight_bits, 3 // images.shape[-1], axis=-1)


def _rgb(name, images, y):
    """Images as uint8, if they have the shapes of `y`."""
    shapes, expected = [one.shape for one in images], [one.shape for one in y]
    if shapes != expected:
        raise ValueError(
            f"`{name}` must have the shapes of y, {expected}. Received: {name} of shapes {shapes}"
        )
    return [to_rgb(np.asarray(one)) for one in images]


def _enlarge(cell, zoom):
    return None if cell is None else cell.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _size(cell, axis):
    return 0 if cell is None else cell.shape[axis]


def _text_width(text, size):
    """Width of text in pixels."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font, widths = FontProperties(size=size), []
    for line in text.split("\n"):
        widths.append(TextToPath().get_text_width_height_descent(line, font, ismath=False)[0])
    return max(widths) * _DPI / 72
