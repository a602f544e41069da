"""Image grids in the layout of the paper's figures 4 and 5, and calibration plots.

Images are shown pixel by pixel, without smoothing: at their own size, or, if they are small,
enlarged by a whole factor.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL = 96  # pixels; smaller images are enlarged by a whole factor until they are about as large
GAP = 4  # pixels between images
FONT_SIZES = (11, 17)  # pixels; beside small and large images


def sample_grid(
    y, samples=None, clean=None, *, mean=None, others=None, max_samples=None, uncertainty=True
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
            deviation of the samples at each pixel, averaged over channels. Brightest is its 99.5%
            quantile.

    Returns:
        uint8 `(height, width, 3)`; `files.write_image` writes it. One channel is shown as gray, of
        two the first as gray, of more than three the first three.
    """
    rows = {"y": y}
    if samples is not None:
        count = min(len(s) for s in samples)
        for k in range(min(count, max_samples or count)):
            rows[f"sample {k + 1}"] = [s[k] for s in samples]
        if uncertainty and count > 1:
            own_mean = (s.mean(axis=0, dtype="float64") for s in samples)
            rows["mean"] = own_mean if mean is None else mean
            spread = [s.astype("float64").std(axis=0, ddof=1).mean(axis=-1) for s in samples]
            limit = float(np.quantile(np.concatenate([d.ravel() for d in spread]), 0.995)) or 1.0
            rows[f"std\n0 to {limit:.2f}"] = [colour_map(one / limit) for one in spread]
    for name, images in (others or {}).items():
        rows[name.replace("_", "\n").replace(", ", ",\n")] = images
    if clean is not None:
        rows["x"] = clean
    return grid([[to_rgb(np.asarray(cell)) for cell in row] for row in rows.values()], list(rows))


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
    columns = {"y": [one[None] for one in y], **samples}
    if clean is not None:
        columns["x"] = [one[None] for one in clean]
    rows = []
    for cells in zip(*columns.values(), strict=True):
        white = np.ones_like(cells[0][0])
        for k in range(min(max_samples, max(len(cell) for cell in cells))):
            rows.append([to_rgb(cell[k] if k < len(cell) else white) for cell in cells])
    return grid(rows, (), [name.replace("_", "\n").replace(" ", "\n") for name in columns])


def grid(rows, row_names=(), column_names=()):
    """Draws a table of pictures, uint8 `(h, w, 3)`, with texts left of rows and above columns."""
    largest = max(max(cell.shape[:2]) for row in rows for cell in row)
    zoom = max(1, round(CELL / largest))
    font = ImageFont.load_default(FONT_SIZES[largest > 2 * CELL])
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox

    def extent(texts, axis):
        return max((round(measure((0, 0), t, font)[2 + axis]) + GAP for t in texts), default=0)

    widths = [max(cell.shape[1] for cell in column) * zoom for column in zip(*rows, strict=True)]
    heights = [max(len(cell) for cell in row) * zoom for row in rows]
    lefts = extent(row_names, 0) + GAP + np.cumsum([0, *(w + GAP for w in widths)])
    tops = extent(column_names, 1) + GAP + np.cumsum([0, *(h + GAP for h in heights)])
    picture = Image.new("RGB", (int(lefts[-1]), int(tops[-1])), "white")
    draw = ImageDraw.Draw(picture)
    for name, left, width in zip(column_names, lefts, widths, strict=False):
        place = (left + width / 2, GAP)
        draw.multiline_text(place, name, "black", font, "ma", align="center")
    for name, top, height in zip(row_names, tops, heights, strict=False):
        place = (lefts[0] - GAP, top + height / 2)
        draw.multiline_text(place, name, "black", font, "rm", align="right")
    for row, top in zip(rows, tops, strict=False):
        for cell, left in zip(row, lefts, strict=False):
            image = Image.fromarray(cell.repeat(zoom, axis=0).repeat(zoom, axis=1))
            picture.paste(image, (int(left), int(top)))
    return np.asarray(picture)


def calibration_plot(results):
    """Plots coverage and ranks side by side; dashed is a calibrated sampler.

    Args:
        results: `{name: result of Scores.calibration}`.

    Returns:
        uint8 `(height, width, 3)`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((8, 4), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    coverage, ranks = figure.subplots(1, 2)
    dashed = {"color": "gray", "linestyle": "--"}
    for name, result in results.items():
        covered, shares = result["coverage"], result["ranks"]
        coverage.plot(covered["nominal"], covered["observed"], "o-", label=name)
        ranks.plot(range(len(shares)), shares, "o-")
        ranks.axhline(1.0 / len(shares), **dashed)
    coverage.plot([0, 1], [0, 1], **dashed)
    coverage.legend()
    coverage.set(title="Coverage", xlabel="nominal coverage", ylabel="true values inside")
    ranks.set(title="Ranks of true values", xlabel="rank among the samples", ylabel="fraction")
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def colour_map(values):
    """Returns values in [0, 1] (others are clipped) as colours from black over red to yellow.

    Returns:
        uint8 `(..., 3)`.
    """
    import matplotlib

    return matplotlib.colormaps["inferno"](np.clip(values, 0.0, 1.0), bytes=True)[..., :3]


def to_rgb(images):
    """Returns images `(..., C)` in network units as uint8 `(..., 3)`; -1 is black, 1 white.

    uint8 pictures are returned as they are.
    """
    if images.dtype == np.uint8:
        return images
    images = images[..., :3] if images.shape[-1] >= 3 else images[..., :1]
    eight_bits = np.clip(np.rint((images.astype("float64") + 1.0) * 127.5), 0, 255).astype("uint8")
    return np.repeat(eight_bits, 3 // images.shape[-1], axis=-1)
