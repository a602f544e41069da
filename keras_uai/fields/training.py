"""Training on a stack's own gaps: values are hidden as other frames' gaps hide them."""

import dataclasses
import math
import time

import keras
import numpy as np

from keras_uai import checks
from keras_uai.fields.gaps import hide
from keras_uai.fields.low_rank import RANKS, choose_rank
from keras_uai.fields.model import DISTANCES, FieldModel, Inputs
from keras_uai.metrics.calibration import distance_bins
from keras_uai.metrics.errors import crps

CROP, BATCH = 64, 16
#: Times that values of a stack are hidden; a crop shows one of them.
ROUNDS = 24
#: Updates at most, and between two validations; validations without progress until the end.
STEPS, EPOCH, PATIENCE = 6000, 200, 5
VALIDATION_CROPS, VALIDATION_SAMPLES = 64, 4
#: Values at a distance by which half of what they say about the spread is believed.
FEW_VALUES = 200


class Crops(keras.utils.PyDataset):
    """Batches of random crops, each around a hidden value; a function of seed and index.

    Args:
        rounds: List of `(Inputs, hidden)`, `hidden` bool `(T, H, W, C)`.
        batches: Number of batches; `on_epoch_end` goes on to the next ones.
        seed: Integer.
        mirror: Whether crops are mirrored at random.
    """

    def __init__(self, rounds, batches, seed, mirror=True):
        super().__init__()
        self.rounds = [(inputs, hidden, np.flatnonzero(hidden)) for inputs, hidden in rounds]
        self.weights = np.array([len(places) for *_, places in self.rounds], "float64")
        self.batches = batches
        self.seed = seed
        self.mirror = mirror
        self.first = 0

    def __len__(self):
        return self.batches

    def on_epoch_end(self):
        self.first += self.batches

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, self.first + index))
        crops = [self._crop(rng) for _ in range(BATCH)]
        names = ("observation", "mask", "seen")
        return {
            name: np.stack(part) for name, part in zip(names, zip(*crops, strict=True), strict=True)
        }

    def _crop(self, rng):
        chosen = rng.choice(len(self.rounds), p=self.weights / self.weights.sum())
        inputs, hidden, places = self.rounds[chosen]
        t, row, column, _ = np.unravel_index(rng.choice(places), hidden.shape)
        window = tuple(
            slice(start, start + CROP)
            for start in (
                int(np.clip(place - rng.integers(CROP), 0, max(0, side - CROP)))
                for place, side in zip((row, column), hidden.shape[1:3], strict=True)
            )
        )
        parts = inputs(t, window)
        if self.mirror:
            rows, columns = rng.choice([-1, 1], 2)
            parts = [part[::rows, ::columns] for part in parts]
        pads = [(0, CROP - side) for side in parts[0].shape[:2]]
        return [np.pad(part, [*pads, (0, 0)]).astype("float32") for part in parts]


class Training(keras.callbacks.Callback):
    """Sets the learning rate by progress, validates, ends the training, and restores the best.

    Args:
        validation: A batch of `Crops`.
        steps: Updates at most.
        minutes: Minutes at most, or None.
    """

    def __init__(self, validation, steps, minutes=None, rate=1e-3, report=print):
        super().__init__()
        self.validation = validation
        self.steps = steps
        self.minutes = minutes
        self.rate = rate
        self.report = report
        self.history = []
        self.best = None

    def on_train_begin(self, logs=None):
        self.start = time.monotonic()
        self.step = 0

    @property
    def progress(self):
        """The share of the training that is done, in [0, 1]."""
        spent = (time.monotonic() - self.start) / 60.0
        return min(1.0, max(self.step / self.steps, spent / self.minutes if self.minutes else 0.0))

    def on_train_batch_begin(self, batch, logs=None):
        warmup = min(1.0, (self.step + 1) / 100)
        cosine = 0.5 + 0.5 * math.cos(math.pi * self.progress)
        self.model.optimizer.learning_rate.assign(self.rate * warmup * max(cosine, 0.01))

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.minutes and self.progress >= 1.0:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        score = validation_crps(self.model, self.validation)
        self.history.append((self.step, score))
        if self.best is None or score < self.best[0]:
            self.best = (score, self.step, self.model.inference_generator.get_weights())
        minutes = (time.monotonic() - self.start) / 60
        self.report(
            f"step {self.step:,} of at most {self.steps:,}, {minutes:.1f} min: CRPS on hidden "
            f"values {score:.4f}, best {self.best[0]:.4f} at step {self.best[1]:,}"
        )
        waited = sum(step > self.best[1] for step, _ in self.history)
        if waited >= PATIENCE or self.progress >= 1.0:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.model.inference_generator.set_weights(self.best[2])


