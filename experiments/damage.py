"""Damages a folder of clean images: creases, scratches, blots, dust, worn edges, scribbles.

    python experiments/damage.py --clean=photos/ --out=damaged/ --center_crop=64

Writes one PNG per image, missing pixels transparent (and black, so that nothing is left of them);
with --masks=sidecar an opaque PNG and NAME.mask.png (white = observed). The damage depends on
--seed and the file's name alone. "Real damage" in README.md uses these images. keras_uai does not
know this file; it learns the damage from the PNGs.
"""

import hashlib
import pathlib

import numpy as np
from absl import app, flags
from PIL import Image, ImageDraw, ImageFont, ImageOps

flags.DEFINE_string("clean", None, "Folder of clean images.", required=True)
flags.DEFINE_string(
    "out", None, "Folder of the damaged images; created if it is missing.", required=True
)
flags.DEFINE_integer("center_crop", None, "Side of the centre crop. Default: the largest square.")
flags.DEFINE_enum(
    "masks",
    "alpha",
    ["alpha", "sidecar"],
    "Form of the masks: transparent pixels, or a file beside each image.",
)
flags.DEFINE_list("share", ["0.2", "0.5"], "Least and greatest damaged share of an image.")
flags.DEFINE_integer("seed", 0, "Another seed damages every image anew.")

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
SCALE = 4  # damage is drawn at this scale, which softens its corners


def stroke(draw, rng, side, width, length, bend, start=None):
    """Draws a wandering line of uneven width."""
    at = rng.uniform(0, side, 2) if start is None else np.array(start)
    angle, step = rng.uniform(0, 2 * np.pi), side / 24
    for _ in range(max(2, round(length / step))):
        angle += rng.normal(0, bend)
        to = at + step * np.array([np.cos(angle), np.sin(angle)])
        wide = width * rng.uniform(0.6, 1.4)
        draw.line([*at, *to], 1, max(1, round(wide)))
        draw.ellipse([*(to - wide / 2), *(to + wide / 2)], 1)
        at = to


def scratches(draw, rng, side):
    """Draws long, thin, nearly straight lines."""
    for _ in range(rng.integers(2, 6)):
        stroke(draw, rng, side, side * rng.uniform(0.012, 0.03), side * rng.uniform(0.4, 1.3), 0.04)


def scribble(draw, rng, side):
    """Draws the line of a thick pen that goes to and fro."""
    stroke(draw, rng, side, side * rng.uniform(0.04, 0.09), side * rng.uniform(0.8, 1.8), 0.7)


def crease(draw, rng, side):
    """Draws a crease from edge to edge, and cracks that start at it."""
    across = rng.uniform(0.1, 0.9, 2) * side
    a, b = np.array([0, across[0]]), np.array([side, across[1]])
    a, b = (a[::-1], b[::-1]) if rng.random() < 0.5 else (a, b)
    places = np.linspace(0, 1, 20)[:, None] * (b - a) + a + rng.normal(0, side * 0.012, (20, 2))
    draw.line([tuple(p) for p in places], 1, round(side * rng.uniform(0.02, 0.06)), "curve")
    for i in rng.integers(0, 20, rng.integers(1, 5)):
        stroke(draw, rng, side, side * 0.018, side * rng.uniform(0.1, 0.35), 0.35, places[i])


def blot(draw, rng, side):
    """Draws a closed, uneven shape: ink, water, mould."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = np.full(40, side * rng.uniform(0.06, 0.2))
    for k in range(2, 6):
        radius *= 1 + rng.normal(0, 0.6 / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
    edge = rng.uniform(0, side, 2) + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    draw.polygon([tuple(p) for p in edge], 1)


def dust(draw, rng, side):
    """Draws a cloud of specks."""
    middle, spread = rng.uniform(0, side, 2), side * rng.uniform(0.1, 0.3)
    for place in rng.normal(middle, spread, (rng.integers(20, 60), 2)):
        radius = side * rng.uniform(0.006, 0.02)
        draw.ellipse([*(place - radius), *(place + radius)], 1)


def worn_edge(draw, rng, side):
    """Draws a missing side or corner with an uneven rim."""
    depth = (
        side * rng.uniform(0.05, 0.2) * (1 + 0.5 * np.sin(np.linspace(0, rng.uniform(2, 9), 20)))
    )
    depth = depth + rng.normal(0, side * 0.01, 20)
    along = np.linspace(-0.1, 1.1, 20) * side
    rim = np.stack([along, depth], 1)
    edge = np.concatenate([rim, [[1.1 * side, -1], [-0.1 * side, -1]]])
    for _ in range(rng.integers(4)):
        edge = np.stack([side - edge[:, 1], edge[:, 0]], 1)
    draw.polygon([tuple(p) for p in edge], 1)


def lettering(draw, rng, side):
    """Draws one or two lines of figures, as stamped across a print."""
    text = " ".join(str(n) for n in rng.integers(10, 9999, 4))
    font = ImageFont.load_default(size=side * rng.uniform(0.12, 0.22))
    for _ in range(rng.integers(1, 3)):
        place = rng.uniform(-0.2, 0.4) * side, rng.uniform(0, 0.85) * side
        draw.text(place, text, 1, font, stroke_width=round(side * 0.012))


KINDS = (scratches, scribble, crease, blot, blot, dust, worn_edge, lettering)


def missing(name, side, share, seed):
    """Draws the damage of the image `name`, a share of it between `share[0]` and `share[1]`.

    Returns:
        bool `(side, side)`, True = missing.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    wanted, large = rng.uniform(*share), side * SCALE
    whole = Image.new("1", (large, large))
    found = np.zeros((side, side), bool)
    for _ in range(200):
        if found.mean() >= wanted:
            break
        layer = whole.copy()
        KINDS[rng.integers(len(KINDS))](ImageDraw.Draw(layer), rng, large)
        more = np.asarray(layer).reshape(side, SCALE, side, SCALE).mean((1, 3)) >= 0.5
        if more.mean() <= share[1]:  # otherwise another kind is drawn
            whole, found = layer, more
    return found


def main(_):
    given = flags.FLAGS
    clean, out = pathlib.Path(given.clean), pathlib.Path(given.out)
    share = [float(part) for part in given.share]
    if len(share) != 2 or not 0 <= share[0] < share[1] < 1:
        raise app.UsageError(f"--share must be LEAST,GREATEST in [0, 1). Received: {given.share}")
    paths = sorted(path for path in clean.rglob("*") if path.suffix.lower() in EXTENSIONS)
    if not paths:
        raise app.UsageError(f"--clean must be a folder with images. Received: {clean}")
    total = 0.0
    for path in paths:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        side = min(given.center_crop or min(image.size), *image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        pixels = np.array(image.crop((left, top, left + side, top + side)))
        name = path.relative_to(clean).with_suffix("").as_posix()
        gone = missing(name, side, share, given.seed)
        total += gone.mean()
        pixels[gone] = 0
        damaged, observed = Image.fromarray(pixels), Image.fromarray((~gone * 255).astype("uint8"))
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if given.masks == "alpha":
            damaged.putalpha(observed)
        else:
            observed.save(out / f"{name}.mask.png")
        damaged.save(out / f"{name}.png")
    print(
        f"{len(paths):,} images, {total / len(paths):.0%} of their pixels missing. Written: {out}"
    )


if __name__ == "__main__":
    app.run(main)
