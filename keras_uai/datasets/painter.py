"""Anti-aliased shapes painted on a batch of small images at once, by signed distance, in NumPy."""

import numpy as np


class Painter:
    """A batch of images being painted, back to front.

    Coordinates of a shape: x to the right, y down, the image about [-1, 1] in both, before each
    image's own turn, size and place.

    Args:
        size: side in pixels.
        tilt, scale, shift_x, shift_y: float32 `(N,)`: how each image is turned (radians), enlarged
            and moved.
        most: the largest tilt, scale and shift that can occur: shapes are only computed where they
            can be.
    """

    def __init__(self, size, tilt, scale, shift_x, shift_y, most):
        self.size, self.count, self.most = size, len(tilt), most
        tilt, scale = tilt[:, None, None], scale[:, None, None]
        self.grid = (np.arange(size, dtype="float32") + 0.5) * np.float32(2.0 / size) - 1.0
        x = (self.grid[None, None, :] - shift_x[:, None, None]) / scale
        y = (self.grid[None, :, None] - shift_y[:, None, None]) / scale
        self.x = np.cos(tilt) * x + np.sin(tilt) * y
        self.y = np.cos(tilt) * y - np.sin(tilt) * x
        self.pixel = np.float32(2.0 / size) / scale  # the side of a pixel, in coordinates of shapes
        self.planes = np.zeros((3, self.count, size, size), "float32")

    def images(self):
        """What is painted, uint8 `(N, size, size, 3)`."""
        values = np.rint(np.clip(self.planes, 0.0, 255.0)).astype("uint8")
        return np.moveaxis(values, 0, -1)

    def paint(self, distance, color, amount, box):
        """Paints where the signed distance to a shape is negative, softened over one pixel.

        Args:
            distance: function of coordinates x, y `(N, h, w)`; exact near the shape's edge.
            color: float `(N, 3)` or `(3,)`, 0 to 255.
            amount: opacity, float or `(N, 1, 1)`.
            box: x0, x1, y0, y1 of a rectangle around the shape.
        """
        window = self._window(*box)
        cover = distance(self.x[window], self.y[window])
        cover /= -self.pixel
        cover += np.float32(0.5)
        np.clip(cover, 0.0, 1.0, out=cover)
        cover *= amount
        color = np.broadcast_to(np.asarray(color, "float32"), (self.count, 3))
        for channel in range(3):
            plane = self.planes[channel][window]
            plane += cover * (color[:, channel, None, None] - plane)

    def ellipse(self, cx, cy, a, b, color, amount=1.0):
        """An ellipse with half axes `a` and `b`; `cx`, `cy`, `a` may be `(N, 1, 1)`."""

        def distance(x, y):  # f / |grad f| of f = k^2 - k: exact on the edge to first order
            u, v = (x - cx) / a, (y - cy) / b
            k = np.sqrt(u * u + v * v)
            slope = np.sqrt((u / a) ** 2 + (v / b) ** 2)
            return k * (k - 1.0) / np.maximum(slope, np.float32(1e-6))

        reach = float(np.max(a))
        box = (float(np.min(cx)) - reach, float(np.max(cx)) + reach)
        self.paint(distance, color, amount, (*box, float(np.min(cy)) - b, float(np.max(cy)) + b))

    def arc(self, cx, cy, width, bend, thickness, color, amount=1.0):
        """A stroke from (cx - width, cy) to (cx + width, cy) whose middle hangs `bend` lower.

        `cy` may be `(N, 1, 1)`.
        """

        def distance(x, y):
            t = (x - cx) / width
            slope = (2.0 * bend / width) * t
            along = (y - cy - bend * (1.0 - t * t)) / np.sqrt(1.0 + slope * slope)
            beyond = np.maximum(np.abs(x - cx) - width, 0.0)
            return np.sqrt(along * along + beyond * beyond) - thickness

        wide, high = width + thickness, abs(bend) + thickness
        low, top = float(np.min(cy)) - high, float(np.max(cy)) + high
        self.paint(distance, color, amount, (cx - wide, cx + wide, low, top))

    def _window(self, x0, x1, y0, y1):
        """Slices of the pixels that a box can reach, however an image is turned and moved."""
        tilt, scale, shift = self.most
        far = max(abs(v) for v in (x0, x1, y0, y1))
        margin = shift + scale * np.sin(tilt) * far + 2.0 / self.size
        columns = np.searchsorted(self.grid, (x0 * scale - margin, x1 * scale + margin))
        rows = np.searchsorted(self.grid, (y0 * scale - margin, y1 * scale + margin))
        return slice(None), slice(*rows), slice(*columns)
