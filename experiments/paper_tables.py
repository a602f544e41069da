"""Tables 1 and 2 of the paper: their cells, their published numbers, and both as Markdown."""

import dataclasses
import fnmatch
import itertools
import math

#: Columns: measurements, with the paper's names.
COLUMNS = {"one_patch": "One Patch", "small_patch": "Small Patch", "drop_pixel": "Drop Pixel"}
#: Rows of Table 1 in its order, with its marks: whether z is encoded, whether y is.
TABLE_1 = {
    "equation_7": ("0", "✓"),
    "equation_6": ("✓", "0"),
    "equation_5": ("0", "0"),
    "equation_8": ("✓", "✓"),
}
#: Rows of Table 2 in its order; "Our Model" is equation 8 of Table 1.
TABLE_2 = {
    "unpaired": "Unpaired",
    "paired": "Paired",
    "misgan": "MisGAN",
    "equation_8": "Our Model",
}
ROWS = (*TABLE_1, *(row for row in TABLE_2 if row not in TABLE_1))
#: Rows of models that are trained with clean images; they are scored on a test split, too.
SUPERVISED = ("unpaired", "paired")
#: The row that is trained again, with these seeds beside 0.
REPEATED, SEEDS = "equation_8", (1,)
#: Baselines beside every model, with their names in the tables.
BASELINES = {
    "linear_interpolation": "linear interpolation",
    "nearest": "nearest neighbour",
    "mean_colour": "mean colour",
}

_METRICS = {"distance": 2, "mse": 4, "std": 4}  # and their decimals
#: `{row: ((FID, MSE, std) of each column)}` as published, CelebA at 128 x 128; None: not published.
_PUBLISHED = {
    "equation_7": ((59.39, 0.159, 0.0463), (20.37, 0.062, 0.024), (69.73, 0.130, 0.058)),
    "equation_6": ((56.38, 0.161, 0.0408), (26.39, 0.062, 0.024), (63.07, 0.089, 0.074)),
    "equation_5": ((53.89, 0.149, 0.0325), (28.42, 0.069, 0.014), (74.82, 0.131, 0.026)),
    "equation_8": ((54.55, 0.156, 0.0645), (19.11, 0.059, 0.035), (70.19, 0.130, 0.109)),
    "unpaired": ((46.90, 0.129, 0.0359), (18.55, 0.053, 0.015), (60.28, 0.098, 0.032)),
    "paired": ((45.66, 0.113, None), (18.32, 0.044, None), (59.38, 0.078, None)),
    "misgan": ((84.63, 0.166, 0.0322), (25.37, 0.101, 0.014), (86.42, 0.149, 0.027)),
}
PAPER = {row: dict(zip(COLUMNS, numbers, strict=True)) for row, numbers in _PUBLISHED.items()}


@dataclasses.dataclass(frozen=True)
class Cell:
    """A model on a measurement, trained with a seed; the row `"baselines"` is not trained."""

    column: str
    row: str
    seed: int = 0

    @property
    def name(self):
        """`drop_pixel_equation_8`; with another seed than 0 `drop_pixel_equation_8_seed_1`."""
        return f"{self.column}_{self.row}" + (f"_seed_{self.seed}" if self.seed else "")

    @property
    def flagfile(self):
        """Name of its file in `experiments/flagfiles/tables/SIZE`."""
        return f"{self.column}_{self.row}.flags"


def every():
    """Returns all cells, column by column; the repeated row comes last."""
    first = [Cell(c, row) for c in COLUMNS for row in ("baselines", *ROWS)]
    return first + [Cell(c, REPEATED, seed) for seed in SEEDS for c in COLUMNS]


def choose(patterns):
    """Returns the cells whose names match a pattern, in the order of the patterns.

    Args:
        patterns: list of names with `*` and `?`, such as `["drop_pixel_*"]`; empty for all.

    Raises:
        ValueError: If a pattern matches no cell.
    """
    cells, chosen = {cell.name: cell for cell in every()}, {}
    for pattern in patterns or ["*"]:
        found = fnmatch.filter(cells, pattern.strip())
        if not found:
            raise ValueError(
                f"A cell is named COLUMN_ROW, with a column of {', '.join(COLUMNS)} and a row of "
                f"{', '.join(('baselines', *ROWS))}; {REPEATED} also with _seed_1. * matches any "
                f"text. Received: --cells={pattern}"
            )
        chosen |= {name: cells[name] for name in found}
    return list(chosen.values())


# -- Markdown --------------------------------------------------------------------------------------


def table_1(found, distance):
    """Returns Table 1 (the ablations), the repeated seed and the baselines as Markdown lines.

    Args:
        found: `{Cell: {"distance": float, "mse": float, "std": float}}` of the finished cells;
            baselines as `{Cell(column, "baselines"): {name: {...}}}`.
        distance: `"FID"`, or the name of our distance; None where there is none yet.
    """
    lines = _head(["Encoding z", "Encoding y", ""], distance)
    for row, marks in TABLE_1.items():
        lines += _ours_and_paper(found, row, marks, distance)
    for seed in SEEDS:
        again = _values(found, REPEATED, seed)
        if any(value != "-" for value in again):
            lines.append(_row([*TABLE_1[REPEATED], f"ours, seed {seed}", *again]))
            apart = [
                _number(_seed_difference(found, column, metric, seed), decimals)
                for column in COLUMNS
                for metric, decimals in _METRICS.items()
            ]
            lines.append(_row(["", "", f"seeds 0 and {seed} differ by", *apart]))
    return lines + _baselines(found, 3)


