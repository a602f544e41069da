"""What a search tries: all combinations of some values, or draws from ranges, each a function of the
search's seed and the trial's number, so that a longer search begins with the shorter one.
"""

import itertools
import math
import random
import re

_RANGE = re.compile(r"^(.+?)\.\.(.+)$")


class Space:
    """What flags to vary, and what to try.

    Args:
        texts: list of `"name=1,2,3"` (values) or `"name=0.01..1"` (a range, drawn from evenly on a
            logarithmic scale).
        trials: how many; None for the whole grid, where there are values only.
        seed: integer.

    Raises:
        ValueError: a text is not of that form, or a range comes without `trials`.
    """

    def __init__(self, texts, trials=None, seed=0):
        self.axes = dict(map(_axis, texts))
        if len(self.axes) < len(texts):
            raise ValueError(f"--vary names a flag twice. Received: {' '.join(texts)}")
        self.seed, self.count = seed, trials
        self.ranges = [name for name, axis in self.axes.items() if isinstance(axis, tuple)]
        if self.ranges and trials is None:
            raise ValueError(
                "How often is the range to be drawn from? Say --trials=N. Received: --vary="
                f"{self.ranges[0]}={'..'.join(map(str, self.axes[self.ranges[0]]))} without --trials"
            )

    def trials(self):
        """The trials in order, each `{flag: value as text}`."""
        if self.ranges:
            return [self._draw(number) for number in range(self.count)]
        grid = [
            dict(zip(self.axes, values, strict=True))
            for values in itertools.product(*self.axes.values())
        ]
        if self.count is None:
            return grid
        random.Random(self.seed).shuffle(grid)
        return grid[: self.count]

    def _draw(self, number):
        generator = random.Random(f"{self.seed} {number}")
        found = {}
        for name, axis in self.axes.items():
            if isinstance(axis, tuple):
                low, high = map(math.log, axis)
                found[name] = f"{math.exp(generator.uniform(low, high)):.3g}"
            else:
                found[name] = generator.choice(axis)
        return found


def _axis(text):
    name, equals, rest = (part.strip() for part in text.partition("="))
    name = name.lstrip("-")
    values = [value.strip() for value in rest.split(",") if value.strip()]
    if not equals or not name.isidentifier() or not values:
        raise ValueError(
            'What is varied is written "lambda_z=0,0.1,1", or "lambda_z=0.01..1" for a range. '
            f"Received: --vary={text}"
        )
    found = _RANGE.match(rest)
    if not found:
        if len(set(values)) < len(values):
            raise ValueError(f"A value is given twice. Received: --vary={text}")
        return name, values
    try:
        low, high = map(float, found.groups())
    except ValueError:
        low = high = -1.0
    if not 0.0 < low < high:
        raise ValueError(
            "A range runs from a number above 0 to a larger one, since it is drawn from on a "
            f"logarithmic scale. Received: --vary={text}"
        )
    return name, (low, high)
