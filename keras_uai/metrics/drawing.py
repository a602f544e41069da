"""Plots with Pillow alone: axes, lines, points, bars; drawn at twice their size for smoothness."""

BACKGROUND, INK, FAINT, GRID = "#ffffff", "#222222", "#777777", "#e4e4e4"
COLOURS = ("#1f6fb4", "#d1495b", "#2a9d6f", "#9b6bb3", "#d98e04", "#5c677d", "#00798c")
_SCALE = 2  # drawn so much larger than shown: smooth lines


def font(size):
    """Pillow's own font; needs no font on the machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


class Panel:
    """One set of axes.

    Args:
        title, xlabel, ylabel: texts.
        xlim, ylim: `(low, high)` of the axes.
        size: side of the plotted square, in pixels.
    """

    LEFT, RIGHT, TOP, BOTTOM = 62, 22, 40, 54

    def __init__(self, title, xlabel, ylabel, xlim=(0.0, 1.0), ylim=(0.0, 1.0), size=320):
        from PIL import Image, ImageDraw

        self.xlim, self.ylim, self.size = xlim, ylim, size
        self.width, self.height = size + self.LEFT + self.RIGHT, size + self.TOP + self.BOTTOM
        self.image = Image.new("RGB", (self.width * _SCALE, self.height * _SCALE), BACKGROUND)
        self._draw = ImageDraw.Draw(self.image)
        self._legend_rows = 0
        self._axes(title, xlabel, ylabel)

    def line(self, xs, ys, colour=COLOURS[0], width=2, points=True):
        """A line through points, which are marked."""
        at = [self._at(x, y) for x, y in zip(xs, ys, strict=True)]
        self._draw.line(at, colour, width * _SCALE, joint="curve")
        if points:
            radius = 3.2 * _SCALE
            for x, y in at:
                self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    def diagonal(self):
        """The dashed line y = x: what a calibrated sampler gives."""
        low = max(self.xlim[0], self.ylim[0])
        high = min(self.xlim[1], self.ylim[1])
        step = (high - low) / 40
        for i in range(0, 40, 2):
            ends = [self._at(low + j * step, low + j * step) for j in (i, i + 1)]
            self._draw.line(ends, FAINT, _SCALE)

    def level(self, y):
        """A horizontal dashed line."""
        step = (self.xlim[1] - self.xlim[0]) / 40
        for i in range(0, 40, 2):
            ends = [self._at(self.xlim[0] + j * step, y) for j in (i, i + 1)]
            self._draw.line(ends, FAINT, _SCALE)

    def bars(self, heights, colour=COLOURS[0]):
        """Bars at x = 0, 1, ..."""
        for i, height in enumerate(heights):
            left, top = self._at(i - 0.42, height)
            right, bottom = self._at(i + 0.42, self.ylim[0])
            self._draw.rectangle((left, min(top, bottom), right, bottom), colour)

    def legend(self, name, colour):
        """A line of the legend, at the top left."""
        x = (self.LEFT + 12) * _SCALE
        y = (self.TOP + 16 + 19 * self._legend_rows) * _SCALE
        self._draw.line((x, y, x + 20 * _SCALE, y), colour, 3 * _SCALE)
        self._text((x + 27 * _SCALE, y), name, 13, "lm")
        self._legend_rows += 1

    def _at(self, x, y):
        u = (x - self.xlim[0]) / (self.xlim[1] - self.xlim[0])
        v = (min(y, self.ylim[1]) - self.ylim[0]) / (self.ylim[1] - self.ylim[0])
        return (
            (self.LEFT + u * self.size) * _SCALE,
            (self.TOP + (1.0 - v) * self.size) * _SCALE,
        )

    def _text(self, at, text, size, anchor, colour=INK):
        self._draw.text(at, text, colour, font(size * _SCALE), anchor)

    def _axes(self, title, xlabel, ylabel):
        from PIL import Image, ImageDraw

        for x in _ticks(*self.xlim):
            foot, head = self._at(x, self.ylim[0]), self._at(x, self.ylim[1])
            self._draw.line([foot, head], GRID, _SCALE)
            self._text((foot[0], foot[1] + 7 * _SCALE), f"{x:g}", 12, "mt", FAINT)
        for y in _ticks(*self.ylim):
            foot, head = self._at(self.xlim[0], y), self._at(self.xlim[1], y)
            self._draw.line([foot, head], GRID, _SCALE)
            self._text((foot[0] - 7 * _SCALE, foot[1]), f"{y:g}", 12, "rm", FAINT)
        corners = [*self._at(self.xlim[0], self.ylim[1]), *self._at(self.xlim[1], self.ylim[0])]
        self._draw.rectangle(corners, outline=FAINT, width=_SCALE)
        middle = self.LEFT + self.size / 2
        self._text((middle * _SCALE, (self.TOP - 14) * _SCALE), title, 15, "mm")
        self._text((middle * _SCALE, (self.height - 15) * _SCALE), xlabel, 13, "mm")
        # Pillow draws upright text only: the y label is drawn apart and turned.
        text = font(13 * _SCALE)
        strip = Image.new("RGB", (round(text.getlength(ylabel)) + 8, 22 * _SCALE), BACKGROUND)
        ImageDraw.Draw(strip).text((strip.width / 2, 11 * _SCALE), ylabel, INK, text, "mm")
        strip = strip.rotate(90, expand=True)
        top = round((self.TOP + self.size / 2) * _SCALE - strip.height / 2)
        self.image.paste(strip, (2 * _SCALE, top))


def side_by_side(panels):
    """Panels in a row, as uint8 `(height, width, 3)`."""
    import numpy as np
    from PIL import Image

    width, height = sum(p.width for p in panels), max(p.height for p in panels)
    canvas = Image.new("RGB", (width, height), BACKGROUND)
    left = 0
    for panel in panels:
        canvas.paste(panel.image.resize((panel.width, panel.height), Image.LANCZOS), (left, 0))
        left += panel.width
    return np.asarray(canvas)


def _ticks(low, high):
    """About five round numbers between `low` and `high`."""
    import math

    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    for factor in (5, 2):
        if (high - low) / (step * factor) >= 4:
            step *= factor
            break
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]
