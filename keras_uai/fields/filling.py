"""`fill`: trains on a stack's own gaps, and fills them with calibrated samples."""

import dataclasses
import os
import sys

import keras
import numpy as np
from tqdm import tqdm

from keras_uai import checks
from keras_uai.fields import report as reports
from keras_uai.fields import tiles
from keras_uai.fields.data import Data
from keras_uai.fields.gaps import hide
from keras_uai.fields.model import FieldModel, Inputs, spread_by_distance
from keras_uai.fields.training import STEPS, train


@dataclasses.dataclass
class Result:
    """What `fill` returns. Arrays have the form, dtype and units of the data.

    Args:
        mean: The predicted mean where values were missing; observed values bit-equal.
        std: Standard deviation of the samples, float32: 0 where observed, NaN where never filled.
        samples: `num_samples` fills, along a first axis (dimension `sample`).
        best: `mean`, or the fill of a classical method if that was better on hidden values.
        report: A `Report`; None where `model` was given.
        model: The `FieldModel`; `fill(other, model=result.model)` applies it.
    """

    mean: object
    std: object
    samples: object
    best: object
    report: object
    model: object


def fill(
    data,
    mask=None,
    num_samples=10,
    *,
    window=1,
    context=None,
    never_fill=None,
    model=None,
    minutes=None,
    seed=0,
    verbose=1,
):
    """Fills the gaps of fields or images, trained on these gaps alone.

    Observed values are hidden as the data's own gaps hide them, and a network learns to fill them:
    from the frame itself, from what all frames of a stack have in common (a low-rank fill), and
    from neighbouring times. Training ends when the CRPS on values held out no longer falls. The
    spread of the samples is then calibrated, and a report compares the model with classical methods
    on further values held out.

    Args:
        data: Array `(T, H, W, C)`, `(T, H, W)`, `(H, W, C)` with up to 4 channels, or `(H, W)`; a
            list of arrays `(H, W[, C])` of different sizes; an `xarray.DataArray`; or a `Dataset`,
            whose variables of floats with the dimensions of the first are filled together. Of any
            integer or float dtype. NaN and masked values are missing.
        mask: 1 or True where a value is observed, in the shape of `data`, or without channels.
            Default: everything that is neither NaN nor masked.
        num_samples: Number of samples, at least 2.
        window: Odd number of frames in time that are seen together.
        context: Further fields that help, `(H, W[, K])` or `(T, H, W[, K])`, or xarray objects:
            other variables, elevation, coordinates. They may have gaps.
        never_fill: 1 or True where values never exist (land, outside of a detector): neither
            filled nor scored.
        model: A `FieldModel` or its `.keras` file: applied without training.
        minutes: Minutes of training at most. Default: 6000 updates at most.
        seed: Integer; the same seed gives the same result.
        verbose: 0 for no messages.

    Returns:
        A `Result`.

    Raises:
        ValueError: for other shapes and dtypes, infinite values, and times that repeat.

    Example:

    >>> sst = np.random.default_rng(0).normal(15, 1, (8, 32, 32)).cumsum(axis=1).astype("float32")
    >>> sst[:, 5:12, 8:20] = np.nan
    >>> result = keras_uai.fill(sst, num_samples=4, minutes=0.05, verbose=0)
    >>> result.samples.shape
    (4, 8, 32, 32)
    """
    report = show if verbose else lambda _: None
    num_samples = checks.check_integer("fill", "num_samples", num_samples, 2)
    if checks.check_integer("fill", "window", window, 1) % 2 == 0:
        raise ValueError(f"`window` must be odd. Received: window={window!r}")
    if tiles.is_lazy(data):
        if context is not None:
            raise ValueError(
                "`context` must not be given for Dask-backed `data`. Received: "
                f"context={type(context).__name__}"
            )
        source = tiles.Source(data, mask, never_fill)
        model, found = _load(model), None
        if model is None:
            given = tiles.load_some(source, seed, report)
            model, found = fit(given, window, minutes, num_samples, seed, report)
        outputs = tiles.fill(source, model, better(found), num_samples, seed)
        return Result(**outputs, report=found, model=model)
    given = Data(data, mask, never_fill, context)
    model, found = _load(model), None
    if model is None:
        model, found = fit(given, window, minutes, num_samples, seed, report)
    location, scale = (np.array(model.settings[name]) for name in ("location", "scale"))
    stacks = given.stacks(location, scale)
    missing = sum(int(stack.missing.sum()) for stack in stacks)
    report(f"Filling {missing:,} missing values, {num_samples} samples each.")
    means, samples = [], []
    inputs = [Inputs(stack, stack.observed, model.settings) for stack in stacks]
    for one in inputs:
        mean, drawn = predict(model, one, num_samples, seed)
        means.append(mean)
        samples.append(drawn)
    units = [mean * scale + location for mean in means]
    stds = [drawn.std(axis=0, ddof=1) * scale for drawn in samples]
    best = units
    if better(found):
        best = classical(better(found), inputs, location, scale)
    return Result(
        given.filled(units),
        given.deviations(stds),
        given.filled([drawn * scale + location for drawn in samples]),
        given.filled(best),
        found,
        model,
    )


