"""The cells of the paper's Tables 1 and 2: a measurement, a model, a seed; and the paper's numbers."""

import dataclasses
import fnmatch

#: The columns: measurements, with the paper's words for them.
COLUMNS = {"one_patch": "One Patch", "small_patch": "Small Patch", "drop_pixel": "Drop Pixel"}

#: Table 1's rows in its order, with its marks: whether z is encoded, whether y is.
TABLE_1 = {
    "equation_7": ("0", "✓"),
    "equation_6": ("✓", "0"),
    "equation_5": ("0", "0"),
    "equation_8": ("✓", "✓"),
}

#: Table 2's rows in its order; our model is equation 8's of Table 1.
TABLE_2 = {
    "unpaired": "Unpaired",
    "paired": "Paired",
    "misgan": "MisGAN",
    "equation_8": "Our Model",
}
ROWS = (*TABLE_1, *(row for row in TABLE_2 if row not in TABLE_1))
#: Rows of models that are trained with clean images, and tested on a split of their own, too.
SUPERVISED = ("unpaired", "paired")
#: The row whose training is repeated, with these seeds beside 0.
REPEATED, SEEDS = "equation_8", (1,)

#: Baselines that stand beside every model, with the tables' words for them.
BASELINES = {
    "linear_interpolation": "linear interpolation",
    "nearest": "nearest neighbour",
    "mean_colour": "mean colour",
}

#: `{row: {column: (FID, MSE, std)}}` as published, CelebA at 128 x 128; None: no number is given.
PAPER = {
    "equation_7": {
        "one_patch": (59.39, 0.159, 0.0463),
        "small_patch": (20.37, 0.062, 0.024),
        "drop_pixel": (69.73, 0.130, 0.058),
    },
    "equation_6": {
        "one_patch": (56.38, 0.161, 0.0408),
        "small_patch": (26.39, 0.062, 0.024),
        "drop_pixel": (63.07, 0.089, 0.074),
    },
    "equation_5": {
        "one_patch": (53.89, 0.149, 0.0325),
        "small_patch": (28.42, 0.069, 0.014),
        "drop_pixel": (74.82, 0.131, 0.026),
    },
    "equation_8": {
        "one_patch": (54.55, 0.156, 0.0645),
        "small_patch": (19.11, 0.059, 0.035),
        "drop_pixel": (70.19, 0.130, 0.109),
    },
    "unpaired": {
        "one_patch": (46.90, 0.129, 0.0359),
        "small_patch": (18.55, 0.053, 0.015),
        "drop_pixel": (60.28, 0.098, 0.032),
    },
    "paired": {
        "one_patch": (45.66, 0.113, None),
        "small_patch": (18.32, 0.044, None),
        "drop_pixel": (59.38, 0.078, None),
    },
    "misgan": {
        "one_patch": (84.63, 0.166, 0.0322),
        "small_patch": (25.37, 0.101, 0.014),
        "drop_pixel": (86.42, 0.149, 0.027),
    },
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """A model on a measurement, trained with a seed. Its row `"baselines"` has nothing to train."""

    column: str
    row: str
    seed: int = 0

    @property
    def name(self):
        """`drop_pixel_equation_8`, with another seed than 0 `drop_pixel_equation_8_seed_1`."""
        return f"{self.column}_{self.row}" + (f"_seed_{self.seed}" if self.seed else "")

    @property
    def flagfile(self):
        """Its file in `experiments/flagfiles/tables/SIZE`."""
        return f"{self.column}_{self.row}.flags"


def every():
    """All cells: a column after the other, in each the baselines and the rows, and at the end the
    repeated row.
    """
    first = [Cell(c, row) for c in COLUMNS for row in ("baselines", *ROWS)]
    return first + [Cell(c, REPEATED, seed) for seed in SEEDS for c in COLUMNS]


def choose(patterns):
    """The cells whose names match one of the patterns, in the order of the patterns.

    Args:
        patterns: list of names with `*` and `?`, e.g. `["drop_pixel_*", "*_equation_8"]`; empty for
            all.

    Raises:
        ValueError: a pattern matches no cell.
    """
    cells, chosen = {cell.name: cell for cell in every()}, {}
    for pattern in patterns or ["*"]:
        found = fnmatch.filter(cells, pattern.strip())
        if not found:
            raise ValueError(
                f"A cell is called COLUMN_ROW, with the columns {', '.join(COLUMNS)} and the rows "
                f"{', '.join(('baselines', *ROWS))}; {REPEATED} also with _seed_1 at the end. * "
                f"stands for anything. Received: --cells={pattern}"
            )
        chosen |= {name: cells[name] for name in found}
    return list(chosen.values())
