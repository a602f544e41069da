"""Small parametric faces, drawn by the package itself: a data set that needs no network and no
download.

Every factor of a face is drawn independently of all others, so a hidden eye or mouth really is
ambiguous: nothing else in the image says what colour the eye has or whether the mouth smiles.
(The two eyes agree with each other.) A face is a function of its index, anti-aliased by the
signed distance of each pixel to each shape, and the same face at every size.
"""

import numpy as np

from keras_uai.datasets import hashing
from keras_uai.datasets.sources import Preparation, Source

COUNT = 10_000
MIN_SIZE = 16

# Faces are a fixed data set: `load(seed=...)` changes masks, splits and orders, not faces
_SEED = 20_191

SKINS = {
    "porcelain": (255, 224, 200),
    "rose": (246, 200, 170),
    "honey": (228, 172, 126),
    "olive": (202, 150, 104),
    "brown": (150, 98, 64),
    "dark": (102, 64, 42),
}
HAIR_COLORS = {
    "black": (36, 30, 34),
    "brown": (98, 60, 34),
    "red": (176, 76, 30),
    "blond": (232, 192, 96),
    "gray": (176, 176, 184),
}
HAIR_STYLES = ("short", "fringe", "long", "bun", "curly", "bald")
EYE_COLORS = {
    "blue": (52, 118, 214),
    "green": (44, 150, 84),
    "brown": (110, 62, 24),
    "gray": (116, 128, 140),
}
EYES = ("open", "open", "open", "closed")  # a quarter of them closed
GAZES = ("left", "ahead", "right")
MOUTHS = ("smile", "neutral", "open")
BACKGROUNDS = {
    "sky": (146, 200, 240),
    "mint": (160, 222, 190),
    "sand": (240, 216, 160),
    "lilac": (200, 178, 232),
    "coral": (246, 164, 148),
    "slate": (96, 112, 136),
}

FACTORS = {
    "skin": tuple(SKINS),
    "hair_color": tuple(HAIR_COLORS),
    "hair_style": HAIR_STYLES,
    "eye_color": tuple(EYE_COLORS),
    "eyes": ("open", "closed"),
    "gaze": GAZES,
    "mouth": MOUTHS,
    "background": tuple(BACKGROUNDS),
}


def factors(indices):
    """The factors of variation of some faces.

    Args:
        indices: integers `(N,)`.

    Returns:
        dict of int64 `(N,)`: for each name of `FACTORS` the position in its tuple of values.
    """
    found = {}
    for stream, (name, values) in enumerate(FACTORS.items()):
        u = hashing.uniform(_SEED, stream, indices)
        if name == "eyes":
            found[name] = (u >= 0.75).astype("int64")
        else:
            found[name] = np.minimum((u * len(values)).astype("int64"), len(values) - 1)
    return found