def show(text):
    """Prints a line of progress, over the clock of a command, which then goes on below."""
    tqdm.write(text, file=sys.stderr)


def fit(given, window, minutes, num_samples, seed, report):
    """Trains a model on `Data`, and scores it; returns it with its `Report`."""
    location, scale = _scaling(given)
    stacks = given.stacks(location, scale)
    settings = {
        "channels": given.arrays[0].shape[-1],
        "window": int(window),
        "context": 0 if stacks[0].context is None else stacks[0].context.shape[-1],
        "location": location.tolist(),
        "scale": scale.tolist(),
    }
    model, notes, held = _train(stacks, settings, minutes, seed, report)
    found = _report(model, stacks, held, notes, num_samples, seed, location, scale)
    report(str(found))
    return model, found


def better(found):
    """Returns the name of the classical method that a `Report` says is better, or None."""
    return None if found is None or found["best"] == "model" else found["best"]


def predict(model, inputs, num_samples, seed, window=(slice(None), slice(None)), origin=None):
    """Returns means `(T, h, w, C)` and samples `(K, T, h, w, C)` in network units.

    They are of a window of the stack, and 0 in frames without a missing value there. `origin` is
    the stack's row and column in a larger one.
    """
    missing = inputs.stack.missing[:, *window]
    mean = np.zeros(missing.shape, "float32")
    drawn = np.zeros((num_samples, *missing.shape), "float32")
    for t in np.flatnonzero(missing.any(axis=(1, 2, 3))):
        found, samples = _predict(model, inputs, t, num_samples, seed, origin)
        mean[t], drawn[:, t] = found[window], samples[:, *window]
    return mean, drawn


def _train(stacks, settings, minutes, seed, report):
    """Returns a trained model, notes on its training, and the values held out to score it."""
    held = [hide(s.observed, s.fillable, (seed, 0, i), 0.5) for i, s in enumerate(stacks)]
    halves = [_halves(hidden) for hidden in held]
    model, training, calibration = train(
        [
            dataclasses.replace(s, observed=s.observed & ~test)
            for s, (_, test) in zip(stacks, halves, strict=True)
        ],
        [validation for validation, _ in halves],
        settings,
        STEPS,
        minutes,
        seed,
        report,
    )
    notes = {
        "steps": training.step,
        "best_step": training.best[1],
        "validation_crps": training.history,
        "calibration": calibration,
    }
    return model, notes, [test for _, test in halves]


def _halves(hidden):
    """Splits hidden values into two sets: every other frame, or the halves of a single one."""
    first = np.zeros_like(hidden)
    frames = np.flatnonzero(hidden.any(axis=(1, 2, 3)))
    if len(frames) > 1:
        first[frames[::2]] = True
    elif len(frames):
        _, rows, columns, _ = np.nonzero(hidden)
        axis, places = (1, rows) if np.ptp(rows) > np.ptp(columns) else (2, columns)
        middle = int(np.median(places))
        first[(slice(None),) * axis + (slice(None, middle),)] = True
    return hidden & first, hidden & ~first