def table_2(found, distance):
    """Returns Table 2 (models with more supervision, MisGAN) as Markdown lines; see `table_1`."""
    lines = _head(["", ""], distance)
    for row, words in TABLE_2.items():
        lines += _ours_and_paper(found, row, (words,), distance)
    return lines + _baselines(found, 2)


def supervised(found, distance):
    """Returns the supervised rows on the test split as Markdown lines; `[]` without any."""
    rows = [row for row in SUPERVISED if any(c.row == row for c in found)]
    lines = _head([""], distance) if rows else []
    return lines + [_row([f"{TABLE_2[r]}, test split", *_values(found, r, 0)]) for r in rows]


def orders(found):
    """Returns, as Markdown lines, how many pairs of rows are in the paper's order.

    A second count is of the pairs whose difference exceeds that of the repeated row's seeds.
    """
    lines = [_row(["rows in the paper's order", *COLUMNS.values()])]
    lines.append(_row(["---"] * (1 + len(COLUMNS))))
    for title, rows in (("Table 1", TABLE_1), ("Table 2", TABLE_2)):
        for place, metric in enumerate(_METRICS):
            counts = [_order(found, list(rows), column, metric, place) for column in COLUMNS]
            lines.append(_row([f"{title}, {metric}", *counts]))
    return lines


def trainings(found):
    """Returns the training behind each number as Markdown lines."""
    titles = ["cell", "seed", "images seen", "minutes", "parameters of G", "MSE of the mean"]
    titles += ["CRPS", "spread-skill"]
    lines = [_row(titles), _row(["---"] + ["---:"] * (len(titles) - 1))]
    for cell, values in found.items():
        if cell.row != "baselines":
            numbers = [f"{values['images_seen']:,}", f"{values['minutes']:.1f}"]
            numbers += [f"{values['parameters']:,}", _number(values.get("mse_of_mean"), 4)]
            numbers += [_number(values.get("crps"), 4), _number(values.get("spread_skill"), 2)]
            lines.append(_row([cell.name, str(cell.seed), *numbers]))
    return lines


def _head(first, distance):
    distance = "FID" if distance in (None, "FID") else "distance"
    titles = [f"{c} {metric}" for c in COLUMNS.values() for metric in (distance, "MSE", "std.")]
    align = ["---"] * len(first) + ["---:"] * len(titles)
    return [_row([*first, *titles]), _row(align)]


def _ours_and_paper(found, row, marks, distance):
    ours, paper = "ours", "paper"
    if distance not in (None, "FID"):
        ours, paper = f"ours ({distance})", "paper (FID)"
    published = []
    for fid, mse, std in PAPER[row].values():
        published += [f"{fid:.2f}", f"{mse:.3f}", "-" if std is None else f"{std:g}"]
    first = _row([*marks, ours, *_values(found, row, 0)])
    return [first, _row([*[""] * len(marks), paper, *published])]


def _baselines(found, width):
    lines = []
    for name, words in BASELINES.items():
        values = []
        for column in COLUMNS:
            scores = found.get(Cell(column, "baselines"), {}).get(name, {})
            values += [_number(scores.get(metric), d) for metric, d in _METRICS.items()]
        lines.append(_row([words, *[""] * (width - 1), *values]))
    return lines


def _values(found, row, seed):
    values = []
    for column in COLUMNS:
        scores = found.get(Cell(column, row, seed), {})
        values += [_number(scores.get(metric), d) for metric, d in _METRICS.items()]
    return values


def _seed_difference(found, column, metric, seed=SEEDS[0]):
    pair = [found.get(Cell(column, REPEATED, s), {}).get(metric) for s in (0, seed)]
    return None if None in pair else abs(pair[0] - pair[1])


def _order(found, rows, column, metric, place):
    """`5 of 6 (4 of 4 further apart than seeds)`."""
    ours = {row: found.get(Cell(column, row), {}).get(metric) for row in rows}
    paper = {row: PAPER[row][column][place] for row in rows}
    there = [row for row in rows if ours[row] is not None and paper[row] is not None]
    pairs = [
        ((ours[a] - ours[b]), (ours[a] - ours[b]) * (paper[a] - paper[b]) > 0)
        for a, b in itertools.combinations(there, 2)
        if paper[a] != paper[b]
    ]
    if not pairs:
        return "-"
    text = f"{sum(same for _, same in pairs)} of {len(pairs)}"
    apart = _seed_difference(found, column, metric)
    if apart is None:
        return text
    clear = [same for difference, same in pairs if abs(difference) > apart]
    return f"{text} ({sum(clear)} of {len(clear)} further apart than seeds)"


def _number(value, decimals):
    """`-` for a missing number, and, as in the paper, for the std of a model without z."""
    missing = value is None or not math.isfinite(value) or value == 0
    return "-" if missing else f"{value:.{decimals}f}"


def _row(parts):
    return "| " + " | ".join(parts) + " |"