def draw(indices, image_size):
    """Draws faces.

    Args:
        indices: integers `(N,)`.
        image_size: side in pixels, at least 16.

    Returns:
        uint8 `(N, image_size, image_size, 3)`.
    """
    if isinstance(image_size, bool) or not isinstance(image_size, (int, np.integer)):
        raise ValueError(f"`image_size` must be an integer. Received: image_size={image_size!r}")
    if image_size < MIN_SIZE:
        raise ValueError(
            f"A face needs at least {MIN_SIZE} x {MIN_SIZE} pixels. Received: "
            f"image_size={image_size}"
        )
    indices = np.asarray(indices, "int64")
    images = np.empty((len(indices), image_size, image_size, 3), "uint8")
    chunk = max(1, 2**16 // image_size**2)  # what fits the processor's cache
    for start in range(0, len(indices), chunk):
        images[start : start + chunk] = _Canvas(
            indices[start : start + chunk], int(image_size)
        ).face()
    return images


class DrawnFacesSource(Source):
    """`draw` as a source of the data pipeline."""

    name = "drawn_faces"
    chunk = 256

    def __init__(self, image_size=32, channels=3, count=COUNT):
        draw(np.arange(0), image_size)  # checks the size
        self.size = count
        self.preparation = Preparation(image_size=int(image_size), channels=channels)

    def label(self, index):
        return f"drawn face {index}"

    def decode(self, job):
        from keras_uai.datasets.imagefile import to_channels

        images = to_channels(draw(job, self.preparation.image_size), self.preparation.channels)
        return [(image, None) for image in images]


class _Canvas:
    """A batch of faces being painted, back to front. Face coordinates: x right, y down, the head
    about [-0.6, 0.6].
    """

    def __init__(self, indices, size):
        self.indices, self.size = indices, size
        self.factor = factors(indices)
        scale = self.vary(20, 0.95, 1.1)
        tilt = self.vary(21, -0.16, 0.16)
        shift_x, shift_y = self.vary(22, -0.09, 0.09), self.vary(23, -0.06, 0.06)
        grid = (np.arange(size, dtype="float32") + 0.5) * (2.0 / size) - 1.0
        x = (grid[None, None, :] - shift_x) / scale
        y = (grid[None, :, None] - shift_y) / scale
        self.x = np.cos(tilt) * x + np.sin(tilt) * y
        self.y = np.cos(tilt) * y - np.sin(tilt) * x
        self.grid = grid
        self.pixel = (2.0 / size) / scale  # in face coordinates
        self.planes = np.zeros((3, len(indices), size, size), "float32")

    # -- numbers ----------------------------------------------------------------------------------

    def vary(self, stream, low, high):
        """A continuous factor, uniform in [low, high), float32 `(N, 1, 1)`."""
        u = hashing.uniform(_SEED, stream, self.indices)
        return (low + (high - low) * u).astype("float32")[:, None, None]

    def pick(self, name, table):
        """The colours of a factor, float32 `(N, 3)`."""
        return np.array(list(table.values()), "float32")[self.factor[name]]

    def has(self, name, *values):
        """1.0 where a factor has one of the values, float32 `(N, 1, 1)`."""
        positions = [FACTORS[name].index(value) for value in values]
        return np.isin(self.factor[name], positions).astype("float32")[:, None, None]

    # -- painting ---------------------------------------------------------------------------------

    def paint(self, distance, color, amount=1.0, box=None):
        """Paints `color` where the signed distance to a shape is negative, softened over a
        pixel.
        """
        window = self.window(box)
        cover = distance(self.x[window], self.y[window])
        cover /= -self.pixel
        cover += 0.5
        np.clip(cover, 0.0, 1.0, out=cover)
        cover *= amount
        color = np.broadcast_to(np.asarray(color, "float32"), (len(self.indices), 3))
        for channel in range(3):
            plane = self.planes[channel][window]
            plane += cover * (color[:, channel, None, None] - plane)

    def window(self, box):
        """Slices of the pixels that face coordinates `(x0, x1, y0, y1)` can reach, whatever the
        pose.
        """
        if box is None:
            return (slice(None),) * 3
        x0, x1, y0, y1 = box
        reach = 0.10 + 0.16 * max(abs(v) for v in box) + 3.0 / self.size
        low_x, high_x = np.searchsorted(self.grid, [x0 * 1.1 - reach, x1 * 1.1 + reach])
        low_y, high_y = np.searchsorted(self.grid, [y0 * 1.1 - reach, y1 * 1.1 + reach])
        return slice(None), slice(low_y, high_y), slice(low_x, high_x)

    def ellipse(self, cx, cy, a, b, color, amount=1.0):
        reach = [float(np.max(np.abs(v))) for v in (a, b)]
        box = (
            float(np.min(cx)) - reach[0], float(np.max(cx)) + reach[0],
            float(np.min(cy)) - reach[1], float(np.max(cy)) + reach[1],
        )  # fmt: skip
        self.paint(lambda x, y: _ellipse(x - cx, y - cy, a, b), color, amount, box)

    def arc(self, cx, cy, width, bend, thickness, color, amount=1.0):
        """A stroke from (cx - width, cy) to (cx + width, cy) whose middle hangs `bend` lower."""

        def distance(x, y):
            t = (x - cx) / width
            curve = bend * (1.0 - t * t)
            slope = 2.0 * bend * t / width
            along = np.abs(y - cy - curve) / np.sqrt(1.0 + slope * slope)
            beyond = np.maximum(np.abs(x - cx) - width, 0.0)
            return np.hypot(along, beyond) - thickness

        high = float(np.max(np.abs(bend))) + thickness
        box = (cx - width - thickness, cx + width + thickness, cy - high, cy + high)
        self.paint(distance, color, amount, box)

    # -- the face ---------------------------------------------------------------------------------

    def face(self):
        self.background()
        self.hair_behind()
        self.body_and_head()
        for side in (-1.0, 1.0):
            self.eye(side)
        self.nose_and_mouth()
        self.hair_in_front()
        values = np.rint(np.clip(self.planes, 0.0, 255.0)).astype("uint8")
        return np.moveaxis(values, 0, -1)

    def background(self):
        color = self.pick("background", BACKGROUNDS)
        light = (
            self.vary(30, -0.25, 0.25) * self.grid[None, :, None]
        )  # a gradient from top to bottom
        for channel in range(3):
            self.planes[channel] = color[:, channel, None, None] * (0.92 + light)

    def colors(self):
        skin = self.pick("skin", SKINS) * self.vary(31, 0.95, 1.04)[:, 0]
        hair = self.pick("hair_color", HAIR_COLORS) * self.vary(32, 0.85, 1.15)[:, 0]
        return skin, hair

    def hair_behind(self):
        _, hair = self.colors()
        long, bun, curly = (
            self.has("hair_style", "long"),
            self.has("hair_style", "bun"),
            self.has("hair_style", "curly"),
        )
        shade = hair * 0.82
        self.ellipse(0.0, 0.1, 0.70, 0.86, shade, long)
        self.ellipse(0.0, -0.80, 0.26, 0.24, shade, bun)
        for cx, cy in (
            (-0.55, -0.25),
            (0.55, -0.25),
            (-0.62, 0.08),
            (0.62, 0.08),
            (-0.36, -0.58),
            (0.36, -0.58),
        ):
            self.ellipse(cx, cy, 0.27, 0.27, shade, curly)
        self.ellipse(0.0, -0.62, 0.34, 0.30, shade, curly)

    def body_and_head(self):
        skin, _ = self.colors()
        shirt = np.stack([hashing.uniform(_SEED, 33 + c, self.indices) for c in range(3)], -1)
        shirt = (60.0 + 170.0 * shirt).astype("float32")
        self.ellipse(0.0, 1.22, 0.85, 0.40, shirt)
        self.ellipse(0.0, 0.80, 0.20, 0.26, skin * 0.86)
        for side in (-1.0, 1.0):
            self.ellipse(side * 0.575, 0.04, 0.10, 0.15, skin * 0.92)
        jaw = self.vary(36, 0.53, 0.59)
        self.ellipse(0.0, 0.04, jaw, 0.70, skin)
        blush = skin * np.array([1.0, 0.80, 0.78], "float32")
        for side in (-1.0, 1.0):
            self.ellipse(side * 0.34, 0.27, 0.12, 0.08, blush, 0.55)

    def eye(self, side):
        _, hair = self.colors()
        skin, _ = self.colors()
        opened, closed = self.has("eyes", "open"), self.has("eyes", "closed")
        bald = self.has("hair_style", "bald")
        cx, cy = side * 0.235, -0.04
        gaze = (self.factor["gaze"].astype("float32") - 1.0)[:, None, None] * 0.055
        iris = self.pick("eye_color", EYE_COLORS)
        self.ellipse(cx, cy, 0.165, 0.125, skin * 0.62, opened)
        self.ellipse(cx, cy + 0.01, 0.150, 0.110, (252, 252, 252), opened)
        self.ellipse(cx + gaze, cy + 0.01, 0.088, 0.100, iris, opened)
        self.ellipse(cx + gaze, cy + 0.01, 0.042, 0.048, (16, 14, 20), opened)
        self.ellipse(cx + gaze - 0.03, cy - 0.03, 0.022, 0.022, (255, 255, 255), opened)
        self.arc(cx, cy + 0.02, 0.14, 0.06, 0.026, skin * 0.34, closed)
        lift = self.vary(37, -0.03, 0.03)
        brow = hair * 0.75 * (1.0 - bald[:, 0]) + skin * 0.5 * bald[:, 0]
        self.paint(
            lambda x, y: _brow(x - cx, y - cy + 0.225 + lift, 0.14, -0.045, 0.030),
            brow,
            box=(cx - 0.2, cx + 0.2, cy - 0.38, cy - 0.1),
        )

    def nose_and_mouth(self):
        skin, _ = self.colors()
        self.ellipse(0.0, 0.19, 0.055, 0.075, skin * 0.80)
        self.ellipse(-0.005, 0.165, 0.045, 0.07, skin)
        lips = skin * np.array([0.78, 0.42, 0.42], "float32")
        cy = 0.44
        self.arc(0.0, cy - 0.05, 0.23, 0.11, 0.034, lips * 0.85, self.has("mouth", "smile"))
        self.arc(0.0, cy, 0.15, 0.0, 0.032, lips, self.has("mouth", "neutral"))
        opened = self.has("mouth", "open")
        self.ellipse(0.0, cy + 0.01, 0.165, 0.135, lips, opened)
        self.ellipse(0.0, cy + 0.01, 0.130, 0.100, (70, 16, 24), opened)
        self.ellipse(0.0, cy + 0.075, 0.085, 0.042, (226, 96, 104), opened)

    def hair_in_front(self):
        _, hair = self.colors()
        short, fringe = self.has("hair_style", "short"), self.has("hair_style", "fringe")
        long, bun, curly = (
            self.has("hair_style", "long"),
            self.has("hair_style", "bun"),
            self.has("hair_style", "curly"),
        )
        parting = self.vary(38, -0.3, 0.3)

        def cap(low, tilt, x, y):
            """Inside the head's upper outline, above a line that rises away from the parting."""
            outside = _ellipse(x, y - 0.02, 0.62, 0.76)
            line = y - low + tilt * np.abs(x - parting) - 0.10 * np.abs(x) ** 3
            return np.maximum(outside, line)

        box = (-0.7, 0.7, -0.85, 0.1)
        self.paint(lambda x, y: cap(-0.44, -0.28, x, y), hair, short, box)
        self.paint(lambda x, y: cap(-0.27, -0.02, x, y), hair, fringe, box)
        self.paint(lambda x, y: cap(-0.52, -0.55, x, y), hair, np.maximum(long, bun), box)
        for cx, cy in (
            (-0.40, -0.42),
            (-0.14, -0.52),
            (0.14, -0.52),
            (0.40, -0.42),
            (-0.52, -0.2),
            (0.52, -0.2),
        ):
            self.ellipse(cx, cy, 0.17, 0.16, hair, curly)


def _ellipse(x, y, a, b):
    """Signed distance to an ellipse, exact on its edge to first order: f / |grad f|."""
    u, v = x / a, y / b
    k = np.sqrt(u * u + v * v)
    slope = np.hypot(u / a, v / b)
    return k * (k - 1.0) / np.maximum(slope, 1e-6)


def _brow(x, y, width, bend, thickness):
    t = x / width
    along = np.abs(y - bend * (1.0 - t * t))
    return np.hypot(along, np.maximum(np.abs(x) - width, 0.0)) - thickness