def validation_crps(model, batch):
    """Computes the CRPS of samples at the hidden values of a batch, in network units."""
    y, mask, seen = batch["observation"], batch["mask"], batch["seen"]
    samples = model.inpaint(np.where(seen > 0.5, y, 0), seen, VALIDATION_SAMPLES)
    at = (mask > 0.5) & (seen <= 0.5)
    drawn = np.moveaxis(samples, 1, 0)[:, at]
    return float(crps(drawn.astype("float64"), y[at].astype("float64")).mean())


def train(stacks, held_out, settings, steps=STEPS, minutes=None, seed=0, report=print):
    """Trains a model on stacks, and calibrates its spread.

    Args:
        stacks: List of `Stack`s in network units.
        held_out: List of bool `(T, H, W, C)`: observed values that score the training. They are
            never trained on.
        settings: Settings of `FieldModel` without `ranks`, `residual_scale` and `spread`.
        steps, minutes: Updates and minutes at most.
        seed: Integer.
        report: Function of a line of text.

    Returns:
        `(model, training, calibration)`.
    """
    kept = [
        dataclasses.replace(stack, observed=stack.observed & ~held)
        for stack, held in zip(stacks, held_out, strict=True)
    ]
    settings = {**settings, "ranks": _ranks(kept, seed), "residual_scale": 1.0}
    settings["spread"] = [1.0] * len(DISTANCES)
    report(f"Low-rank fills of the stack: {settings['ranks'] or 'none (fewer than 4 frames)'}.")
    rounds = []
    for k in range(ROUNDS):
        for i, stack in enumerate(kept):
            hidden = hide(stack.observed, stack.fillable, (seed, 1, k, i), 1 / 3)
            if hidden.any():
                rounds.append((Inputs(stack, stack.observed & ~hidden, settings), hidden))
    settings["residual_scale"] = _residual_scale(rounds)  # of the inputs above, too
    scored = [
        (Inputs(stack, stack.observed & ~held, settings), held)
        for stack, held in zip(stacks, held_out, strict=True)
        if held.any()
    ]
    number = VALIDATION_CROPS // BATCH
    batches = Crops(scored, number, seed, mirror=False)
    batches = [batches[i] for i in range(number)]
    validation = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
    model = FieldModel.create(settings, seed=seed)
    training = Training(validation, steps, minutes, report=report)
    model.fit(
        Crops(rounds, EPOCH, seed), epochs=-(-steps // EPOCH), callbacks=[training], verbose=0
    )
    try:
        calibration = model.calibrate_spread([validation])
    except ValueError as error:  # after very little training
        checks.warn(f"The spread of the samples is not calibrated. {error}")
        calibration = {"warnings": [f"The spread of the samples is not calibrated. {error}"]}
    model.settings["spread"] = _spread(model, validation)
    return model, training, calibration


def _spread(model, batch):
    """Returns how far samples are to be moved from their mean, at each of `DISTANCES`.

    Near seen values, samples hardly differ, though noise of the data does not end there.
    """
    y, mask, seen = (batch[name] for name in ("observation", "mask", "seen"))
    c = model.settings["channels"]
    shown = np.where(seen > 0.5, y, 0)
    mean = model.predict_mean(shown, seen)[..., :c]
    samples = model.inpaint(shown, seen, VALIDATION_SAMPLES)[..., :c]
    hidden = ((mask > 0.5) & (seen <= 0.5))[..., :c]
    bins = np.stack([distance_bins(one) for one in seen[..., :c] > 0.5])
    variance = np.square(samples - mean[:, None]).mean(axis=1)
    squares = np.square(y[..., :c] - mean)
    factors = []
    for i in range(len(DISTANCES)):
        there = hidden & (bins == i)
        found = squares[there].sum() / max(variance[there].sum(), 1e-12)
        # Of few values, little is known: as many again are taken to be right as they are.
        weight = there.sum() / (there.sum() + FEW_VALUES)
        factors.append(float(np.clip(found ** (0.5 * weight), 0.3, 4.0)) if there.any() else 1.0)
    return factors


def _ranks(stacks, seed):
    """Returns the ranks of the fills: the best on hidden values, and a higher one beside it."""
    stack = max(stacks, key=lambda stack: len(stack.values))
    if len(stack.values) < 4:
        return []
    found = choose_rank(
        stack.values,
        stack.observed,
        stack.time,
        lambda i: hide(stack.observed, stack.fillable, (seed, 2, i), 1 / 3),
    )
    higher = max(rank for rank in RANKS if rank <= max(1, len(stack.values) // 3))
    return [found, higher] if higher > found else [found]


def _residual_scale(rounds):
    """Returns two standard deviations of the hidden values around the base."""
    squares = number = 0.0
    for inputs, hidden in rounds:
        for t in np.flatnonzero(hidden.any(axis=(1, 2, 3))):
            error = (inputs.stack.values[t] - inputs.base(t))[hidden[t]].astype("float64")
            squares, number = squares + np.square(error).sum(), number + error.size
    return max(2.0 * float(np.sqrt(squares / number)), 1e-6)
