"""The second look: a sample as the mean of what was observed and of a few pixels that were drawn."""

import numpy as np
from keras import ops

from keras_uai import random
from keras_uai.measurements.base import check_integer
from keras_uai.models.batch import check_hide
from keras_uai.models.sampling import per_image_seeds, sample_keys

_PLACES = 0x4C4F4F4B  # keeps the places that are read apart from the z of the same key
_HIDDEN = 0x48494445  # and what the fit hides from all else
LEAST_GAIN, MOST_GAIN, MOST_TRIES = 0.1, 10.0, 12


class SecondLookMixin:
    """Samples in two looks, for a model whose G predicts a mean; off where `look_cell` is `None`.

    A score on hidden pixels teaches G how each pixel is distributed, and how averages of cells are, but hardly how a
    pixel goes with its neighbours, of which few are ever observed together: what G draws is right pixel by pixel and
    grainy as a picture. Its mean has no grain. So the drawing is read at one pixel of each cell only: these pixels are
    a second measurement `y_tilde`, taken as observed beside y, and the sample is what G's own mean makes of both,
    `E[x | y, y_tilde]`. By the tower property its mean is that of the drawings; its variance is less, by what the
    pixels read leave open, and `look_gain` gives that back.
    """

    look_gain = 1.0

    def set_look(self, cell, gain=1.0):
        """Samples are taken so from now on; training has no part in it.

        Args:
            cell: side of the cells of which one pixel each is read, a divisor of the image's; `None`: no second look.
            gain: factor of a drawing's deviation from the mean where it is read: more is more spread.

        Raises:
            ValueError: the model cannot take such a look.
        """
        self._check_look(cell, gain)
        self.look_cell, self.look_gain = cell, float(gain)
        vars(self).pop("_compiled_functions", None)  # what was compiled has the old ones in it
        self.predict_function = self.test_function = None

    def finish(self, image, mean, y, mask, keys):
        if self.look_cell is None:
            return image
        return self._look(image, mean, y, mask, keys, self.look_gain)

    def _look(self, image, mean, y, mask, keys, gain):
        """The mean `(N, H, W, C)` of y and of the pixels of the drawing `image` that `keys` `(N, 2)` say to read."""
        read = ops.maximum(mask, places(keys, self.image_shape[0], self.look_cell))
        values = ops.where(mask > 0.5, y, mean + gain * (image - mean))
        return self.sampling_generator.observe(self.measurement(values, read), read)[-1]

    def fit_look_gain(self, dataset, images=512, hide=None, spread_skill=1.0, batch_size=64):
        """Sets `look_gain` so that samples spread as much as they err, as far as damaged images tell.

        A tenth of the observed pixels is hidden, and samples are compared with what was observed there: the ratio of
        their spread to the error of their mean is 1 where uncertainty is right. What is left is nearly as dense as what
        the model will be given, so that the ratio is that of missing pixels (measured: within 4%). Where most of an
        image is far from what is observed, it is that of the nearest missing pixels only. So of a model that has
        learned to see nothing (`hide_all`), 0.8 of them are hidden, and then everything, which makes all pixels far
        ones; the geometric mean of both ratios counts (measured with cells of 8 pixels: within 5%).

        Args:
            dataset: batches as `fit` takes them; clean images are not looked at. Training images will do.
            images: at most so many are taken.
            hide: the share of the observed pixels that is hidden; `None`: see above.
            spread_skill: the ratio to reach. Less makes samples smoother and surer than they should be.
            batch_size: samples worked on at a time.

        Returns:
            dict: `look_gain`, the `spread_skill` that was reached, and the numbers of `images` and of
            `hidden_pixels` behind it.

        Raises:
            ValueError: there is no second look, nothing to hide, or no such gain; the gain is then as it was.
        """
        if self.look_cell is None:
            raise ValueError(
                "There is no second look whose gain could be fitted: set_look(cell=4) first. "
                f"Received: look_cell={self.look_cell!r}"
            )
        hide = (0.8 if self.hide_all else 0.1) if hide is None else check_hide((hide, hide))[0]
        if not spread_skill > 0:
            raise ValueError(
                f"`spread_skill` is a ratio above 0. Received: spread_skill={spread_skill!r}"
            )
        y, mask = self._observations(dataset, check_integer("fit_look_gain", "images", images, 1))
        keys = random.key(self.seed, _HIDDEN, np.arange(len(y)))
        ratios, hidden_pixels = [], 0
        for everything in (0.0, 1.0) if self.hide_all else (0.0,):
            found = self.hide_some(y, mask, keys, hide, hide, everything=everything)
            y_seen, mask_seen = map(ops.convert_to_numpy, found)
            hidden = mask - mask_seen
            if not hidden.any():
                raise ValueError(
                    "Nothing was hidden: too few images, or too few observed pixels. "
                    f"Received: {len(y)} images, hide={hide!r}"
                )
            hidden_pixels += int(hidden.sum())
            ratios.append(self._ratios(y, y_seen, mask_seen, hidden, batch_size))
        gain = self.look_gain
        for _ in range(MOST_TRIES):  # spread is nearly linear in the gain
            reached = float(np.prod([ratio(gain) for ratio in ratios]) ** (1.0 / len(ratios)))
            wanted = gain * spread_skill / max(reached, 1e-3)
            if abs(wanted - gain) < 0.005 * gain:
                break
            gain = float(np.clip(wanted, LEAST_GAIN, MOST_GAIN))
        else:
            raise ValueError(
                f"No gain from {LEAST_GAIN:g} to {MOST_GAIN:g} lets samples spread {spread_skill:g} times as much as "
                f"they err; after little training they hardly differ. Received: {reached:.2g} times at {gain:.3g}"
            )
        self.set_look(self.look_cell, gain)
        return {
            "look_gain": gain,
            "spread_skill": reached,
            "images": len(y),
            "hidden_pixels": hidden_pixels,
        }

    def _ratios(self, y, y_seen, mask_seen, hidden, batch_size):
        """The function from a gain to spread / skill on hidden pixels, of two samples an image."""

        def draw(y, mask, seeds):
            pair = ops.concatenate(self.drawings(y, mask, sample_keys(seeds, 2), 2), -1)
            return ops.reshape(pair, (-1, 2, *pair.shape[1:]))

        def look(drawn, y, mask, seeds, gain):
            y, mask, gain = (ops.repeat(v, 2, axis=0) for v in (y, mask, gain))
            image, mean = ops.split(ops.reshape(drawn, (-1, *drawn.shape[2:])), 2, axis=-1)
            keys = sample_keys(seeds, 2)
            images = self._look(image, mean, y, mask, keys, gain[:, None, None, None])
            images = self.paste(ops.clip(images, -1.0, 1.0), y, mask)
            return ops.reshape(images, (-1, 2, *self.image_shape))

        seeds, rows = per_image_seeds(0, len(y)), max(1, batch_size // 2)
        drawn = self._in_batches("look_draw", draw, rows, y_seen, mask_seen, seeds)
        total = hidden.sum() * self.image_shape[-1]

        def ratio(gain):
            gains = np.full(len(y), gain, "float32")
            arguments = (drawn, y_seen, mask_seen, seeds, gains)
            samples = self._in_batches("look_again", look, rows, *arguments)
            first, second = samples[:, 0], samples[:, 1]
            variance = (0.5 * np.square(first - second) * hidden).sum() / total
            error = (np.square(0.5 * (first + second) - y) * hidden).sum() / total
            return float(np.sqrt(1.5 * variance / max(error, 1e-12)))

        return ratio

    def _observations(self, dataset, images):
        """The first so many observations of a data set and their masks, float32 arrays."""
        found, count = [], 0
        for data in dataset:
            batch = self.unpack(data)
            found.append(
                [ops.convert_to_numpy(batch[name])[: images - count] for name in ("y", "mask")]
            )
            count += len(found[-1][0])
            if count >= images:
                break
        if not count:
            raise ValueError("There are no images to fit the gain on. Received: an empty data set")
        return tuple(np.concatenate(parts).astype("float32") for parts in zip(*found, strict=True))

    def _check_look(self, cell, gain):
        """Raises a ValueError where the model cannot take a second look with these arguments."""
        if not gain > 0:
            raise ValueError(f"`look_gain` is a factor above 0. Received: look_gain={gain!r}")
        if cell is None:
            return
        if not self.generator.predicts_mean:
            raise ValueError(
                "A second look is taken by the mean that G predicts: generator={'predicts_mean': True}. "
                f"Received: look_cell={cell!r} and a generator without"
            )
        if self.image_shape[0] % check_integer(type(self).__name__, "look_cell", cell, 1):
            raise ValueError(
                f"`look_cell` is the side of cells that cover an image of {self.image_shape[0]} pixels exactly, or "
                f"None. Received: look_cell={cell!r}"
            )


def places(keys, side, cell):
    """One pixel of each cell of `cell x cell` pixels, uniform in it: float32 `(N, side, side, 1)`, 1 at these pixels.

    Args:
        keys: uint32 `(N, 2)`, one an image.
        side, cell: of the image and of the cells; `side` is a multiple of `cell`.
    """
    cells = side // cell
    chosen = random.integers(random.fold_in(keys, _PLACES), (cells, cells), cell * cell)
    inside = ops.reshape(ops.one_hot(chosen, cell * cell), (-1, cells, cells, cell, cell))
    return ops.reshape(ops.transpose(inside, (0, 1, 3, 2, 4)), (-1, side, side, 1))
