"""Gaps to hide observed values with: those of other frames, laid over a frame."""

import numpy as np

TRIES = 20
#: A gap hides between these shares of a frame's observed values, where one of `TRIES` does.
LEAST, MOST = 0.02, 0.7


def hide(observed, fillable, seed, share=1.0):
    """Hides observed values of a stack as its own gaps do.

    The gaps of a frame are those of another, at the same place or, every other time, shifted and
    mirrored. A stack with too few gaps of its own is given blocks of random sizes.

    Args:
        observed: bool `(T, H, W, M)`.
        fillable: bool `(T, H, W, M)`: False where a value never exists, such as on land.
        seed: Integer or tuple of integers.
        share: Share of the frames in which values are hidden; at least one frame.

    Returns:
        bool `(T, H, W, M)`: observed values to hide.
    """
    rng = np.random.default_rng(seed)
    hidden = np.zeros_like(observed)
    missing = fillable & ~observed
    usable = observed.any(axis=(1, 2, 3))
    # Of a frame without a single value there is a whole frame to learn from, seldom.
    sources = np.flatnonzero(missing.mean(axis=(1, 2, 3)) > 0.005)
    frames = np.flatnonzero(usable)
    count = min(len(frames), max(1, round(share * len(frames))))
    for t in rng.choice(frames, count, replace=False):
        best = None
        for i in range(TRIES):
            if len(sources) and i < TRIES // 2:
                gap = missing[rng.choice(sources)]
                if len(sources) < 3 or rng.random() < 0.5:
                    gap = _moved(gap, rng)
            else:
                gap = _blocks(observed.shape[1:], rng)
            gap = gap & observed[t]
            found = gap.sum() / observed[t].sum()
            if found > 0 and (best is None or abs(found - 0.3) < abs(best[0] - 0.3)):
                best = (found, gap)
            if LEAST <= found <= MOST:
                best = (found, gap)
                break
        if best is not None and best[0] < 1.0:
            hidden[t] = best[1]
    return hidden


def _moved(gap, rng):
    """Shifts (around the edges) and mirrors a gap."""
    gap = gap[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    shift = [int(rng.integers(side)) for side in gap.shape[:2]]
    return np.roll(gap, shift, axis=(0, 1))


def _blocks(shape, rng):
    """Returns a gap of a few rectangles with sides of 3% to 30% of the frame's."""
    gap = np.zeros(shape, bool)
    for _ in range(rng.integers(1, 6)):
        sides = [max(1, int(side * rng.uniform(0.03, 0.3))) for side in shape[:2]]
        top, left = (
            int(rng.integers(max(1, n - side + 1)))
            for n, side in zip(shape[:2], sides, strict=True)
        )
        gap[top : top + sides[0], left : left + sides[1]] = True
    return gap
