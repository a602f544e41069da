"""Damages a folder of photographs at their own size: the data of photographs_*.flags.

    python experiments/photographs.py --clean=photos/ --damage=scratches --out=scratched/

Writes `train/` and `judge/` with one PNG per photograph, missing pixels transparent (and black),
and `judge_clean/` with the undamaged photographs of `judge/`. Of 15 photographs, in the order of
their names, 11 are for training and 4 for evaluation. Every photograph is damaged once. Its damage
depends on `--seed` and on its name alone. keras_uai does not know this file.

--damage:
  scratches      drawn thin scratches, hairs and blots; 8 to 15% of the pixels
  drop_pixel_50  half of the pixels, at random
  drop_pixel_90  90% of the pixels, at random
  film           crops of real dust, hairs and scratches on film (--film_masks=FOLDER of masks)
"""

import hashlib
import pathlib

import numpy as np
from absl import app, flags
from PIL import Image, ImageDraw, ImageOps

flags.DEFINE_string("clean", None, "Folder of photographs.", required=True)
flags.DEFINE_string("out", None, "Folder to write; created if it is missing.", required=True)
flags.DEFINE_enum(
    "damage", "scratches", ["scratches", "drop_pixel_50", "drop_pixel_90", "film"], "See above."
)
flags.DEFINE_string("film_masks", None, "Folder of masks of real damage, for --damage=film.")
flags.DEFINE_integer("seed", 0, "Another seed damages every photograph anew.")

EXTENSIONS = (".jpg", ".jpeg", ".png")
LEAST, MOST = 0.08, 0.15  # share of the pixels that scratches and blots cover
MIN_FILM_SHARE = 0.002  # of a crop of a film mask; emptier crops are drawn again


def scratches(shape, rng):
    """Draws scratches, hairs and blots.

    Args:
        shape: `(height, width)`.
        rng: A NumPy generator.

    Returns:
        bool `(height, width)`, True = missing.
    """
    height, width = shape
    wanted = rng.uniform(LEAST, MOST)
    canvas = Image.new("1", (width, height))
    missing = np.zeros(shape, bool)
    while missing.mean() < wanted:
        layer = canvas.copy()
        draw = (_scratch, _scratch, _hair, _blot)[rng.integers(4)]
        draw(ImageDraw.Draw(layer), rng, height, width)
        if np.asarray(layer).mean() <= MOST:
            canvas, missing = layer, np.asarray(layer).copy()
    return missing


def _scratch(draw, rng, height, width):
    """Draws a long, nearly straight line of 1 to 5 pixels."""
    _line(draw, rng, height, width, rng.integers(1, 6), rng.uniform(0.3, 1.2) * height, 0.02)


def _hair(draw, rng, height, width):
    """Draws a short, bent line of 1 to 4 pixels."""
    _line(draw, rng, height, width, rng.integers(1, 5), rng.uniform(0.1, 0.4) * height, 0.35)


def _line(draw, rng, height, width, thickness, length, bend):
    at = rng.uniform(0, 1, 2) * (width, height)
    angle, step = rng.uniform(0, 2 * np.pi), 8.0
    points = [tuple(at)]
    for _ in range(int(length / step)):
        angle += rng.normal(0, bend)
        at = at + step * np.array([np.cos(angle), np.sin(angle)])
        points.append(tuple(at))
    draw.line(points, 1, int(thickness), "curve")


def _blot(draw, rng, height, width):
    """Draws a closed, uneven shape with a radius of 3 to 14 pixels."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = np.full(40, rng.uniform(3, 14))
    for k in range(2, 6):
        radius *= 1 + rng.normal(0, 0.5 / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
    edge = np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None]
    draw.polygon([tuple(p) for p in edge + rng.uniform(0, 1, 2) * (width, height)], 1)


def drop_pixel(shape, rng, p):
    """Draws `round(p * height * width)` missing pixels: bool `shape`."""
    size = shape[0] * shape[1]
    missing = np.zeros(size, bool)
    missing[rng.permutation(size)[: round(p * size)]] = True
    return missing.reshape(shape)


def film(shape, rng, masks):
    """Cuts a window of a mask of real damage: bool `shape`, True = missing."""
    height, width = shape
    while True:
        mask = masks[rng.integers(len(masks))]
        top = rng.integers(mask.shape[0] - height + 1)
        left = rng.integers(mask.shape[1] - width + 1)
        missing = mask[top : top + height, left : left + width]
        if missing.mean() >= MIN_FILM_SHARE:
            return missing


def read_film_masks(folder):
    """Reads masks whose rarer value is damage: a list of bool arrays, True = damaged."""
    paths = sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in EXTENSIONS)
    if not paths:
        raise app.UsageError(f"--film_masks must hold mask images. Received: {folder}")
    Image.MAX_IMAGE_PIXELS = None
    masks = []
    for path in paths:
        values = np.asarray(Image.open(path).convert("L"))
        kinds, counts = np.unique(values, return_counts=True)
        masks.append(values == kinds[np.argmin(counts)])
    return masks


def draw_damage(damage, name, shape, seed, masks=None):
    """Draws the damage of the photograph `name`: bool `shape`, True = missing."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    if damage == "scratches":
        return scratches(shape, rng)
    if damage == "film":
        return film(shape, rng, masks)
    return drop_pixel(shape, rng, int(damage[-2:]) / 100)


def main(_):
    given = flags.FLAGS
    clean, out = pathlib.Path(given.clean), pathlib.Path(given.out)
    paths = sorted(p for p in clean.rglob("*") if p.suffix.lower() in EXTENSIONS)
    if not paths:
        raise app.UsageError(f"--clean must be a folder with images. Received: {clean}")
    if given.damage == "film" and not given.film_masks:
        raise app.UsageError("--damage=film needs --film_masks=FOLDER.")
    masks = read_film_masks(given.film_masks) if given.damage == "film" else None
    for part in ("train", "judge", "judge_clean"):
        (out / part).mkdir(parents=True, exist_ok=True)
    total = 0.0
    for index, path in enumerate(paths):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        pixels = np.array(image)
        missing = draw_damage(given.damage, path.stem, pixels.shape[:2], given.seed, masks)
        total += missing.mean()
        judge = index % 15 >= 11
        if judge:
            image.save(out / "judge_clean" / f"{path.stem}.png")
        pixels[missing] = 0
        damaged = Image.fromarray(pixels)
        damaged.putalpha(Image.fromarray((~missing * 255).astype("uint8")))
        damaged.save(out / ("judge" if judge else "train") / f"{path.stem}.png")
    print(f"{len(paths)} photographs, {total / len(paths):.1%} of their pixels missing: {out}")


if __name__ == "__main__":
    app.run(main)
