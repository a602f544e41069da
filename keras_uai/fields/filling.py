"""`fill`: trains on a stack's own gaps, and fills them with calibrated samples."""

import dataclasses
import os
import sys

import keras
import numpy as np
from tqdm import tqdm

from keras_uai import checks
from keras_uai.fields import report as reports
from keras_uai.fields.data import Data
from keras_uai.fields.gaps import hide
from keras_uai.fields.model import FieldModel, Inputs
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
    # Over the clock of a command, which then goes on below.
    report = (lambda text: tqdm.write(text, file=sys.stderr)) if verbose else (lambda _: None)
    num_samples = checks.check_integer("fill", "num_samples", num_samples, 2)
    if checks.check_integer("fill", "window", window, 1) % 2 == 0:
        raise ValueError(f"`window` must be odd. Received: window={window!r}")
    given = Data(data, mask, never_fill, context)
    if model is not None:
        model = _load(model)
        settings = model.settings
        location, scale = np.array(settings["location"]), np.array(settings["scale"])
        stacks, notes = given.stacks(location, scale), None
    else:
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
    missing = sum(int(stack.missing.sum()) for stack in stacks)
    report(f"Filling {missing:,} missing values, {num_samples} samples each.")
    means, samples = [], []
    for stack in stacks:
        inputs = Inputs(stack, stack.observed, model.settings)
        mean = np.zeros(stack.values.shape, "float32")
        drawn = np.zeros((num_samples, *stack.values.shape), "float32")
        for t in np.flatnonzero(stack.missing.any(axis=(1, 2, 3))):
            mean[t], drawn[:, t] = _predict(model, inputs, t, num_samples, seed)
        means.append(mean)
        samples.append(drawn)
    units = [mean * scale + location for mean in means]
    stds = [drawn.std(axis=0, ddof=1) * scale for drawn in samples]
    best, found = units, None
    if notes is not None:
        found = _report(model, stacks, held, notes, num_samples, seed, location, scale)
        report(str(found))
        if found["best"] != "model":
            best = _classical(found["best"], model, stacks, location, scale)
    return Result(
        given.filled(units),
        given.deviations(stds),
        given.filled([drawn * scale + location for drawn in samples]),
        given.filled(best),
        found,
        model,
    )


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


def _predict(model, inputs, t, num_samples, seed):
    """Returns the mean `(H, W, C)` and samples `(K, H, W, C)` of frame `t` in network units."""
    settings = model.settings
    values, _, seen = inputs(t)
    values, seen = values[None], seen[None].astype("float32")
    base, scale, c = inputs.base(t), settings["residual_scale"], settings["channels"]
    values = np.where(seen > 0.5, values, 0.0)
    mean = model.predict_mean(values, seen)[0, ..., :c]
    drawn = model.inpaint(values, seen, num_samples, seed=seed + int(t))[0, ..., :c]
    return mean * scale + base, drawn * scale + base


def _report(model, stacks, held, notes, num_samples, seed, location, scale):
    """Scores the model and the classical methods on the values held out."""
    size = [hidden.sum() for hidden in held]
    stack, hidden = stacks[int(np.argmax(size))], held[int(np.argmax(size))].copy()
    frames = np.flatnonzero(hidden.any(axis=(1, 2, 3)))
    hidden[frames[reports.FRAMES :]] = False
    frames = frames[: reports.FRAMES]
    seen = stack.observed & ~hidden
    inputs, methods = Inputs(stack, seen, model.settings), {}

    def score(name, fills):
        return reports.score(name, methods, stack, hidden, fills, scale, location)

    score("model", lambda t: _predict(model, inputs, t, num_samples, seed)[1])
    if inputs.fills:
        score("low rank", lambda t: inputs.base(t)[None])
    for name, method in reports.classical(stack, seen, frames):
        score(name, lambda t, method=method: method(t)[None])
        for key in [k for k in methods[name] if k.startswith(("coverage", "spread"))]:
            methods[name].pop(key)
    best = min(methods, key=lambda name: methods[name]["rmse"])
    sentences = []
    if best != "model":
        share = methods["model"]["rmse"] / methods[best]["rmse"] - 1
        sentences.append(
            f"`{best}` is better than the model: its RMSE is {share:.0%} less. `result.best` is its "
            "fill; the samples are the model's."
        )
    sentences += notes["calibration"]["warnings"]
    return reports.Report(
        methods=methods,
        hidden_values=int(hidden.sum()),
        frames=len(frames),
        best=best,
        notes=sentences,
        training=notes,
    )


def _classical(name, model, stacks, location, scale):
    """Returns the fill of the method called `name` beside the model, in the user's units."""
    fills = []
    for stack in stacks:
        frames = np.flatnonzero(stack.missing.any(axis=(1, 2, 3)))
        if name == "low rank":
            method = Inputs(stack, stack.observed, model.settings).base
        else:
            method = dict(reports.classical(stack, stack.observed, frames))[name]
        out = np.zeros(stack.values.shape)
        for t in frames:
            out[t] = method(t)
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
    """Returns a `FieldModel` from itself or from its file."""
    if isinstance(model, (str, os.PathLike)):
        model = keras.saving.load_model(model)
    if not isinstance(model, FieldModel):
        raise ValueError(
            "`model` must be a `FieldModel`, as `fill` returns it, or its .keras file. "
            f"Received: {type(model).__name__}"
        )
    return model
