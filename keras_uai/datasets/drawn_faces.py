"""Small parametric faces, drawn by the package itself: no network, no download, no files.

Every factor of a face is drawn independently of all others, so a hidden eye or mouth really is
ambiguous: nothing else in the image says what colour the eyes have or whether the mouth smiles.
(One eye does tell the other.) A face is a function of its index, and the same face at every size.
Shapes are painted by their signed distance, on a batch of images at once.
"""

import numpy as np

from keras_uai.checks import check_integer
from keras_uai.datasets import hashing
from keras_uai.datasets.sources import Preparation, Source, check_channels
from keras_uai.files import to_channels

NAME = "drawn_faces"
COUNT = 10_000
SIZE = 32  # default, in pixels

_SEED = 20_191  # the faces are fixed: `load(seed=...)` changes masks, splits and orders only

SKINS = {
    "porcelain": (255, 224, 200),
    "rose": (246, 200, 170),
    "honey": (228, 172, 126),
    "olive": (202, 150, 104),
    "brown": (156, 104, 70),
    "dark": (112, 72, 48),
}
HAIR_COLORS = {
    "black": (36, 30, 34),
    "brown": (98, 60, 34),
    "red": (176, 76, 30),
    "blond": (232, 192, 96),
    "gray": (176, 176, 184),
}
EYE_COLORS = {
    "blue": (40, 110, 220),
    "green": (36, 150, 76),
    "brown": (112, 60, 20),
    "gray": (120, 132, 146),
}
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
    "hair_style": ("short", "fringe", "long", "bun", "curly", "bald"),
    "eye_color": tuple(EYE_COLORS),
    "eyes": ("open", "closed"),
    "gaze": ("left", "ahead", "right"),
    "mouth": ("smile", "neutral", "open"),
    "background": tuple(BACKGROUNDS),
}
_CLOSED = 0.25  # share of faces with closed eyes; all other values are equally likely

# Continuous factors, uniform in [low, high): turn in radians, size, place (2 = the image's side).
POSE = {
    "tilt": (-0.16, 0.16),
    "scale": (1.0, 1.15),
    "shift_x": (-0.1, 0.1),
    "shift_y": (-0.06, 0.06),
}


def factors(indices):
    """Returns the factors of variation of some faces, each independent of all others.

    Args:
        indices: integers `(N,)`.

    Returns:
        dict: for each name of `FACTORS` int64 `(N,)`, the position in its tuple of values; for each
        name of `POSE` float32 `(N,)`.
    """
    names = (*FACTORS, *POSE)
    u = {name: hashing.uniform(_SEED, stream, indices) for stream, name in enumerate(names)}
    found = {name: (u[name] * len(values)).astype("int64") for name, values in FACTORS.items()}
    found["eyes"] = (u["eyes"] < _CLOSED).astype("int64")
    for name, (low, high) in POSE.items():
        found[name] = (low + (high - low) * u[name]).astype("float32")
    return found


