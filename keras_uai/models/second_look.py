"""The second look: a sample as the mean of what was observed and of a few pixels that were drawn."""

from keras import ops

from keras_uai import random
from keras_uai.measurements.base import check_integer

_PLACES = 0x4C4F4F4B  # keeps the places that are read apart from the z of the same key


def places(keys, side, cell):
    """One pixel of each cell of `cell x cell` pixels, uniform in it: float32 `(N, side, side, 1)`, 1 at these pixels.

    Args:
        keys: uint32 `(N, 2)`, one an image.
        side, cell: of the image and of the cells; `side` is a multiple of `cell`.
    """
    drawn = random.integers(random.fold_in(keys, _PLACES), (side // cell, side // cell, 1), cell * cell)
    return ops.nn.depth_to_space(ops.one_hot(drawn[..., 0], cell * cell), cell)


def second_look(generator, image, mean, y, mask, measurement, keys, cell, gain):
    """`E[x | y, y_tilde]` for a second measurement `y_tilde` that G drew: what G's own mean makes of both.

    A score on hidden pixels teaches G how each pixel is distributed, and how averages of cells are, but hardly how a
    pixel goes with its neighbours, of which few are ever observed together: G's drawings are right in every pixel and
    grainy as pictures. Its mean has no grain. So the drawing is read at one pixel of each cell only, the pixels read
    are taken as observed beside y, and the mean of all of them is the sample. By the tower property its mean is that
    of the drawings; its variance is less, by what the pixels read leave open, and `gain` gives that back.

    Args:
        generator: a `Generator` that predicts a mean.
        image, mean: what it decoded of `(y, mask)` and a latent, and its mean, `(N, H, W, C)`.
        y, mask: the observation.
        measurement: puts tau where nothing is observed or read.
        keys: uint32 `(N, 2)`; they say which pixels are read.
        cell: side of the cells in pixels.
        gain: factor of the drawing's deviation from the mean where it is read.

    Returns:
        `(N, H, W, C)`, unbounded as the mean is.
    """
    read = ops.maximum(mask, places(keys, int(y.shape[1]), cell))
    values = ops.where(mask > 0.5, y, mean + gain * (image - mean))
    return generator.observe(measurement(values, read), read)[-1]


def check_look(side, predicts_mean, cell, gain):
    """Raises a ValueError where a model with images of this side cannot take a second look with these arguments."""
    if cell is None:
        return
    if not predicts_mean:
        raise ValueError(
            "A second look is taken by the mean that G predicts: generator={'predicts_mean': True}. "
            f"Received: look_cell={cell!r} and a generator without"
        )
    if check_integer("UAI", "look_cell", cell, 1) > side or side % cell:
        raise ValueError(
            f"`look_cell` is the side of cells that cover an image of {side} pixels exactly, or None. "
            f"Received: look_cell={cell!r}"
        )
    if not gain > 0:
        raise ValueError(f"`look_gain` is a factor above 0. Received: look_gain={gain!r}")
