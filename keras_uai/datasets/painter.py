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
    """

    def __init__(self, size, tilt, scale, shift_x, shift_y):
        self.count = len(tilt)
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

    def paint(self, distance, color, amount):
        """Paints where the signed distance to a shape is negative, softened over one pixel.

        Args:
            distance: function of coordinates x, y `(N, h, w)`; exact near the shape's edge.
            color: float `(N, 3)` or `(3,)`, 0 to 255.
            amount: opacity, float or `(N, 1, 1)`.
        """
        cover = distance(self.x, self.y)
        cover /= -self.pixel
        cover += np.float32(0.5)
        np.clip(cover, 0.0, 1.0, out=cover)
        cover *= amount
        color = np.broadcast_to(np.asarray(color, "float32"), (self.count, 3))
        for channel in range(3):
            plane = self.planes[channel]
            plane += cover * (color[:, channel, None, None] - plane)

    def ellipse(self, cx, cy, a, b, color, amount=1.0):
        """An ellipse with half axes `a` and `b`; `cx`, `cy`, `a` may be `(N, 1, 1)`."""

        def distance(x, y):  # f / |grad f| of f = k^2 - k: exact on the edge to first order
            u, v = (x - cx) / a, (y - cy) / b
            k = np.sqrt(u * u + v * v)
            slope = np.sqrt((u / a) ** 2 + (v / b) ** 2)
            return k * (k - 1.0) / np.maximum(slope, np.float32(1e-6))

        self.paint(distance, color, amount)

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

        self.paint(distance, color, amount)
