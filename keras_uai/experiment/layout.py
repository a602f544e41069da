"""Tables 1 and 2 in the paper's layout as Markdown, its numbers beside ours. Text only: what is
measured comes as a dict, see `table_1`.
"""

import itertools
import math

from keras_uai.experiment import cells

_DECIMALS = {"distance": 2, "mse": 4, "std": 4}
_DASH = "-"


def table_1(found, distance):
    """Table 1, the ablations, and below them the repeated seed and the baselines.

    Args:
        found: `{cells.Cell: {"distance": float, "mse": float, "std": float}}` of what is finished;
            the baselines as `{Cell(column, "baselines"): {name: {...}}}`.
        distance: `"FID"`, or what our distance is called instead; None where there is none yet.

    Returns:
        lines of Markdown.
    """
    head = ["Encoding z", "Encoding y", ""]
    lines = _head(head, distance)
    for row, marks in cells.TABLE_1.items():
        lines += _ours_and_paper(found, row, marks, distance)
    lines += _seeds(found, distance)
    return lines + _baselines(found, len(head), distance)


def table_2(found, distance):
    """Table 2, the models with more supervision and MisGAN; as `table_1`."""
    lines = _head(["", ""], distance)
    for row, words in cells.TABLE_2.items():
        lines += _ours_and_paper(found, row, (words,), distance)
    return lines + _baselines(found, 2, distance)


def orders(found):
    """How many pairs of rows our numbers put into the paper's order, as lines of Markdown: of all
    pairs, and of those that we set further apart than the seeds of the repeated row.
    """
    lines = _row(["rows in the paper's order", *cells.COLUMNS.values()])
    lines += _row(["---"] * (1 + len(cells.COLUMNS)))
    for title, rows in (("Table 1", cells.TABLE_1), ("Table 2", cells.TABLE_2)):
        for place, metric in enumerate(("distance", "mse", "std")):
            counts = [_order(found, list(rows), column, metric, place) for column in cells.COLUMNS]
            lines += _row([f"{title}, {metric}", *counts])
    return lines


def runs(found):
    """What stands behind each number, as lines of Markdown.

    Args:
        found: `{cells.Cell: dict}` with `"images_seen"`, `"minutes"`, `"parameters"` and more
            scores.
    """
    titles = ["cell", "seed", "images seen", "minutes", "parameters of G", "MSE of the mean"]
    titles += ["CRPS", "spread-skill"]
    lines = _row(titles) + _row(["---"] + ["---:"] * (len(titles) - 1))
    for cell, values in found.items():
        if cell.row != "baselines":
            lines += _row([
                cell.name, str(cell.seed), f"{values['images_seen']:,}", f"{values['minutes']:.1f}",
                f"{values['parameters']:,}", _number(values.get("mse_of_mean"), 4),
                _number(values.get("crps"), 4), _number(values.get("spread_skill"), 2),
            ])  # fmt: skip
    return lines


def supervised(found, distance):
    """The supervised rows on the test split, as lines of Markdown; [] without any."""
    rows = [row for row in cells.SUPERVISED if any(c.row == row for c in found)]
    lines = _head([""], distance) if rows else []
    for row in rows:
        lines += _row([f"{cells.TABLE_2[row]}, test split", *_values(found, row, 0)])
    return lines


# -- rows -----------------------------------------------------------------------------------------


def _head(first, distance):
    distance = "FID" if distance in (None, "FID") else "distance"
    titles = [
        f"{column} {metric}"
        for column in cells.COLUMNS.values()
        for metric in (distance, "MSE", "std.")
    ]
    align = ["---"] * len(first) + ["---:"] * len(titles)
    return _row([*first, *titles]) + _row(align)


def _ours_and_paper(found, row, marks, distance):
    ours, paper = "ours", "paper"
    if distance not in (None, "FID"):
        ours, paper = f"ours ({distance})", "paper (FID)"
    published = []
    for column in cells.COLUMNS:
        fid, mse, std = cells.PAPER[row][column]
        published += [f"{fid:.2f}", f"{mse:.3f}", _DASH if std is None else f"{std:g}"]
    return _row([*marks, ours, *_values(found, row, 0)]) + _row(
        [*[""] * len(marks), paper, *published]
    )


def _seeds(found, distance):
    """The repeated row with the other seeds, and how far these are from seed 0."""
    lines = []
    for seed in cells.SEEDS:
        again = _values(found, cells.REPEATED, seed)
        if any(value != _DASH for value in again):
            marks = cells.TABLE_1[cells.REPEATED]
            lines += _row([*marks, f"ours, seed {seed}", *again])
            apart = [
                _number(spread(found, column, metric, seed), _DECIMALS[metric])
                for column in cells.COLUMNS
                for metric in _DECIMALS
            ]
            lines += _row(["", "", f"seeds 0 and {seed} differ by", *apart])
    return lines


def _baselines(found, width, distance):
    lines = []
    for name, words in cells.BASELINES.items():
        values = []
        for column in cells.COLUMNS:
            scores = found.get(cells.Cell(column, "baselines"), {}).get(name, {})
            values += [_number(scores.get(metric), d) for metric, d in _DECIMALS.items()]
        lines += _row([words, *[""] * (width - 1), *values])
    return lines


def _values(found, row, seed):
    values = []
    for column in cells.COLUMNS:
        scores = found.get(cells.Cell(column, row, seed), {})
        values += [_number(scores.get(metric), d) for metric, d in _DECIMALS.items()]
    return values


def spread(found, column, metric, seed=cells.SEEDS[0]):
    """How far the repeated row's numbers are apart; None where one is missing."""
    pair = [found.get(cells.Cell(column, cells.REPEATED, s), {}).get(metric) for s in (0, seed)]
    return None if None in pair else abs(pair[0] - pair[1])


def _order(found, rows, column, metric, place):
    """`5 of 6 (4 of 4 further apart than seeds)`."""
    ours = {row: found.get(cells.Cell(column, row), {}).get(metric) for row in rows}
    paper = {row: cells.PAPER[row][column][place] for row in rows}
    there = [row for row in rows if ours[row] is not None and paper[row] is not None]
    pairs = [
        ((ours[a] - ours[b]), (ours[a] - ours[b]) * (paper[a] - paper[b]) > 0)
        for a, b in itertools.combinations(there, 2)
        if paper[a] != paper[b]
    ]
    if not pairs:
        return _DASH
    text = f"{sum(same for _, same in pairs)} of {len(pairs)}"
    apart = spread(found, column, metric)
    if apart is None:
        return text
    clear = [same for difference, same in pairs if abs(difference) > apart]
    return f"{text} ({sum(clear)} of {len(clear)} further apart than seeds)"


def _number(value, decimals):
    """`-` for what is missing, and for the std of a model without z, as in the paper."""
    missing = value is None or not math.isfinite(value) or value == 0
    return _DASH if missing else f"{value:.{decimals}f}"


def _row(parts):
    return ["| " + " | ".join(parts) + " |"]
