"""How well values that were hidden are filled: the model beside methods that need no training."""

import numpy as np

from keras_uai.fields.low_rank import LowRank
from keras_uai.metrics import Scores, baselines

#: Frames scored at most, and missing pixels of a frame up to which the biharmonic equation is solved.
FRAMES, BIHARMONIC = 40, 100_000

COLUMNS = {
    "rmse": "RMSE",
    "bias": "bias",
    "crps": "CRPS",
    "coverage_90": "in 90%",
    "spread_skill": "spread/error",
}


class Report(dict):
    """Scores of the model and of classical methods on hidden values, in the user's units.

    A dict: `methods`, a dict of dicts of scores by name; `hidden_values` and `frames`, their
    numbers; `best`, the name of the method with the least RMSE; `notes`, a list of sentences; and
    `training`. As text it is a table.
    """

    def as_dict(self):
        """Returns a plain dict for JSON."""
        return dict(self)

    def __str__(self):
        rows = [["", *COLUMNS.values()]]
        for name, scores in self["methods"].items():
            rows.append([name, *(_number(scores.get(key)) for key in COLUMNS)])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        head = (
            f"On {self['hidden_values']:,} observed values of {self['frames']} frames that were "
            "hidden:"
        )
        return "\n".join([head, *(line.rstrip() for line in lines), *self["notes"]])

    __repr__ = __str__


def classical(stack, seen, low_rank=()):
    """Yields `(name, fill)` of the methods that apply; `fill(t)` is a frame `(H, W, C)`.

    Args:
        stack: A `Stack`.
        seen: bool `(T, H, W, C)`: the values that may be used.
        low_rank: The `LowRank` fills of the stack, of which the first is yielded.
    """
    if low_rank:
        yield "low rank", low_rank[0].frame
    values = np.where(seen, stack.values, np.float32(0))
    every = np.moveaxis(values, -1, 0)[np.moveaxis(seen, -1, 0)]
    ends = np.cumsum([part.sum() for part in np.moveaxis(seen, -1, 0)])[:-1]
    means = np.array([part.mean() if len(part) else 0.0 for part in np.split(every, ends)])
    yield "mean", lambda t: np.broadcast_to(means, values.shape[1:]).astype("float32")

    def in_space(method):
        return lambda t: method(values[t][None], seen[t][None].astype("float32"))[0]

    yield "linear in space", in_space(baselines.linear_interpolation)
    if (~seen).any(axis=-1).sum(axis=(1, 2)).max() <= BIHARMONIC:
        yield "biharmonic", in_space(baselines.biharmonic)
    if len(values) < 2:
        return
    fit = LowRank.fit(values, seen, stack.time, 0)
    yield "climatology", lambda t: fit.mean
    yield "linear in time", lambda t: linear_in_time(values, seen, stack.time, t)


def linear_in_time(values, seen, time, t):
    """Interpolates frame `t` between the nearest frames that show a pixel; constant outside.

    Pixels that no frame shows take the mean of the frame's other pixels.
    """
    count = len(values)
    index = np.arange(count)[:, None, None, None]
    before = np.where(seen & (index <= t), index, -1).max(axis=0)
    after = np.where(seen & (index >= t), index, count).min(axis=0)
    low, high = np.where(before < 0, after, before), np.where(after == count, before, after)
    never = (before < 0) & (after == count)
    low, high = np.clip(low, 0, count - 1), np.clip(high, 0, count - 1)
    first, last = (np.take_along_axis(values, i[None], 0)[0] for i in (low, high))
    length = time[high] - time[low]
    share = np.where(length > 0, (time[t] - time[low]) / np.where(length > 0, length, 1.0), 0.0)
    found = first + share * (last - first)
    known = found[~never]
    return np.where(never, known.mean() if len(known) else 0.0, found).astype("float32")


def score(stacks, hidden, fills, location=0.0, scale=1.0):
    """Returns the scores of fills on hidden values, in the user's units.

    Args:
        stacks: List of `Stack`s in network units.
        hidden: List of bools `(T, H, W, C)`, the observed values that are scored.
        fills: List of functions of t, which return the mean `(H, W, C)` of a frame, and its samples
            `(K, H, W, C)` or None.
        location, scale: float `(C,)` of the network units.

    Returns:
        Dict: `rmse` and `bias` of the mean, `crps` of the samples (of the mean without), and of
        samples `coverage_90`, `spread_skill` and the latter by distance; see `metrics.Scores`.
    """
    scores, errors = Scores(bounded=False), []
    for stack, out, fill in zip(stacks, hidden, fills, strict=True):
        for t in np.flatnonzero(out.any(axis=(1, 2, 3))):
            mean, samples = fill(t)
            drawn = (mean[None] if samples is None else samples).astype("float64")
            true = np.where(stack.observed[t], stack.values[t], 0).astype("float64")
            mean, drawn, true = (v * scale + location for v in (mean, drawn, true))
            seen = stack.observed[t] & ~out[t]
            scores.update(true[None], drawn[None], seen[None], stack.observed[t][None])
            errors.append((mean - true)[out[t]])
    errors, found = np.concatenate(errors), scores.result()
    result = {
        "rmse": float(np.sqrt(np.square(errors).mean())),
        "bias": float(errors.mean()),
        "crps": found["crps"],
    }
    if scores.num_samples > 1:
        result |= {k: v for k, v in found.items() if k.startswith(("coverage", "spread_skill"))}
    return result


def _number(value):
    return "" if value is None or not np.isfinite(value) else f"{value:.4g}"
