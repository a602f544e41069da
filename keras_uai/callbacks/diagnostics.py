"""Callback that warns of trainings that go wrong without an error."""

import math

import keras
import numpy as np
from keras import ops

from keras_uai import checks, measurements
from keras_uai.measurements.comparison import MOST

#: Consecutive epochs, and updates before them, after which a collapse is reported.
EPOCHS, STEPS = 5, 1000
#: `d_loss` of a discriminator with equal outputs for all images, and the share of it that is low.
CHANCE = {"hinge": 2.0, "minimax": 2.0 * math.log(2.0), "least_squares": 0.25}
LITTLE = 0.05
#: Share of the data's spread below which samples are equal: less than a level of 8 bits.
EQUAL = 0.01
#: Evaluations in a row that are worse than the best one, and by which factor.
EVALUATIONS, WORSE = 3, 1.05
SCORES = ("val_crps", "val_mse_of_mean", "val_mse_mean", "val_mse")


class Diagnostics(keras.callbacks.Callback):
    """Warns, once each, of what makes a training useless without an error.

    - Before the first step: the masks of the data are unlike those of the model's measurement (once
      a model; `fit` without this callback warns, too).
    - The discriminator wins outright: for 5 epochs in a row `d_loss` is below a twentieth of that
      of a discriminator with equal outputs for all images, and `gan_loss` does not fall.
    - The samples no longer differ: for 5 epochs in a row their `std` is below 1% of the standard
      deviation of the data's observed values.
    - The validation score (`val_crps`, else a `val_mse`) was worse than in the best epoch by more
      than 5%, three times in a row. Place this callback after those that score.

    A collapse is not reported before 1000 updates, since samples may not differ until then.

    Args:
        dataset: batches as `fit` takes them, of the callback's own; the first 64 images are read.
            None: masks and the spread of the data are not examined.
        history: list of dicts, the logs of earlier epochs with their `epoch`, counted from 1.

    Example:

    >>> arguments = {"image_size": 16, "measurement": "DropPixel(0.9)", "batch_size": 8}
    >>> images = keras_uai.datasets.load("drawn_faces", limit=16, **arguments)
    >>> watch = keras_uai.callbacks.Diagnostics(images)  # of `model.fit(..., callbacks=[watch])`
    """

    def __init__(self, dataset=None, history=()):
        super().__init__()
        self.dataset = dataset
        self.history = [dict(row) for row in history]
        self.spread = None
        self._told = set()

    def on_train_begin(self, logs=None):
        if self.dataset is not None:
            self.examine()

    def examine(self):
        """Compares the data with the model's measurement, once; before `fit` or at its start."""
        images, masks, count = [], [], 0
        for data in self.dataset:
            batch = self.model.unpack(data)
            images.append(ops.convert_to_numpy(batch["y"]))
            masks.append(ops.convert_to_numpy(batch["mask"]))
            count += len(images[-1])
            if count >= MOST or images[-1].shape[1:] != images[0].shape[1:]:
                break
        self.dataset = None
        masks = [mask for mask in masks if mask.shape[1:] == masks[0].shape[1:]]
        y, mask = np.concatenate(images[: len(masks)]), np.concatenate(masks)
        self.spread = float(np.std(y, where=np.broadcast_to(mask > 0.5, y.shape)))
        if not self.model.masks_compared:
            measurements.check_masks(self.model.measurement, mask)
            self.model.masks_compared = True

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **(logs or {})}
        self.history = [old for old in self.history if int(old["epoch"]) <= epoch] + [row]
        if int(ops.convert_to_numpy(self.model.step)) >= STEPS and len(self.history) >= EPOCHS:
            self._examine_losses()
        self._examine_scores()

    def _examine_losses(self):
        last, model = self.history[-EPOCHS:], self.model
        for prefix in ("", "imputer_"):
            d_loss, gan_loss = (_values(last, prefix + name) for name in ("d_loss", "gan_loss"))
            most = LITTLE * CHANCE[model.gan_loss]
            won = len(d_loss) == len(gan_loss) == EPOCHS and max(d_loss) < most
            if won and gan_loss[-1] >= 0.99 * gan_loss[0]:
                self._warn(
                    f"{prefix}d_loss",
                    f"The discriminator wins outright: {prefix}d_loss was below {most:.2g} for "
                    f"{EPOCHS} epochs ({d_loss[-1]:.2g} now, {CHANCE[model.gan_loss]:.2g} if it "
                    f"could not tell images apart), and {prefix}gan_loss went from "
                    f"{gan_loss[0]:.3g} to {gan_loss[-1]:.3g}. Try a smaller learning rate of the "
                    "discriminator",
                )
        std, least = _values(last, "std"), EQUAL * (self.spread or 0.0)
        if model.stochastic and len(std) == EPOCHS and max(std) < least:
            self._warn(
                "std",
                f"The samples no longer differ: for {EPOCHS} epochs their std was below "
                f"{EQUAL:.0%} of that of the data ({std[-1]:.2g} now, {self.spread:.2g} in the "
                "data). The model ignores z",
            )

    def _examine_scores(self):
        name = next((n for n in SCORES if n in self.history[-1]), None)
        rows = [row for row in self.history if _values([row], name)]
        scores = _values(rows, name)
        if len(scores) <= EVALUATIONS:
            return
        best = min(range(len(scores)), key=scores.__getitem__)
        if min(scores[-EVALUATIONS:]) > WORSE * scores[best]:
            self._warn(
                name,
                f"{name} gets worse: {scores[-1]:.4g} after epoch {rows[-1]['epoch']}, "
                f"{scores[best]:.4g} after epoch {rows[best]['epoch']}, which was the best. The "
                "model overfits, or diverges: end the training there, or use more data",
            )

    def _warn(self, kind, text):
        if kind not in self._told:
            self._told.add(kind)
            checks.warn(f"{text}.")


def _values(rows, name):
    """Returns the finite numbers of a column of the log, in which text and gaps may stand."""
    found = (float(row[name]) for row in rows if row.get(name) not in (None, ""))
    return [value for value in found if math.isfinite(value)]