def _predict(model, inputs, t, num_samples, seed, origin=None):
    """Returns the mean `(H, W, C)` and samples `(K, H, W, C)` of frame `t` in network units."""
    settings = model.settings
    values, _, seen = inputs(t)
    values, seen = values[None], seen[None].astype("float32")
    base, scale, c = inputs.base(t), settings["residual_scale"], settings["channels"]
    values = np.where(seen > 0.5, values, 0.0)
    mean = model.predict_mean(values, seen)[0, ..., :c]
    drawn = model.inpaint(values, seen, num_samples, seed=seed + int(t), origin=origin)[0, ..., :c]
    drawn = mean + spread_by_distance(inputs.seen[t], settings["spread"]) * (drawn - mean)
    return mean * scale + base, drawn * scale + base


def _report(model, stacks, held, notes, num_samples, seed, location, scale):
    """Scores the model and the classical methods on the values held out."""
    left, kept = reports.FRAMES, []
    for hidden in held:  # the first frames
        frames = np.flatnonzero(hidden.any(axis=(1, 2, 3)))
        hidden = hidden.copy()
        hidden[frames[left:]] = False
        left = max(0, left - len(frames))
        kept.append(hidden)
    fills = {"model": []}
    for stack, hidden in zip(stacks, kept, strict=True):
        seen = stack.observed & ~hidden
        inputs = Inputs(stack, seen, model.settings)
        fills["model"].append(lambda t, i=inputs: _predict(model, i, t, num_samples, seed))
        for name, fill in reports.classical(stack, seen, inputs.fills):
            fills.setdefault(name, []).append(lambda t, f=fill: (f(t), None))
    methods = {
        name: reports.score(stacks, kept, functions, location, scale)
        for name, functions in fills.items()
        if len(functions) == len(stacks)
    }
    best = min(methods, key=lambda name: methods[name]["rmse"])
    sentences = []
    if best != "model":
        share = methods["model"]["rmse"] / methods[best]["rmse"] - 1
        sentences.append(
            f"`{best}` is better than the model, whose RMSE is {share:.0%} more. `result.best` is "
            "its fill; the samples are the model's."
        )
    sentences += notes["calibration"]["warnings"]
    return reports.Report(
        methods=methods,
        hidden_values=int(sum(hidden.sum() for hidden in kept)),
        frames=int(sum(hidden.any(axis=(1, 2, 3)).sum() for hidden in kept)),
        best=best,
        notes=sentences,
        training=notes,
    )


def classical(name, inputs, location, scale):
    """Returns fills `(T, H, W, C)` by the method called `name`, in the user's units.

    `inputs` is a list of `Inputs`, one a stack.
    """
    fills = []
    for one in inputs:
        stack = one.stack
        frames = np.flatnonzero(stack.missing.any(axis=(1, 2, 3)))
        fill = dict(reports.classical(stack, stack.observed, one.fills))[name]
        out = np.zeros(stack.values.shape)
        for t in frames:
            out[t] = fill(t)
        fills.append(out * scale + location)
    return fills


def _scaling(given):
    """Returns location and scale (two standard deviations) of the observed values, per channel."""
    location, scale = [], []
    for c in range(given.arrays[0].shape[-1]):
        values = np.concatenate(
            [a[..., c][o[..., c]] for a, o in zip(given.arrays, given.observed, strict=True)]
        ).astype("float64")
        if not len(values):
            raise ValueError(
                f"Every channel must have observed values. Received: none in channel {c}"
            )
        deviation = values.std()
        location.append(values.mean())
        scale.append(2 * deviation if deviation > 1e-6 * abs(values.mean()) else 1.0)
    return np.array(location), np.array(scale)


def _load(model):
    """Returns a `FieldModel` from itself or from its file; None of None."""
    if model is None:
        return None
    if isinstance(model, (str, os.PathLike)):
        model = keras.saving.load_model(model)
    if not isinstance(model, FieldModel):
        raise ValueError(
            "`model` must be a `FieldModel`, as `fill` returns it, or its .keras file. "
            f"Received: {type(model).__name__}"
        )
    return model