def draw(indices, image_size=SIZE):
    """Draws faces.

    Args:
        indices: integers `(N,)`.
        image_size: side in pixels, at least 16.

    Returns:
        uint8 `(N, image_size, image_size, 3)`.

    Raises:
        ValueError: `image_size` is too small, or no integer.
    """
    size = check_integer("drawn faces", "image_size", image_size, 16)
    indices = np.asarray(indices, "int64")
    images = np.empty((len(indices), size, size, 3), "uint8")
    chunk = max(1, 2**16 // size**2)  # what fits a processor's cache
    for start in range(0, len(indices), chunk):
        images[start : start + chunk] = _Faces(indices[start : start + chunk], size).images()
    return images


class DrawnFacesSource(Source):
    """`draw` as a source of the data pipeline: the first 10,000 faces."""

    name = NAME
    size = COUNT
    chunk = 128

    def __init__(self, preparation):
        for argument in ("center_crop", "mask_from"):
            if (value := getattr(preparation, argument)) is not None:
                raise ValueError(
                    "Drawn faces are clean, and drawn at any size. Received: "
                    f"{argument}={value!r}. Use {argument}=None"
                )
        height, width = preparation.image_size or (SIZE, SIZE)
        if height != width:
            raise ValueError(f"Drawn faces are square. Received: image_size={(height, width)}")
        draw([], height)  # checks it
        channels = check_channels(preparation.channels) or 3
        self.preparation = Preparation(height, channels=channels, dtype="uint8")

    def decode(self, job):
        images = draw([index for index, _ in job], self.preparation.image_size[0])
        return [(image, None) for image in to_channels(images, self.preparation.channels)]


class Painter:
    """A batch of square images being painted, back to front, with anti-aliased edges.

    Coordinates of a shape: x to the right, y down, the image about [-1, 1] in both, before each
    image is turned by `tilt` (radians), enlarged by `scale` and moved, all float32 `(N,)`.
    """

    def __init__(self, size, tilt, scale, shift_x, shift_y):
        tilt, scale = tilt[:, None, None], scale[:, None, None]
        self.grid = (np.arange(size, dtype="float32") + 0.5) * np.float32(2.0 / size) - 1.0
        x = (self.grid[None, None, :] - shift_x[:, None, None]) / scale
        y = (self.grid[None, :, None] - shift_y[:, None, None]) / scale
        self.x = np.cos(tilt) * x + np.sin(tilt) * y
        self.y = np.cos(tilt) * y - np.sin(tilt) * x
        self.pixel = np.float32(2.0 / size) / scale  # the side of a pixel, in coordinates of shapes
        self.planes = np.zeros((3, len(tilt), size, size), "float32")

    def images(self):
        """Returns uint8 `(N, size, size, 3)`."""
        return np.moveaxis(np.rint(np.clip(self.planes, 0.0, 255.0)).astype("uint8"), 0, -1)

    def paint(self, distance, color, amount):
        """Paints where `distance(x, y)`, signed, is negative, softened over one pixel.

        `color` is `(N, 3)` or `(3,)`, 0 to 255. The opacity `amount`, and numbers that say where a
        shape lies, are floats or `(N, 1, 1)`.
        """
        cover = distance(self.x, self.y)
        cover /= -self.pixel
        cover += np.float32(0.5)
        np.clip(cover, 0.0, 1.0, out=cover)
        cover *= amount
        color = np.broadcast_to(np.asarray(color, "float32"), (len(cover), 3))
        for plane, value in zip(self.planes, color.T[..., None, None], strict=True):
            plane += cover * (value - plane)

    def ellipse(self, cx, cy, a, b, color, amount=1.0):
        """An ellipse with half axes `a` and `b`."""
        self.paint(lambda x, y: _to_ellipse(x - cx, y - cy, a, b), color, amount)

    def arc(self, cx, cy, width, bend, thickness, color, amount=1.0):
        """A stroke from (cx - width, cy) to (cx + width, cy) whose middle hangs `bend` lower."""

        def distance(x, y):
            t = (x - cx) / width
            slope = (2.0 * bend / width) * t
            along = (y - cy - bend * (1.0 - t * t)) / np.sqrt(1.0 + slope * slope)
            beyond = np.maximum(np.abs(x - cx) - width, 0.0)
            return np.sqrt(along * along + beyond * beyond) - thickness

        self.paint(distance, color, amount)


def _to_ellipse(x, y, a, b):
    """Distance to an ellipse, f / |grad f| of f = k^2 - k: exact on the edge to first order."""
    u, v = x / a, y / b
    k = np.sqrt(u * u + v * v)
    slope = np.sqrt((u / a) ** 2 + (v / b) ** 2)
    return k * (k - 1.0) / np.maximum(slope, np.float32(1e-6))


class _Faces(Painter):
    """A batch of faces. The head is about [-0.6, 0.6] wide and [-0.7, 0.7] high."""

    def __init__(self, indices, size):
        self.indices = indices
        self.factor = factors(indices)
        super().__init__(size, *(self.factor[name] for name in POSE))
        self.skin = self.pick("skin", SKINS) * self.vary(0, 0.95, 1.04)[:, 0]
        self.hair = self.pick("hair_color", HAIR_COLORS) * self.vary(1, 0.85, 1.15)[:, 0]
        self.background()
        self.hair_behind()
        self.body_and_head()
        for side in (-1.0, 1.0):
            self.eye(side)
        self.nose_and_mouth()
        self.hair_in_front()

    def vary(self, stream, low, high):
        """Uniform in [low, high), float32 `(N, 1, 1)`."""
        u = hashing.uniform(_SEED, 100 + stream, self.indices)
        return (low + (high - low) * u).astype("float32")[:, None, None]

    def pick(self, name, colors):
        """The colour of a factor, float32 `(N, 3)`."""
        return np.array(list(colors.values()), "float32")[self.factor[name]]

    def has(self, name, value):
        """1 where a factor has that value, float32 `(N, 1, 1)`."""
        position = FACTORS[name].index(value)
        return (self.factor[name] == position).astype("float32")[:, None, None]

    def background(self):
        color = self.pick("background", BACKGROUNDS)
        light = 0.92 + self.vary(2, -0.25, 0.25) * self.grid[None, :, None]  # from top to bottom
        self.planes[:] = color.T[..., None, None] * light

    def hair_behind(self):
        shade = self.hair * 0.82
        curly = self.has("hair_style", "curly")
        self.ellipse(0.0, 0.10, 0.70, 0.86, shade, self.has("hair_style", "long"))
        self.ellipse(0.0, -0.78, 0.26, 0.24, shade, self.has("hair_style", "bun"))
        for side in (-1.0, 1.0):
            for cx, cy in ((0.36, -0.58), (0.55, -0.25), (0.62, 0.08)):
                self.ellipse(side * cx, cy, 0.27, 0.27, shade, curly)
        self.ellipse(0.0, -0.62, 0.34, 0.30, shade, curly)

    def body_and_head(self):
        shirt = np.stack([self.vary(3 + c, 60.0, 230.0)[:, 0, 0] for c in range(3)], axis=-1)
        self.ellipse(0.0, 1.22, 0.85, 0.40, shirt)
        self.ellipse(0.0, 0.80, 0.20, 0.26, self.skin * 0.86)
        for side in (-1.0, 1.0):
            self.ellipse(side * 0.575, 0.04, 0.10, 0.15, self.skin * 0.92)
        self.ellipse(0.0, 0.04, self.vary(6, 0.53, 0.59), 0.70, self.skin)
        blush = self.skin * np.array([1.02, 0.78, 0.76], "float32")
        for side in (-1.0, 1.0):
            self.ellipse(side * 0.35, 0.27, 0.12, 0.08, blush, 0.6)

    def eye(self, side):
        opened, closed = self.has("eyes", "open"), self.has("eyes", "closed")
        cx, cy = side * 0.24, -0.03
        look = cx + (self.factor["gaze"].astype("float32") - 1.0)[:, None, None] * 0.055
        self.ellipse(cx, cy - 0.01, 0.185, 0.150, self.skin * 0.6, opened)
        self.ellipse(cx, cy, 0.170, 0.135, (252, 252, 252), opened)
        self.ellipse(look, cy, 0.105, 0.120, self.pick("eye_color", EYE_COLORS), opened)
        self.ellipse(look, cy, 0.048, 0.056, (16, 14, 20), opened)
        self.ellipse(look - 0.035, cy - 0.045, 0.026, 0.026, (255, 255, 255), opened)
        self.arc(cx, cy + 0.01, 0.15, 0.07, 0.028, self.skin * 0.32, closed)
        bald = self.has("hair_style", "bald")[:, 0]
        brow = self.hair * 0.75 * (1.0 - bald) + self.skin * 0.5 * bald
        self.arc(cx, cy - 0.235 + self.vary(7, -0.03, 0.03), 0.14, -0.05, 0.030, brow)

    def nose_and_mouth(self):
        self.ellipse(0.0, 0.20, 0.055, 0.075, self.skin * 0.78)
        self.ellipse(-0.006, 0.172, 0.046, 0.072, self.skin)
        lips = self.skin * np.array([0.40, 0.20, 0.20], "float32") + (86.0, 24.0, 30.0)
        smile, opened = self.has("mouth", "smile"), self.has("mouth", "open")
        self.arc(0.0, 0.37, 0.25, 0.13, 0.042, lips * 0.9, smile)
        self.arc(0.0, 0.44, 0.16, 0.0, 0.038, lips, self.has("mouth", "neutral"))
        self.ellipse(0.0, 0.45, 0.175, 0.145, lips, opened)
        self.ellipse(0.0, 0.45, 0.135, 0.105, (70, 16, 24), opened)
        self.ellipse(0.0, 0.515, 0.090, 0.045, (226, 96, 104), opened)

    def hair_in_front(self):
        styles = {name: self.has("hair_style", name) for name in FACTORS["hair_style"]}
        parting = self.vary(8, -0.3, 0.3)
        self.cap(parting, -0.44, -0.28, styles["short"])
        self.cap(parting, -0.27, -0.02, styles["fringe"])
        self.cap(parting, -0.52, -0.55, styles["long"] + styles["bun"])
        self.ellipse(0.0, -0.58, 0.17, 0.16, self.hair, styles["curly"])
        for side in (-1.0, 1.0):
            for cx, cy in ((0.14, -0.53), (0.40, -0.43), (0.53, -0.20)):
                self.ellipse(side * cx, cy, 0.17, 0.16, self.hair, styles["curly"])

    def cap(self, parting, low, fall, amount):
        """Hair on the upper head: above a line through `low` that falls away from the parting."""

        def distance(x, y):
            line = y - low + fall * np.abs(x - parting) - 0.10 * np.abs(x) ** 3
            return np.maximum(_to_ellipse(x, y - 0.02, 0.62, 0.76), line)

        self.paint(distance, self.hair, amount)
